package eventstore

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstoretest"
)

// TestReadsWhileTheIndexLags asks for what the log has and the index has not, in
// every way, and again once the index has it.
func TestReadsWhileTheIndexLags(t *testing.T) {
	t.Parallel()
	s := openFaulty(t, t.TempDir(), Options{hooks: hooks{interval: time.Hour, chunk: 8}})
	var times []time.Time
	for n := range 100 {
		a := event.Append{Stream: fmt.Sprintf("ledger-%d", n%3), Key: fmt.Sprintf("key-%d", n)}
		a.Events = []event.Proposed{eventstoretest.Struck(1), eventstoretest.Noted(fmt.Sprintf("note-%d", n%5), 1)}
		times = append(times, mustAppend(t, s, a).IDs[0].Timestamp())
	}
	if err := s.folder.await(t.Context(), 190); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, struck("ledger-1")) // held
	if now := s.recent.snapshot(); now.base != 0 || now.held < 190 || now.held >= now.head.position {
		t.Fatalf("the tail lists what is behind %d, and holds what is behind %d, of %d", now.base, now.held, now.head.position)
	}
	middle := s.recent.snapshot().placeAt(77).id
	selections := []event.Selection{
		{}, {After: 33}, {Stream: "ledger-1"}, {Stream: "ledger-2", FromVersion: 17}, {Category: "ledger"},
		{Types: []string{eventstoretest.StruckType}}, {Types: []string{"contract."}}, {Query: event.Query{{Tags: []string{"text:note-3"}}}},
		{AfterID: middle}, {Since: times[50]}, {Stream: "ledger-0", AfterID: middle},
	}
	read := func(sel event.Selection) (positions []uint64) {
		for e, err := range s.Read(t.Context(), sel) {
			if err != nil {
				t.Fatalf("%+v: %v", sel, err)
			}
			positions = append(positions, e.Position())
		}
		return positions
	}
	ask := func() (answers []string) {
		for _, sel := range selections {
			forward := read(sel)
			if sel.Backward = sel.Since.IsZero() && sel.FromVersion == 0; sel.Backward {
				answers = append(answers, fmt.Sprint(sel, read(sel)))
			}
			answers = append(answers, fmt.Sprint(sel, forward))
		}
		for n := range 100 {
			receipt, ok, err := s.AppendByKey(t.Context(), fmt.Sprintf("key-%d", n))
			answers = append(answers, fmt.Sprint(receipt, ok, err))
		}
		var conflict *event.ConflictError
		none := event.NoneMatch{Query: event.Query{{Tags: []string{"text:note-4"}}}, After: 150}
		_, err := s.Append(t.Context(), event.Append{Stream: "ledger-9", Events: []event.Proposed{eventstoretest.Struck(1)}, Conditions: []event.Condition{none}})
		if !errors.As(err, &conflict) {
			t.Errorf("a condition that does not hold: %v", err)
		} else {
			answers = append(answers, fmt.Sprint(conflict.Position))
		}
		_, err = s.Append(t.Context(), event.Append{Stream: "ledger-1", Events: []event.Proposed{eventstoretest.Struck(1)}, Conditions: []event.Condition{event.StreamAt{Stream: "ledger-1", Version: 1}}})
		return append(answers, fmt.Sprint(err))
	}
	lagging := ask()
	if err := s.indexer.await(t.Context(), 190); err != nil {
		t.Fatal(err)
	}
	if indexed := ask(); !slices.Equal(lagging, indexed) {
		for i := range indexed {
			if lagging[i] != indexed[i] {
				t.Errorf("before the index had it:\n%.200s\nthen:\n%.200s", lagging[i], indexed[i])
			}
		}
	}
	if now := s.recent.snapshot(); now.base < 150 {
		t.Errorf("the tail still lists what is behind %d", now.base)
	}
	for i, want := range []int{201, 168, 67} {
		if got := len(read(selections[i])); got != want {
			t.Errorf("%+v: %d events, want %d", selections[i], got, want)
		}
	}
}

// TestOldSnapshotsKeepTheirRecords has the log take up what a snapshot that was
// taken before looks at.
func TestOldSnapshotsKeepTheirRecords(t *testing.T) {
	t.Parallel()
	s := openFaulty(t, t.TempDir(), Options{hooks: hooks{interval: time.Hour, chunk: 2}})
	for range 9 {
		mustAppend(t, s, struck("ledger-1"))
	}
	err := s.View(t.Context(), func(snap *Snapshot) error {
		if _, err := s.settle(t.Context()); err != nil {
			return err
		}
		n := uint64(0)
		for e, err := range snap.Read(event.Selection{Stream: "ledger-1"}) {
			if n++; err != nil || e.Position() != n {
				return fmt.Errorf("event %d of the snapshot: %w", n, err)
			}
		}
		if n != 9 {
			return fmt.Errorf("%d events", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if now := s.recent.snapshot(); len(now.slabs)+len(now.chunks) > 0 || now.bytes() != 0 {
		t.Errorf("%d slabs and %d chunks of %d bytes are kept", len(now.slabs), len(now.chunks), now.bytes())
	}
}
