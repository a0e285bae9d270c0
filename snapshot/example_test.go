package snapshot_test

import (
	"context"
	"fmt"
	"os"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/examples/bank"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/snapshot"
)

func Example() {
	dir, err := os.MkdirTemp("", "snapshots")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	snapshots, err := snapshot.Open(dir, snapshot.Options{})
	if err != nil {
		panic(err)
	}
	defer snapshots.Close()
	log, err := memstore.New(account.Schema)
	if err != nil {
		panic(err)
	}
	o := aggregate.Options{Snapshots: snapshots, SnapshotEvery: 100}
	accounts := account.NewHandler(log, bank.Teller{}, o)
	ctx := context.Background()
	if _, err := accounts.Open(ctx, "42", "ada"); err != nil {
		panic(err)
	}
	for range 150 {
		if _, err := accounts.Credit(ctx, "42", account.CreditFields{Amount: 1}); err != nil {
			panic(err)
		}
	}
	// Another handler, as after a restart, begins at the snapshot.
	accounts = account.NewHandler(log, bank.Teller{}, o)
	state, _, err := accounts.Load(ctx, "42")
	fmt.Println(state.Balance, accounts.Stats().SnapshotsLoaded, err)
	// Output: 150 1 <nil>
}
