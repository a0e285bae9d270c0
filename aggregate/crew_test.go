package aggregate_test

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/examples/bank"
	"github.com/verbatim-es/verbatim/examples/bank/account"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quitter is a teller who ends the goroutine at debits.
type quitter struct{ bank.Teller }

func (quitter) DecideDebit(*account.Account, account.Debit, *account.Decision) error {
	runtime.Goexit()
	return nil
}

func TestDecidersMayEndTheirGoroutine(t *testing.T) {
	t.Parallel()
	log := newLog(t)
	accounts := account.NewHandler(log, quitter{}, aggregate.Options{})
	must(t)(accounts.Open(t.Context(), "1", "ada"))
	for range 2 {
		if _, err := accounts.Debit(t.Context(), "1", account.DebitFields{Amount: 1}); err == nil || err.Error() != "the decider ended its goroutine" {
			t.Errorf("got %v", err)
		}
		must(t)(accounts.Credit(t.Context(), "1", account.CreditFields{Amount: 1}))
	}
	if s := accounts.Stats(); s.Abandoned != 0 {
		t.Errorf("stats %+v", s)
	}
	wantHead(t, log, 3)
}

// The goroutines of deciders wait for the next command, but not for ever: with one
// left, the bubble could not end.
func TestIdleGoroutinesEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		accounts := newBank(newLog(t))
		must(t)(accounts.Open(t.Context(), "1", "ada"))
		for range 3 {
			must(t)(accounts.Credit(t.Context(), "1", account.CreditFields{Amount: 1}))
			time.Sleep(150 * time.Millisecond)
		}
		time.Sleep(200 * time.Millisecond)
	})
}
