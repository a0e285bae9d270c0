package eventstore_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"testing"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/eventstoretest"
)

func view(t *testing.T, store *eventstore.Store, s event.Selection) (records []string) {
	t.Helper()
	if err := store.View(t.Context(), func(snap *eventstore.Snapshot) error {
		for e, err := range snap.Read(s) {
			if err != nil {
				return err
			}
			records = append(records, string(e.Record()))
		}
		return nil
	}); err != nil {
		t.Fatalf("view %+v: %v", s, err)
	}
	return records
}

func TestViewIsRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := open(t, dir)
	for range 3 {
		appendTo(t, store, "ledger-1", 400)
		appendTo(t, store, "ledger-2", 30)
	}
	verifyAndClose(t, store)
	store = open(t, dir)
	appendTo(t, store, "ledger-1", 10) // in the tail
	for _, s := range []event.Selection{
		{}, {Backward: true}, {After: 500}, {After: 500, Backward: true}, {Limit: 700}, {Limit: 1, After: 299},
		{Stream: "ledger-2"}, {Stream: "ledger-1", Backward: true}, {Stream: "ledger-1", FromVersion: 1100},
		{Category: "ledger", Limit: 1000}, {Types: []string{"contract."}, After: 3}, {Types: []string{eventstoretest.StruckType}, Backward: true, Limit: 5},
		{Stream: "none"},
	} {
		got, want := view(t, store, s), read(t, store, s)
		if !slices.Equal(got, want) {
			t.Errorf("%+v: %d events viewed, %d read", s, len(got), len(want))
		}
	}
}

// TestViewStandsStill appends while a view is open, and does not see it.
func TestViewStandsStill(t *testing.T) {
	t.Parallel()
	store := open(t, t.TempDir())
	appendTo(t, store, "ledger-1", 5)
	if err := store.View(t.Context(), func(snap *eventstore.Snapshot) error {
		for range 2 {
			appended := make(chan struct{})
			go func() {
				appendTo(t, store, "ledger-1", 5)
				close(appended)
			}()
			<-appended
			for _, s := range []event.Selection{{}, {Stream: "ledger-1"}, {Backward: true}} {
				n := 0
				for _, err := range snap.Read(s) {
					if err != nil {
						return err
					}
					n++
				}
				if head := snap.Head(); n != 5 || head.Position != 5 || head.First != 1 || head.Store != store.StoreID() {
					t.Errorf("%+v: %d events, head %+v", s, n, head)
				}
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func TestViewEnds(t *testing.T) {
	t.Parallel()
	store := open(t, t.TempDir())
	appendTo(t, store, "ledger-1", 5)
	one := errors.New("one")
	var kept *eventstore.Snapshot
	ctx, cancel := context.WithCancel(t.Context())
	if err := store.View(ctx, func(snap *eventstore.Snapshot) error {
		kept = snap
		for e, err := range snap.Read(event.Selection{}) {
			if err != nil || e.Position() == 2 {
				break
			}
		}
		failed := 0
		for _, err := range snap.Read(event.Selection{After: 6}) {
			if !errors.As(err, new(*event.ArgumentError)) {
				t.Errorf("beyond the head: %v", err)
			}
			failed++
		}
		for _, err := range snap.Read(event.Selection{Limit: -1}) {
			if !errors.As(err, new(*event.ArgumentError)) {
				t.Errorf("a limit below zero: %v", err)
			}
			failed++
		}
		if failed != 2 {
			t.Errorf("%d errors, want 2", failed)
		}
		return one
	}); err != one {
		t.Errorf("what the function returned: %v", err)
	}
	for _, err := range kept.Read(event.Selection{}) {
		if !errors.As(err, new(*event.ArgumentError)) {
			t.Errorf("an expired snapshot: %v", err)
		}
	}
	if head := kept.Head(); head.Position != 0 {
		t.Errorf("an expired snapshot has head %+v", head)
	}
	cancel()
	if err := store.View(ctx, func(*eventstore.Snapshot) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("without anybody waiting: %v", err)
	}
}

// TestPulledViewEnds pulls events from a sequence whose View has returned: from
// the log, the index and the tail.
func TestPulledViewEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := open(t, dir)
	appendTo(t, store, "ledger-1", 500)
	verifyAndClose(t, store)
	store = open(t, dir)
	appendTo(t, store, "ledger-1", 10)
	for _, s := range []event.Selection{
		{}, {Backward: true}, {Limit: 1}, {Stream: "ledger-1"}, {Types: []string{"contract."}, After: 490}, {After: 503}, {Category: "ledger", After: 503},
	} {
		var next func() (event.Event, error, bool)
		var stop func()
		if err := store.View(t.Context(), func(snap *eventstore.Snapshot) error {
			next, stop = iter.Pull2(snap.Read(s))
			_, err, ok := next()
			if !ok {
				t.Errorf("%+v: nothing was read", s)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if _, err, ok := next(); !ok || !errors.As(err, new(*event.ArgumentError)) {
			t.Errorf("%+v: pulled behind the end of the view: %v, %v", s, err, ok)
		}
		if _, err, ok := next(); ok {
			t.Errorf("%+v: it goes on: %v", s, err)
		}
		stop()
	}
}

func TestViewEndsWithItsContext(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := open(t, dir)
	appendTo(t, store, "ledger-1", 500)
	verifyAndClose(t, store)
	store = open(t, dir)
	for _, s := range []event.Selection{{}, {Stream: "ledger-1"}} {
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		if err := store.View(ctx, func(snap *eventstore.Snapshot) error {
			for _, err := range snap.Read(s) {
				if err != nil {
					return err
				}
				n++
				cancel()
			}
			return nil
		}); !errors.Is(err, context.Canceled) || n == 500 {
			t.Errorf("%+v: %v after %d events", s, err, n)
		}
	}
}

func TestViewOfClosedStore(t *testing.T) {
	t.Parallel()
	store := open(t, t.TempDir())
	verifyAndClose(t, store)
	if err := store.View(t.Context(), func(*eventstore.Snapshot) error { return nil }); !errors.Is(err, event.ErrUnavailable) {
		t.Errorf("closed: %v", err)
	}
}
