//go:build !race

package accountview_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/examples/bank"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/examples/bank/account/accountview"
	"github.com/verbatim-es/verbatim/projection"
)

// A row is read in place: nothing is allocated for it.
func TestPointLookupAlloc(t *testing.T) {
	log, err := memstore.New(account.Schema)
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := log.Append(t.Context(), event.Append{Stream: "account-42", Events: []event.Proposed{
		account.NewOpened("ada"), account.NewCredited(account.CreditedFields{Amount: 7}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	views, err := projection.Open(t.TempDir(), log, projection.Options{Logger: slog.New(slog.DiscardHandler), MapSize: 1 << 30}, accountview.Balances(bank.Balances{}))
	if err != nil {
		t.Fatal(err)
	}
	defer views.Close()
	err = views.At(context.Background(), receipt.Last, func(s *projection.Snapshot) error {
		balances := accountview.BalancesIn(s)
		allocs := testing.AllocsPerRun(1000, func() {
			if row, found, err := balances.Get("42"); err != nil || !found || row.Balance() != 7 || row.Owner() != "ada" {
				t.Errorf("found %v, %v", found, err)
			}
		})
		if allocs > 0 {
			t.Errorf("%v allocations for a row that is there", allocs)
		}
		allocs = testing.AllocsPerRun(1000, func() {
			if _, found, err := balances.Get("43"); err != nil || found {
				t.Errorf("found %v, %v", found, err)
			}
		})
		t.Logf("%v allocations for a row that is not there", allocs)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
