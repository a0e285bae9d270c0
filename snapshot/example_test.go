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

// temporary opens snapshots in a directory that remove removes.
func temporary() (snapshots *snapshot.Store, remove func()) {
	dir, err := os.MkdirTemp("", "snapshots")
	if err != nil {
		panic(err)
	}
	snapshots, err = snapshot.Open(dir, snapshot.Options{})
	if err != nil {
		panic(err)
	}
	return snapshots, func() {
		if err := snapshots.Close(); err != nil {
			panic(err)
		}
		os.RemoveAll(dir)
	}
}

// Handlers save and load for themselves. What is loaded is what was saved last,
// in this process or before.
func ExampleStore_Load() {
	snapshots, remove := temporary()
	defer remove()
	ctx := context.Background()
	saved := aggregate.Snapshot{Stream: "account-42", Version: 100, Schema: 7, State: []byte("a FlatBuffer")}
	if err := snapshots.Save(ctx, saved); err != nil {
		panic(err)
	}
	loaded, found, err := snapshots.Load(ctx, "account-42")
	fmt.Println(loaded.Version, string(loaded.State), found, err)
	_, found, err = snapshots.Load(ctx, "account-43")
	fmt.Println(found, err)
	// Output:
	// 100 a FlatBuffer true <nil>
	// false <nil>
}

// Saving does not wait for the disk: that a snapshot is lost costs a longer
// load, and nothing else. Stats tells when it happens.
func ExampleStore_Stats() {
	snapshots, remove := temporary()
	defer remove()
	if err := snapshots.Save(context.Background(), aggregate.Snapshot{Stream: "account-42", Version: 100}); err != nil {
		panic(err)
	}
	stats := snapshots.Stats()
	fmt.Println(stats.Dropped, stats.Damaged, stats.Err)
	// Output: 0 0 <nil>
}
