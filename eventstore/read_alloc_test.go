//go:build !race && !verbatimpoison

package eventstore_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/eventstoretest"
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
		{event.Selection{}, 30, 30},
		{event.Selection{Backward: true}, 30, 30},
		{event.Selection{Stream: "ledger-1"}, 50, 50},
		{event.Selection{Category: "ledger", Backward: true}, 50, 50},
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

// TestAllocsOfBuffer bounds what a page of a thousand events allocates that has a
// buffer to go to: nothing that grows with it.
func TestAllocsOfBuffer(t *testing.T) {
	store := open(t, t.TempDir())
	for range 10 {
		appendTo(t, store, "ledger-1", 100)
	}
	if report, err := store.Verify(t.Context()); err != nil || !report.OK() {
		t.Fatalf("%+v, %v", report, err) // the log is at the head now
	}
	buffer := make([]byte, 0, 1<<20)
	before := buffer[:1]
	if got := testing.AllocsPerRun(20, func() {
		page, err := store.ReadPage(t.Context(), event.Selection{}, event.PageOptions{MaxBytes: cap(buffer), Buffer: buffer})
		if err != nil || page.Count != 1000 || &page.Records[0] != &before[0] {
			t.Fatalf("%d events, %v", page.Count, err)
		}
	}); got > 12 {
		t.Errorf("%v allocations, at most 12", got)
	}
}

// TestAllocsOfScatteredEvents bounds what reading a hundred events of one stream
// among ten allocates: none of it is by event.
func TestAllocsOfScatteredEvents(t *testing.T) {
	const streams, events = 10, 100
	store := open(t, t.TempDir())
	for range events {
		a := event.Append{}
		for n := range streams {
			p := eventstoretest.Struck(1)
			p.Stream = fmt.Sprintf("ledger-%d", n)
			a.Events = append(a.Events, p)
		}
		if _, err := store.Append(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	if report, err := store.Verify(t.Context()); err != nil || !report.OK() {
		t.Fatalf("%+v, %v", report, err) // log and index are at the head now
	}
	if got := testing.AllocsPerRun(20, func() {
		n := 0
		if err := store.View(t.Context(), func(s *eventstore.Snapshot) error {
			for _, err := range s.Read(event.Selection{Stream: "ledger-3"}) {
				if err != nil {
					return err
				}
				n++
			}
			return nil
		}); err != nil || n != events {
			t.Fatalf("%d events, %v", n, err)
		}
	}); got > 50 {
		t.Errorf("%v allocations, at most 50", got)
	}
}
