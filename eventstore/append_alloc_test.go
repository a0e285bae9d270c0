//go:build !race

package eventstore

import (
	"testing"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstoretest"
)

// TestAppendAllocs bounds what one append costs the garbage collector: the
// proposal, its record and its receipt, the derived tag, and what a batch of one
// needs.
func TestAppendAllocs(t *testing.T) {
	s := openFaulty(t, shmDir(t), Options{MaxJournal: 64 << 20, hooks: hooks{interval: time.Hour}})
	a := event.Append{
		Stream: "ledger-1", Events: []event.Proposed{eventstoretest.Noted("x", 1)},
		Conditions: []event.Condition{event.StreamPresent{Stream: "ledger-1"}},
	}
	mustAppend(t, s, event.Append{Stream: "ledger-1", Events: a.Events})
	const limit = 12
	if got := testing.AllocsPerRun(500, func() { mustAppend(t, s, a) }); got > limit {
		t.Errorf("an append allocates %v times, want at most %d", got, limit)
	}
}
