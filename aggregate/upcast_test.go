package aggregate_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/event/upcast"
	"github.com/verbatim-es/verbatim/examples/bank"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/flat"
)

// grownLog is a log that the earlier schema wrote an account to, with 5 on it,
// and whose schema is today's by now.
func grownLog(t *testing.T) (log *memstore.Store, earlier uint64) {
	t.Helper()
	bfbs, err := os.ReadFile("../eventstore/testdata/bank/earlier.bfbs")
	if err != nil {
		t.Fatal(err)
	}
	if log, err = memstore.New(schema.Sources{{Name: "bank.fbs", BFBS: bfbs}}); err != nil {
		t.Fatal(err)
	}
	b := flat.Get()
	b.StartObject(1)
	b.PrependInt64Slot(0, 5, 0)
	opened := account.NewOpened("ada")
	opened.Schema = 0
	_, err = log.Append(t.Context(), event.Append{Stream: "account-1", Events: []event.Proposed{
		opened, {Type: account.CreditedType, Data: flat.Finish(b, b.EndObject())},
	}})
	if err != nil {
		t.Fatal(err)
	}
	_, earlier, _ = log.Schemas().Lookup(account.CreditedType)
	if _, err := log.Register(t.Context(), account.Schema[0].BFBS); err != nil {
		t.Fatal(err)
	}
	return log, earlier
}

// The earlier release counted in whole coins, and took a fee that it did not
// record.
func coins(earlier uint64, fail error) upcast.Rule {
	return upcast.Rule{
		Type: account.CreditedType, Schemas: []uint64{earlier},
		Into: []string{account.CreditedType, account.DebitedType},
		Upcast: func(e event.Event) ([]event.Proposed, error) {
			old, _ := account.AsCredited(e)
			return []event.Proposed{
				account.NewCredited(account.CreditedFields{Amount: 100 * old.Amount(), Memo: "from coins"}),
				account.NewDebited(account.DebitedFields{Amount: 1}),
			}, fail
		},
	}
}

func TestStatesAreFoldedFromUpcastEvents(t *testing.T) {
	t.Parallel()
	log, earlier := grownLog(t)
	upcasters, err := upcast.New(coins(earlier, nil))
	if err != nil {
		t.Fatal(err)
	}
	accounts := account.NewHandler(log, bank.Teller{}, aggregate.Options{Upcasters: upcasters})
	state, version, err := accounts.Load(t.Context(), "1")
	if err != nil || *state != (account.Account{Owner: "ada", Balance: 499}) || version != 2 {
		t.Errorf("folded %+v at version %d, %v", state, version, err)
	}
	// Decisions are made of the same state, and today's events are not touched.
	must(t)(accounts.Debit(t.Context(), "1", account.DebitFields{Amount: 499}, aggregate.Expect(2)))
	if r := must(t)(accounts.Credit(t.Context(), "1", account.CreditFields{Amount: 7})); r.Version != 4 {
		t.Errorf("receipt %+v", r)
	}
	wantBalance(t, accounts, "1", 7)
	wantBalance(t, newBank(log), "1", 5-499+7)
	for e, err := range event.Read(t.Context(), log, event.Selection{}) {
		if err != nil {
			t.Fatal(err)
		}
		if c, ok := account.AsCredited(e); ok && e.Position() == 2 && (c.Amount() != 5 || e.Schema() != earlier) {
			t.Errorf("the stored event is %d of schema %016x", c.Amount(), e.Schema())
		}
	}
}

func TestFailingUpcasterStopsTheFold(t *testing.T) {
	t.Parallel()
	log, earlier := grownLog(t)
	broken := errors.New("what is a coin?")
	upcasters, err := upcast.New(coins(earlier, broken))
	if err != nil {
		t.Fatal(err)
	}
	accounts := account.NewHandler(log, bank.Teller{}, aggregate.Options{Upcasters: upcasters})
	_, err = accounts.Credit(t.Context(), "1", account.CreditFields{Amount: 7})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "load account-1") || !strings.Contains(err.Error(), `"bank.account.Credited" of schema`) || !strings.Contains(err.Error(), "position 2") {
		t.Errorf("got %v", err)
	}
	wantHead(t, log, 2)
	must(t)(accounts.Open(t.Context(), "2", "bob")) // others are not concerned
}

// Events that are written today and read as something else: the commands that
// follow see what they are read as, in one batch, from the cache, and afterwards.
func TestTodaysEventsAreUpcast(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	upcasters, err := upcast.New(upcast.Rule{
		Type: account.CreditedType, Into: []string{account.DebitedType},
		Upcast: func(e event.Event) ([]event.Proposed, error) {
			c, _ := account.AsCredited(e)
			return []event.Proposed{account.NewDebited(account.DebitedFields{Amount: -2 * c.Amount()})}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	accounts := account.NewHandler(log, bank.Teller{}, aggregate.Options{Upcasters: upcasters, MaxAttempts: 1})
	ctx := t.Context()
	must(t)(accounts.HandleAll(ctx, "1", []aggregate.Command{
		account.OpenCommand("ada"),
		account.CreditCommand(account.CreditFields{Amount: 5}),
		account.DebitCommand(account.DebitFields{Amount: 10}),
	}))
	for range 2 {
		must(t)(accounts.Credit(ctx, "1", account.CreditFields{Amount: 5}))
		must(t)(accounts.Debit(ctx, "1", account.DebitFields{Amount: 10}))
	}
	wantBalance(t, accounts, "1", 0)
}
