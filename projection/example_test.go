package projection_test

import (
	"context"
	"errors"
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
		for row, err := range accountview.BalancesIn(s).ByBalanceRange(100, 1000, projection.Backward) {
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

// bonus keeps the same rows, and gives every new account 10.
type bonus struct{ bank.Balances }

func (bonus) OnOpened(tx accountview.BalancesTx, at event.Event, e account.Opened) error {
	return tx.Put(accountview.Balance{Account: at.StreamID(), Owner: e.Owner(), Balance: 10})
}

// A changed handler is a new version: it is built beside the one that is read,
// compared with it, and takes over; the way back is the same.
func ExampleEngine_Switch() {
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
	receipt, err := store.Append(ctx, event.Append{Stream: "account-1", Events: []event.Proposed{account.NewOpened("ada")}})
	if err != nil {
		log.Fatal(err)
	}

	candidate := accountview.Balances(bonus{})
	candidate.Version = "2"
	views, err := projection.Open(dir, store, projection.Options{Logger: slog.New(slog.DiscardHandler)},
		accountview.Balances(bank.Balances{}), candidate)
	if err != nil {
		log.Fatal(err)
	}
	defer views.Close()

	// Wait until the candidate has caught up, then look at the differences.
	err = views.At(ctx, receipt.Last, func(*projection.Snapshot) error { return nil }, "balances@2")
	if err != nil {
		log.Fatal(err)
	}
	for d, err := range views.Compare(ctx, "balances", "1", "2") {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("row", d.Key, "differs in", d.Fields)
	}

	for _, version := range []string{"2", "1", "2"} { // there, back, and there again
		if err := views.Switch(ctx, "balances", version); err != nil {
			log.Fatal(err)
		}
		err := views.View(func(s *projection.Snapshot) error {
			row, _, err := accountview.BalancesIn(s).Get("1")
			fmt.Println("version", version, "has", row.Balance())
			return err
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	if err := views.Drop(ctx, "balances", "1"); err != nil {
		log.Fatal(err)
	}
	// Output:
	// row "1" differs in [balance]
	// version 2 has 10
	// version 1 has 0
	// version 2 has 10
}

// noBob fails on one owner.
type noBob struct{ bank.Balances }

func (p noBob) OnOpened(tx accountview.BalancesTx, at event.Event, e account.Opened) error {
	if e.Owner() == "bob" {
		return errors.New("bob is not welcome")
	}
	return p.Balances.OnOpened(tx, at, e)
}

// A handler's error parks its view at the event. Skipping the event is recorded.
func ExampleEngine_Skip() {
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
	views, err := projection.Open(dir, store, projection.Options{Logger: slog.New(slog.DiscardHandler)}, accountview.Balances(noBob{}))
	if err != nil {
		log.Fatal(err)
	}
	defer views.Close()
	receipt, err := store.Append(ctx, event.Append{Stream: "account-2", Events: []event.Proposed{account.NewOpened("bob")}})
	if err != nil {
		log.Fatal(err)
	}

	err = views.At(ctx, receipt.Last, func(*projection.Snapshot) error { return nil }, "balances")
	var behind *event.BehindError
	if errors.As(err, &behind) {
		// Resume, once the handler is repaired; or leave the event out:
		parked := views.Stats().Views[0].Parked
		fmt.Println("parked at position", parked.Position, "because", parked.Message)
		err = views.Skip(ctx, "balances", parked.Position)
	}
	if err != nil {
		log.Fatal(err)
	}
	for _, skipped := range views.Stats().Views[0].Skipped {
		fmt.Println("skipped", skipped.Type, "at position", skipped.Position)
	}
	// Output:
	// parked at position 1 because bob is not welcome
	// skipped bank.account.Opened at position 1
}

// Another process lists the views, and leaves requests for their engine.
func ExampleOpenDirectory() {
	dir, err := os.MkdirTemp("", "views")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	store, err := memstore.New(account.Schema)
	if err != nil {
		log.Fatal(err)
	}
	views, err := projection.Open(dir, store, projection.Options{Logger: slog.New(slog.DiscardHandler)}, accountview.Balances(bank.Balances{}))
	if err != nil {
		log.Fatal(err)
	}
	if err := views.Close(); err != nil { // as this is one process
		log.Fatal(err)
	}

	directory, err := projection.OpenDirectory(dir)
	if err != nil {
		log.Fatal(err)
	}
	defer directory.Close()
	versions, position, head, err := directory.List()
	if err != nil {
		log.Fatal(err)
	}
	for _, v := range versions {
		fmt.Println(v.View, v.Version, v.Status, "at", position, "of", head, "with", v.Rows, "rows")
	}
	// Output: balances 1 live at 0 of 0 with 0 rows
}

// A cursor goes on behind a row, also in another snapshot, after a restart, or
// when the row is gone.
func ExampleRow_Cursor() {
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
	for _, owner := range []string{"ada", "bob", "cleo"} {
		if _, err := store.Append(ctx, event.Append{Stream: "account-of-" + owner, Events: []event.Proposed{account.NewOpened(owner)}}); err != nil {
			log.Fatal(err)
		}
	}
	var cursor []byte
	for range 3 {
		views, err := projection.Open(dir, store, projection.Options{Logger: slog.New(slog.DiscardHandler)}, accountview.Balances(bank.Balances{}))
		if err != nil {
			log.Fatal(err)
		}
		err = views.At(ctx, 3, func(s *projection.Snapshot) error {
			for row, err := range accountview.BalancesIn(s).Rows(projection.Range{Index: "owner", Backward: true, Limit: 1, Cursor: cursor}) {
				if err != nil {
					return err
				}
				fmt.Println(account.TrustedBalance(row.Bytes()).Owner())
				cursor = row.Cursor()
			}
			return nil
		})
		if err != nil {
			log.Fatal(err)
		}
		if err := views.Close(); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// cleo
	// bob
	// ada
}
