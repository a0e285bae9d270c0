//go:build !race && !verbatimpoison

package eventstore_test

import (
	"context"
	"testing"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
)

// TestAllocsOfReading bounds what reading a thousand events allocates: a view
// what it takes to begin, and pages a few more for their bytes.
func TestAllocsOfReading(t *testing.T) {
	dir := t.TempDir()
	store := open(t, dir)
	for range 10 {
		appendTo(t, store, "ledger-1", 100)
	}
	verifyAndClose(t, store)
	store = open(t, dir)
	ctx := context.Background()
	for _, c := range []struct {
		sel        event.Selection
		view, read float64
	}{
		{event.Selection{}, 30, 50},
		{event.Selection{Backward: true}, 30, 50},
		{event.Selection{Stream: "ledger-1"}, 50, 70},
		{event.Selection{Category: "ledger", Backward: true}, 50, 70},
	} {
		count := func(events func(yield func(event.Event, error) bool)) {
			n := 0
			for e, err := range events {
				if err != nil || e.Position() == 0 {
					t.Fatal(err)
				}
				n++
			}
			if n != 1000 {
				t.Fatalf("%d events", n)
			}
		}
		if got := testing.AllocsPerRun(20, func() {
			if err := store.View(ctx, func(s *eventstore.Snapshot) error {
				count(s.Read(c.sel))
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}); got > c.view {
			t.Errorf("view %+v: %v allocations, at most %v", c.sel, got, c.view)
		}
		if got := testing.AllocsPerRun(20, func() { count(store.Read(ctx, c.sel)) }); got > c.read {
			t.Errorf("read %+v: %v allocations, at most %v", c.sel, got, c.read)
		}
	}
}
