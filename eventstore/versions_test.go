package eventstore

import (
	"fmt"
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
		publish := func(n int) {
			var batch []event.Event
			for range n {
				stream := rapid.SampledFrom(streams).Draw(t, "stream")
				position++
				versions[stream]++
				batch = append(batch, sealed(t, stream, position, versions[stream]))
			}
			r.publish(batch)
		}
		for range 20 {
			if rapid.Bool().Draw(t, "publish") {
				publish(rapid.IntRange(1, 4).Draw(t, "events"))
			} else {
				r.trim(rapid.Uint64Range(0, position).Draw(t, "trim"))
			}
			kept = append(kept, r.snapshot())
			for i, old := range kept {
				for _, stream := range streams {
					got, ok := old.Version(stream)
					want, wanted := old.searchVersion(stream)
					if got != want || ok != wanted {
						t.Fatalf("tail %d of %d: %s has version %d, %v, want %d, %v", i, len(kept), stream, got, ok, want, wanted)
					}
				}
			}
		}
		r.trim(position)
		if n := len(r.versions.end); n > 0 && len(r.snapshot().chunks) == 0 {
			t.Fatalf("%d versions are kept of an empty tail", n)
		}
	})
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
