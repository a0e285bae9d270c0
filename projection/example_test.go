package projection_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/examples/bank"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/examples/bank/account/accountview"
	"github.com/verbatim-es/verbatim/projection"
)

// The bank's view of balances, read as of what was just appended.
func Example() {
	dir, err := os.MkdirTemp("", "views")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	store, err := memstore.New(account.Schema)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	views, err := projection.Open(dir, store, projection.Options{Logger: slog.New(slog.DiscardHandler)}, accountview.Balances(bank.Balances{}))
	if err != nil {
		log.Fatal(err)
	}
	defer views.Close()

	var last uint64
	for owner, amount := range map[string]int64{"ada": 700, "bob": 50, "cleo": 300} {
		receipt, err := store.Append(ctx, event.Append{Stream: "account-of-" + owner, Events: []event.Proposed{
			account.NewOpened(owner), account.NewCredited(account.CreditedFields{Amount: amount}),
		}})
		if err != nil {
			log.Fatal(err)
		}
		last = receipt.Last
	}
	err = views.At(ctx, last, func(s *projection.Snapshot) error {
		richest := projection.Range{Index: "balance", From: []projection.Value{projection.IntValue(100)}, Backward: true}
		for row, err := range accountview.BalancesIn(s).Scan(richest) {
			if err != nil {
				return err
			}
			fmt.Println(row.Owner(), row.Balance())
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// ada 700
	// cleo 300
}

// A view is built again beside the one that is read; digests show that nothing
// changed.
func ExampleEngine_Rebuild() {
	dir, err := os.MkdirTemp("", "views")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	store, err := memstore.New(account.Schema)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	views, err := projection.Open(dir, store, projection.Options{Logger: slog.New(slog.DiscardHandler)}, accountview.Balances(bank.Balances{}))
	if err != nil {
		log.Fatal(err)
	}
	defer views.Close()
	receipt, err := store.Append(ctx, event.Append{Stream: "account-1", Events: []event.Proposed{account.NewOpened("ada")}})
	if err != nil {
		log.Fatal(err)
	}

	digest := func() (d projection.Digest) {
		err := views.At(ctx, receipt.Last, func(s *projection.Snapshot) error {
			v, err := s.View("balances")
			if err != nil {
				return err
			}
			d, err = v.Digest(ctx)
			return err
		})
		if err != nil {
			log.Fatal(err)
		}
		return d
	}
	before := digest()
	if err := views.Rebuild(ctx, "balances"); err != nil {
		log.Fatal(err)
	}
	fmt.Println(before.Rows, digest() == before)
	// Output: 1 true
}
