package eventstore

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/verbatim-es/verbatim/event"
)

// large is an append of one record of a little more than 100 KiB.
func large() event.Append {
	a := struck("ledger-1")
	a.Events[0].Metadata = []event.Meta{{Key: "pad", Value: strings.Repeat("x", 100<<10)}}
	return a
}

// TestTailOfLargeRecordsIsTrimmed has log and index be one event behind all the
// time: that is all that must stay in memory, but for a chunk.
func TestTailOfLargeRecordsIsTrimmed(t *testing.T) {
	t.Parallel()
	const bound = 16 << 20
	r := newRecent(place{}, bound, 0)
	a := large()
	for position := uint64(1); position <= 200; position++ {
		record, err := event.BuildRecord(&a, 0, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		event.Seal(record, event.ID{15: byte(position)}, position, position)
		r.publish([]event.Event{event.Trusted(record)})
		r.release(position - 1)
		r.trim(position - 1)
		if got, most := r.snapshot().bytes(), int64(bound/partsOfTail+2*len(record)); got > most {
			t.Fatalf("%d bytes are in memory at position %d, want %d at most", got, position, most)
		}
	}
}

// TestFullTailIsNotWaitedOut appends more than the tail takes while log and index
// would follow by themselves in an hour.
func TestFullTailIsNotWaitedOut(t *testing.T) {
	t.Parallel()
	s := openFaulty(t, t.TempDir(), Options{
		MaxTail: 1 << 20, MaxAppend: 1 << 20, MaxJournal: 16 << 20,
		hooks: hooks{interval: time.Hour},
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range 60 {
		if _, err := s.Append(ctx, large()); err != nil {
			t.Fatal(err)
		}
	}
}
