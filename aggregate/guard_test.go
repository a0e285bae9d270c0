package aggregate_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/bank"
	"github.com/verbatim-es/verbatim/examples/bank/account"
)

// clumsy is a teller who panics over amounts and memos.
type clumsy struct{ bank.Teller }

func (c clumsy) DecideDebit(s *account.Account, _ account.Debit, _ *account.Decision) error {
	s.Balance = -1
	panic("out of coins")
}

func (c clumsy) EvolveCredited(s *account.Account, e account.Credited) {
	if e.Memo() == "jam" {
		panic("paper jam")
	}
	c.Teller.EvolveCredited(s, e)
}

func TestPanicsAreErrors(t *testing.T) {
	t.Parallel()
	for name, ctx := range map[string]context.Context{"inline": context.Background(), "apart": t.Context()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := newLog(t)
			accounts := account.NewHandler(log, clumsy{}, aggregate.Options{})
			must(t)(accounts.Open(ctx, "1", "ada"))
			_, err := accounts.Debit(ctx, "1", account.DebitFields{Amount: 1})
			var panicked *aggregate.PanicError
			if !errors.As(err, &panicked) || panicked.Stream != "account-1" || panicked.Command != account.DebitType ||
				panicked.Value != "out of coins" || !strings.Contains(string(panicked.Stack), "DecideDebit") ||
				err.Error() != "the decider panicked at command bank.account.Debit for account-1: out of coins" {
				t.Errorf("got %v", err)
			}
			if s := accounts.Stats(); s.Panics != 1 || s.CachedStates != 0 {
				t.Errorf("stats %+v", s)
			}
			// An event that could not be evolved is never stored.
			if _, err := accounts.Credit(ctx, "1", account.CreditFields{Amount: 1, Memo: "jam"}); !errors.As(err, &panicked) || panicked.Value != "paper jam" {
				t.Errorf("got %v", err)
			}
			wantHead(t, log, 1)
			must(t)(accounts.Credit(ctx, "1", account.CreditFields{Amount: 1}))
			must(t)(newBank(log).Credit(ctx, "1", account.CreditFields{Amount: 1, Memo: "jam"}))
			if _, _, err := accounts.Load(ctx, "1"); !errors.As(err, &panicked) || err.Error() != "the decider panicked when account-1 was loaded: paper jam" {
				t.Errorf("loading: %v", err)
			}
		})
	}
}

// foreign decides an event that is not of its aggregate.
type foreign struct{ bank.Teller }

func (foreign) DecideOpen(_ *account.Account, c account.Open, out *account.Decision) error {
	p := account.NewOpened(c.Owner())
	p.Type = "shop.Opened"
	return out.Emit(p)
}

func TestForeignEventsAreNotDecided(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	_, err := account.NewHandler(log, foreign{}, aggregate.Options{}).Open(t.Context(), "1", "ada")
	if !errors.As(err, new(*event.UnknownError)) || err.Error() != `"shop.Opened" is no event for account-1: unknown event "shop.Opened"` {
		t.Errorf("got %v", err)
	}
	wantHead(t, log, 0)
}

// endless is a teller who ponders over debits, before and after, until released.
type endless struct {
	bank.Teller
	pondering chan struct{}
	release   chan struct{}
}

func (e endless) DecideDebit(s *account.Account, c account.Debit, out *account.Decision) error {
	e.pondering <- struct{}{}
	<-e.release
	return e.Teller.DecideDebit(s, c, out)
}

func (e endless) EvolveDebited(s *account.Account, ev account.Debited) {
	e.pondering <- struct{}{}
	<-e.release
	e.Teller.EvolveDebited(s, ev)
}

// A caller whose context has ended is let go, and the aggregate is not held; what
// the decider says in the end is not stored.
func TestEndlessDecidersAreLeft(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	e := endless{pondering: make(chan struct{}, 2), release: make(chan struct{})}
	accounts := account.NewHandler(log, e, aggregate.Options{MaxAbandoned: 2})
	must(t)(accounts.Open(t.Context(), "1", "ada"))
	must(t)(accounts.Credit(t.Context(), "1", account.CreditFields{Amount: 10}))
	for n := 1; n <= 2; n++ {
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error)
		go func() {
			_, err := accounts.Debit(ctx, "1", account.DebitFields{Amount: 1})
			failed <- err
		}()
		<-e.pondering
		cancel()
		if err := <-failed; !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "left behind") {
			t.Errorf("got %v", err)
		}
		if s := accounts.Stats(); s.Abandoned != n {
			t.Errorf("stats %+v", s)
		}
	}
	if _, err := accounts.Credit(t.Context(), "1", account.CreditFields{Amount: 1}); !errors.Is(err, event.ErrUnavailable) {
		t.Errorf("with as many left behind as may be: %v", err)
	}
	close(e.release)
	for deadline := time.Now().Add(10 * time.Second); accounts.Stats().Abandoned > 0; {
		if time.Now().After(deadline) {
			t.Fatal("the deciders have not returned")
		}
	}
	must(t)(accounts.Credit(t.Context(), "1", account.CreditFields{Amount: 1}))
	wantBalance(t, accounts, "1", 11)
	wantHead(t, log, 3)
}

// A load is let go like a command.
func TestEndlessFoldsAreLeft(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	must(t)(newBank(log).Open(t.Context(), "1", "ada"))
	must(t)(newBank(log).Credit(t.Context(), "1", account.CreditFields{Amount: 2}))
	must(t)(newBank(log).Debit(t.Context(), "1", account.DebitFields{Amount: 1}))
	e := endless{pondering: make(chan struct{}, 2), release: make(chan struct{})}
	accounts := account.NewHandler(log, e, aggregate.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, _, err := accounts.Load(ctx, "1")
		failed <- err
	}()
	<-e.pondering
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "left behind") {
		t.Errorf("got %v", err)
	}
	close(e.release)
	wantBalance(t, accounts, "1", 1)
}
