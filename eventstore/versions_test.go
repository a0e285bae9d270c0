package eventstore

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstoretest"
)

// TestVersionsOfOldTails asks tails that were kept while the events went on, or
// were trimmed, for versions.
func TestVersionsOfOldTails(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := newRecent(place{}, 1<<20, 2)
		versions := map[string]uint64{}
		position := uint64(0)
		streams := []string{"ledger-1", "ledger-2", "ledger-3", "ledger-4"}
		kept := []*tail{r.snapshot()}
		var past []event.Event // in the order of positions
		publish := func(n int) {
			var batch []event.Event
			for range n {
				stream := rapid.SampledFrom(streams).Draw(t, "stream")
				position++
				versions[stream]++
				batch = append(batch, sealed(t, stream, position, versions[stream]))
			}
			past = append(past, batch...)
			r.publish(batch)
		}
		for range 20 {
			if rapid.Bool().Draw(t, "publish") {
				publish(rapid.IntRange(1, 4).Draw(t, "events"))
			} else {
				r.release(rapid.Uint64Range(0, position).Draw(t, "release"))
				r.trim(rapid.Uint64Range(0, position).Draw(t, "trim"))
			}
			kept = append(kept, r.snapshot())
			for i, old := range kept {
				for _, stream := range streams {
					for _, after := range []uint64{old.base, old.base + (old.head.position-old.base)/2} {
						got, ok := old.Version(stream, after)
						want, known := lastVersion(past[:old.head.position], stream, after)
						if known && (!ok || got != want) || ok && got != versionAt(past[:old.head.position], stream) {
							t.Fatalf("tail %d of %d: behind %d %s has version %d, %v, want %d, %v", i, len(kept), after, stream, got, ok, want, known)
						}
					}
				}
			}
		}
	})
}

// lastVersion is that of the last event of a stream, if it is behind a position.
func lastVersion(events []event.Event, stream string, after uint64) (uint64, bool) {
	for _, e := range slices.Backward(events) {
		if e.Stream() == stream {
			return e.Version(), e.Position() > after
		}
	}
	return 0, false
}

func versionAt(events []event.Event, stream string) uint64 {
	version, _ := lastVersion(events, stream, 0)
	return version
}

// sealed is an event as the committer makes it.
func sealed(t *rapid.T, stream string, position, version uint64) event.Event {
	record, err := event.BuildRecord(&event.Append{Stream: stream, Events: []event.Proposed{eventstoretest.Struck(1)}}, 0, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	var id event.ID
	copy(id[8:], fmt.Sprintf("%08d", position))
	event.Seal(record, id, position, version)
	return event.Trusted(record)
}
