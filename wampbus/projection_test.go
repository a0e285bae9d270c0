package wampbus_test

import (
	"testing"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/bank"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/examples/bank/account/accountview"
	"github.com/verbatim-es/verbatim/projection"
	"github.com/verbatim-es/verbatim/wampbus/client"
)

// A process keeps views of its own beside a log that it has over the bus. They
// go on where they were, and start again when the log is another store's.
func TestViewsBesideARemoteLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := open(t, nil)
	h.deposit(t, "1", 5)
	balance := func(h *house, position uint64, want int64) {
		t.Helper()
		views, err := projection.Open(dir, h.dial(t, client.Options{}), projection.Options{Logger: quiet, MapSize: 1 << 30}, accountview.Balances(bank.Balances{}))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // what was there, and what comes while it is followed
			err = views.At(deadline(t), position, func(s *projection.Snapshot) error {
				row, found, err := accountview.BalancesIn(s).Get("1")
				if err != nil || !found || row.Balance() != want {
					t.Errorf("balance %d, found %v, %v; want %d", row.Balance(), found, err, want)
				}
				return nil
			}, "balances")
			if err != nil {
				t.Fatal(err)
			}
			receipt, err := h.store.Append(deadline(t), event.Append{Stream: "account-1", Events: []event.Proposed{account.NewCredited(account.CreditedFields{Amount: 100})}})
			if err != nil {
				t.Fatal(err)
			}
			position, want = receipt.Last, want+100
		}
		if err := views.Close(); err != nil {
			t.Error(err)
		}
	}
	balance(h, 5, 1+2+3+4)
	balance(h, 7, 10+200)
	other := open(t, nil)
	other.deposit(t, "1", 2)
	balance(other, 2, 1)
}
