package eventstore

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstoretest"
	"github.com/verbatim-es/verbatim/internal/walk"
)

// TestScatteredEventsAreGathered reads events that lie far apart: all of them are
// found together, by what the finder does for it and not one by one.
func TestScatteredEventsAreGathered(t *testing.T) {
	t.Parallel()
	store, err := Open(t.TempDir(), Options{Schemas: eventstoretest.Schema})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	const events, streams = 6000, 40
	for first := 0; first < events; first += 1000 {
		var a event.Append
		for i := range 1000 {
			p := eventstoretest.Noted("n", 1)
			p.Stream = fmt.Sprintf("ledger-%d", (first+i)%streams)
			a.Events = append(a.Events, p)
		}
		if _, err := store.Append(context.Background(), a); err != nil {
			t.Fatal(err)
		}
	}
	if report, err := store.Verify(context.Background()); err != nil || !report.OK() {
		t.Fatalf("%+v, %v", report, err) // log and index are at the head now
	}
	snap, err := store.snapshot(true)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.close()
	var positions []uint64
	for position := uint64(7); position <= events; position += streams {
		positions = append(positions, position)
	}
	for _, backward := range []bool{false, true} {
		if backward {
			slices.Reverse(positions)
		}
		f := finder{view: snap.index, window: window{backward: backward}}
		for some := range slices.Chunk(positions, ahead) {
			if err := f.gather(some); err != nil {
				t.Fatal(err)
			}
			if len(f.positions) != len(some) {
				t.Fatalf("%d of %d positions were looked up together", len(f.positions), len(some))
			}
			missing := 0
			for i, position := range some {
				if _, ok := f.gathered.Placed(i, position); !ok {
					missing++
				}
				if e, err := f.at(position); err != nil || e.Position() != position {
					t.Errorf("position %d: %v, %v", position, e, err)
				}
			}
			if missing > fewMissing && walk.Able() {
				t.Errorf("%d of %d were not gathered", missing, len(some))
			}
		}
		// Neighbours are for the window.
		if err := f.gather([]uint64{100, 101, 102, 103, 104}); err != nil || f.positions != nil {
			t.Errorf("neighbours were gathered, %v", err)
		}
		f.close()
	}
}
