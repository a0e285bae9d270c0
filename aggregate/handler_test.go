package aggregate_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/examples/bank"
	"github.com/verbatim-es/verbatim/examples/bank/account"
)

func newLog(t testing.TB) *memstore.Store {
	t.Helper()
	log, err := memstore.New(account.Schema)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

func newBank(log event.Log) *account.Handler {
	return account.NewHandler(log, bank.Teller{}, aggregate.Options{})
}

// must returns what a call that can't fail here returned.
func must(t testing.TB) func(aggregate.Receipt, error) aggregate.Receipt {
	return func(r aggregate.Receipt, err error) aggregate.Receipt {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
}

func wantHead(t testing.TB, log event.Log, position uint64) {
	t.Helper()
	head, err := log.Head(t.Context())
	if err != nil || head.Position != position {
		t.Fatalf("the head is at %d (%v), want %d", head.Position, err, position)
	}
}

func wantBalance(t testing.TB, accounts *account.Handler, id string, balance int64) {
	t.Helper()
	state, _, err := accounts.Load(t.Context(), id)
	if err != nil || state.Balance != balance {
		t.Fatalf("account %s has %d (%v), want %d", id, state.Balance, err, balance)
	}
}

func TestCommandsBecomeEvents(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	accounts, ctx := newBank(log), t.Context()
	if r := must(t)(accounts.Open(ctx, "1", "ada")); r != (aggregate.Receipt{Position: 1, Version: 1, Count: 1}) {
		t.Errorf("receipt %+v", r)
	}
	if r := must(t)(accounts.Credit(ctx, "1", account.CreditFields{Amount: 100})); r != (aggregate.Receipt{Position: 2, Version: 2, Count: 1}) {
		t.Errorf("receipt %+v", r)
	}
	state, version, err := accounts.Load(ctx, "1")
	if err != nil || version != 2 || *state != (account.Account{Owner: "ada", Balance: 100}) {
		t.Errorf("loaded %+v at version %d, %v", state, version, err)
	}
}

func TestRejectedCommandStoresNothing(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	accounts, ctx := newBank(log), t.Context()
	must(t)(accounts.Open(ctx, "1", "ada"))
	_, err := accounts.Debit(ctx, "1", account.DebitFields{Amount: 1}, aggregate.Key("k"))
	var rejected *aggregate.RejectedError
	if !errors.As(err, &rejected) || rejected.Code != "insufficient_funds" {
		t.Fatalf("got %v", err)
	}
	wantHead(t, log, 1)
	must(t)(accounts.Credit(ctx, "1", account.CreditFields{Amount: 5}, aggregate.Key("k"))) // a rejection uses no key up
}

func TestDecisionOverTwoAggregates(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	accounts, ctx := newBank(log), t.Context()
	must(t)(accounts.Open(ctx, "1", "ada"))
	must(t)(accounts.Open(ctx, "2", "bob"))
	must(t)(accounts.Credit(ctx, "1", account.CreditFields{Amount: 10}))
	r := must(t)(accounts.Transfer(ctx, "1", "2", account.TransferFields{Amount: 4}))
	if r != (aggregate.Receipt{Position: 5, Version: 3, Count: 2}) {
		t.Errorf("receipt %+v", r)
	}
	wantBalance(t, accounts, "1", 6)
	wantBalance(t, accounts, "2", 4)
	if _, err := accounts.Transfer(ctx, "1", "3", account.TransferFields{Amount: 1}); !errors.As(err, new(*aggregate.RejectedError)) {
		t.Errorf("to an account that does not exist: %v", err)
	}
	wantHead(t, log, 5)
}

// The other aggregate of a decision is a condition too: it is closed between
// the decision and the append.
func TestOtherAggregateIsACondition(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	accounts, ctx := newBank(log), t.Context()
	must(t)(accounts.Open(ctx, "1", "ada"))
	must(t)(accounts.Open(ctx, "2", "bob"))
	must(t)(accounts.Credit(ctx, "1", account.CreditFields{Amount: 10}))
	meddling := &meddler{Log: log, before: func() { must(t)(accounts.Close(ctx, "2")) }}
	_, err := newBank(meddling).Transfer(ctx, "1", "2", account.TransferFields{Amount: 4})
	var rejected *aggregate.RejectedError
	if !errors.As(err, &rejected) || rejected.Code != "not_open" {
		t.Fatalf("got %v, want the second decision's rejection", err)
	}
	wantBalance(t, accounts, "1", 10)
}

// meddler does something once, between a decision and its append.
type meddler struct {
	event.Log
	once   sync.Once
	before func()
}

func (m *meddler) Append(ctx context.Context, a event.Append) (event.Receipt, error) {
	m.once.Do(m.before)
	return m.Log.Append(ctx, a)
}

func TestExpectedVersion(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	accounts, ctx := newBank(log), t.Context()
	must(t)(accounts.Open(ctx, "1", "ada", aggregate.Expect(0)))
	must(t)(accounts.Credit(ctx, "1", account.CreditFields{Amount: 1}, aggregate.Expect(1)))
	_, err := accounts.Credit(ctx, "1", account.CreditFields{Amount: 1}, aggregate.Expect(1))
	var conflict *event.ConflictError
	if !errors.As(err, &conflict) || !errors.Is(err, event.ErrConflict) {
		t.Fatalf("got %v", err)
	}
	if conflict.Actual != 2 || conflict.Condition != (event.StreamAt{Stream: "account-1", Version: 1}) {
		t.Errorf("the conflict says %+v", conflict)
	}
	wantHead(t, log, 2)
}

// A version that is right at the decision and wrong at the append is not
// retried: the caller asked for that version.
func TestExpectedVersionIsNotRetried(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	accounts, ctx := newBank(log), t.Context()
	must(t)(accounts.Open(ctx, "1", "ada"))
	meddling := &meddler{Log: log, before: func() { must(t)(accounts.Credit(ctx, "1", account.CreditFields{Amount: 1})) }}
	_, err := newBank(meddling).Credit(ctx, "1", account.CreditFields{Amount: 1}, aggregate.Expect(1))
	if !errors.Is(err, event.ErrConflict) {
		t.Fatalf("got %v", err)
	}
	wantBalance(t, accounts, "1", 1)
}

// Only the aggregate's own version was asked for: when another one has changed,
// the command is decided again.
func TestExpectMindsTheOwnVersionOnly(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	accounts, ctx := newBank(log), t.Context()
	must(t)(accounts.Open(ctx, "1", "ada"))
	must(t)(accounts.Open(ctx, "2", "bob"))
	must(t)(accounts.Credit(ctx, "1", account.CreditFields{Amount: 10}))
	meddling := &meddler{Log: log, before: func() { must(t)(accounts.Credit(ctx, "2", account.CreditFields{Amount: 1})) }}
	r := must(t)(newBank(meddling).Transfer(ctx, "1", "2", account.TransferFields{Amount: 4}, aggregate.Expect(2)))
	if r.Version != 3 {
		t.Errorf("receipt %+v", r)
	}
	wantBalance(t, accounts, "2", 5)
}

func TestRepeatedKey(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	accounts, ctx := newBank(log), t.Context()
	must(t)(accounts.Open(ctx, "1", "ada"))
	must(t)(accounts.Credit(ctx, "1", account.CreditFields{Amount: 10}))
	debit := func(amount int64) (aggregate.Receipt, error) {
		return accounts.Debit(ctx, "1", account.DebitFields{Amount: amount}, aggregate.Key("pay-7"))
	}
	first := must(t)(debit(10))
	// The balance is 0 now: deciding again would reject.
	again := must(t)(debit(10))
	if first.Repeated || !again.Repeated {
		t.Errorf("repeated is %v, then %v", first.Repeated, again.Repeated)
	}
	if again.Repeated = false; again != first {
		t.Errorf("the receipt was %+v, then %+v", first, again)
	}
	var reused *event.KeyReusedError
	if _, err := debit(9); !errors.As(err, &reused) || reused.Position != first.Position {
		t.Errorf("another command with the key: %v", err)
	}
	wantHead(t, log, 3)
}

// Two decisions race with one key. The loser's events may differ, since it
// decided on another state, but it is the same command.
func TestRacingKeyIsResolved(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	accounts, ctx := newBank(log), t.Context()
	must(t)(accounts.Open(ctx, "1", "ada"))
	var won aggregate.Receipt
	meddling := &keyedMeddler{log, &meddler{Log: log, before: func() {
		won = must(t)(accounts.Credit(ctx, "1", account.CreditFields{Amount: 1}, aggregate.Key("k")))
	}}}
	r := must(t)(newBank(meddling).Credit(ctx, "1", account.CreditFields{Amount: 1}, aggregate.Key("k")))
	if !r.Repeated || r.Position != won.Position {
		t.Errorf("got %+v, want a repetition of %+v", r, won)
	}
	wantBalance(t, accounts, "1", 1)
}

type keyedMeddler struct {
	event.KeyReader
	*meddler
}

// The same command is stored by another handler after this one has asked for
// its key: what it then decides, on an account that is empty by now, is not the
// answer.
func TestKeyUsedWhileDeciding(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	accounts, ctx := newBank(log), t.Context()
	must(t)(accounts.Open(ctx, "1", "ada"))
	must(t)(accounts.Credit(ctx, "1", account.CreditFields{Amount: 10}))
	debit := func(accounts *account.Handler) (aggregate.Receipt, error) {
		return accounts.Debit(ctx, "1", account.DebitFields{Amount: 10}, aggregate.Key("k"))
	}
	var first aggregate.Receipt
	late := &lateReader{Log: log, KeyReader: log, before: func() { first = must(t)(debit(accounts)) }}
	again := must(t)(debit(newBank(late)))
	if !again.Repeated || again.Position != first.Position || again.Version != first.Version {
		t.Errorf("got %+v, want a repetition of %+v", again, first)
	}
	wantHead(t, log, 3)
}

// lateReader does something once, before its first page is read.
type lateReader struct {
	event.Log
	event.KeyReader
	once   sync.Once
	before func()
}

func (r *lateReader) ReadPage(ctx context.Context, s event.Selection, o event.PageOptions) (event.Page, error) {
	r.once.Do(r.before)
	return r.Log.ReadPage(ctx, s, o)
}

// A log that can't look a key up still tells a repeated append, and the receipt
// is that of the first one, not of today.
func TestRepeatedReceiptWithoutKeyReader(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	accounts, ctx := newBank(struct{ event.Log }{log}), t.Context()
	must(t)(accounts.Open(ctx, "1", "ada"))
	credit := func() aggregate.Receipt {
		return must(t)(accounts.Credit(ctx, "1", account.CreditFields{Amount: 10}, aggregate.Key("k")))
	}
	first := credit()
	must(t)(accounts.Credit(ctx, "1", account.CreditFields{Amount: 1}))
	again := credit()
	if !again.Repeated || again.Position != first.Position || again.Version != first.Version || again.Count != 1 {
		t.Errorf("got %+v, want a repetition of %+v", again, first)
	}
}

// patron is a teller who pays for others.
type patron struct{ bank.Teller }

func (patron) DecideTransfer(_ *account.Account, c account.Transfer, out *account.Decision) error {
	_, other, err := out.Other(c.To())
	if err != nil {
		return err
	}
	return other.Received(out.ID(), account.ReceivedFields{Amount: c.Amount()})
}

// The version in a repeated receipt is the first one's, also when the command
// left its own aggregate as it was.
func TestRepeatedReceiptOfACommandForOthers(t *testing.T) {
	t.Parallel()
	for name, around := range map[string]func(*memstore.Store) event.Log{
		"by key":    func(log *memstore.Store) event.Log { return log },
		"by append": func(log *memstore.Store) event.Log { return struct{ event.Log }{log} },
	} {
		log, ctx := newLog(t), t.Context()
		accounts := account.NewHandler(around(log), patron{}, aggregate.Options{})
		must(t)(accounts.Open(ctx, "2", "bob"))
		for version, id := range []string{"new", "1"} {
			if version > 0 {
				must(t)(accounts.Open(ctx, id, "ada"))
			}
			give := func() aggregate.Receipt {
				return must(t)(accounts.Transfer(ctx, id, "2", account.TransferFields{Amount: 1}, aggregate.Key(id)))
			}
			first := give()
			if first.Version != uint64(version) || first.Repeated {
				t.Errorf("%s, %s: receipt %+v", name, id, first)
			}
			must(t)(accounts.Open(ctx, "later "+id, "cyd"))
			if version > 0 {
				must(t)(accounts.Credit(ctx, id, account.CreditFields{Amount: 1}))
			}
			again := give()
			if first.Repeated = true; again != first {
				t.Errorf("%s, %s: again %+v, want %+v", name, id, again, first)
			}
		}
	}
}

// Commands of one handler on one aggregate don't compete, however many: each
// is decided once.
func TestCommandsTakeTurns(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	accounts, ctx := account.NewHandler(log, bank.Teller{}, aggregate.Options{MaxAttempts: 1}), t.Context()
	must(t)(accounts.Open(ctx, "1", "ada"))
	const callers = 256
	errs := make(chan error, callers)
	for range callers {
		go func() {
			_, err := accounts.Credit(ctx, "1", account.CreditFields{Amount: 1})
			errs <- err
		}()
	}
	for range callers {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	wantBalance(t, accounts, "1", callers)
}

// Waiting for a turn ends with the caller's context.
func TestWaitingForATurnEnds(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	busy, done := make(chan struct{}), make(chan struct{})
	slow := &lateReader{Log: log, before: func() { close(busy); <-done }}
	accounts := newBank(slow)
	first := make(chan error, 1)
	go func() {
		_, err := accounts.Open(t.Context(), "1", "ada")
		first <- err
	}()
	<-busy
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := accounts.Open(ctx, "1", "ada"); !errors.Is(err, context.Canceled) {
		t.Errorf("the second caller got %v", err)
	}
	close(done)
	if err := <-first; err != nil {
		t.Error(err)
	}
}

// What a decider does to the state it was shown is not what the next command
// goes on from.
func TestStateIsACopy(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	accounts, ctx := account.NewHandler(log, scribbler{}, aggregate.Options{}), t.Context()
	must(t)(accounts.Open(ctx, "1", "ada"))
	meddling := &meddler{Log: log, before: func() { must(t)(accounts.Credit(ctx, "1", account.CreditFields{Amount: 1})) }}
	must(t)(account.NewHandler(meddling, scribbler{}, aggregate.Options{}).Credit(ctx, "1", account.CreditFields{Amount: 1}))
	wantBalance(t, accounts, "1", 2)
}

// scribbler is a teller who writes into the state when deciding.
type scribbler struct{ bank.Teller }

func (s scribbler) DecideCredit(state *account.Account, c account.Credit, out *account.Decision) error {
	err := s.Teller.DecideCredit(state, c, out)
	state.Closed = true
	return err
}

func TestConflictsAreRetried(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	accounts, ctx := newBank(log), t.Context()
	must(t)(accounts.Open(ctx, "1", "ada"))
	const callers, each = 8, 25
	errs := make(chan error, callers)
	for range callers {
		go func() {
			for range each {
				if _, err := accounts.Credit(ctx, "1", account.CreditFields{Amount: 1}); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range callers {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	wantBalance(t, accounts, "1", callers*each)
}

func TestRetriesAreBounded(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	always := &alwaysConflict{Log: log}
	accounts := account.NewHandler(always, bank.Teller{}, aggregate.Options{MaxAttempts: 3})
	if _, err := accounts.Open(t.Context(), "1", "ada"); !errors.Is(err, event.ErrConflict) {
		t.Fatalf("got %v", err)
	}
	if always.appends != 3 {
		t.Errorf("%d attempts, want 3", always.appends)
	}
}

type alwaysConflict struct {
	event.Log
	appends int
}

func (l *alwaysConflict) Append(context.Context, event.Append) (event.Receipt, error) {
	l.appends++
	return event.Receipt{}, &event.ConflictError{Condition: event.StreamAbsent{Stream: "account-1"}, Actual: 1}
}

func TestBadCommands(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	accounts, ctx := newBank(log), t.Context()
	if _, err := accounts.Open(ctx, "", "ada"); !errors.As(err, new(*event.ArgumentError)) {
		t.Errorf("no id: %v", err)
	}
	if _, err := accounts.Open(ctx, "a\nb", "ada"); !errors.As(err, new(*event.ArgumentError)) {
		t.Errorf("control character in the id: %v", err)
	}
	var unknown *event.UnknownError
	if _, err := accounts.Handle(ctx, "1", "bank.account.Rob", nil); !errors.As(err, &unknown) || unknown.Kind != "command" {
		t.Errorf("unknown command: %v", err)
	}
	wantHead(t, log, 0)
}

// A stream that holds an event of another aggregate can't be folded: that is
// said, with its place, instead of left out.
func TestForeignEventInStream(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	def := aggregate.Definition[int]{Category: "account", Evolve: func(*int, string, []byte) error { return errors.New("not mine") }}
	must(t)(newBank(log).Open(t.Context(), "1", "ada"))
	_, _, err := aggregate.New(log, def, aggregate.Options{}).Load(t.Context(), "1")
	if err == nil || fmt.Sprint(err) != "load account-1: bank.account.Opened at position 1 (account-1 version 1): not mine" {
		t.Fatalf("got %v", err)
	}
}

func TestCategoryWithDashPanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	aggregate.New(newLog(t), aggregate.Definition[int]{Category: "a-b"}, aggregate.Options{})
}
