package eventstore

import (
	"time"

	"github.com/verbatim-es/verbatim/internal/journal"
)

// hooks let a test take part where a crash or a failing disk matters. The zero
// value does nothing.
type hooks struct {
	// fs takes the place of the disk that the journal is on.
	fs journal.FS
	// interval takes the place of foldInterval and indexInterval, chunk that of
	// chunkEvents, and run that of runBytes.
	interval time.Duration
	chunk    int
	run      int
	// forget takes the place of forgetStep.
	forget int
	// at is called at every point, from the goroutine that is there. What it
	// returns is taken for the disk's answer, where there can be one.
	at func(point) error
}

// point is a place on an event's way to the disk.
type point string

// Where a point can fail, what it returns takes the place of the result.
const (
	pointPersist   point = "persist"   // can fail: before the journal's write
	pointPersisted point = "persisted" // can fail: durable, not yet visible
	pointPublished point = "published" // visible, not yet acknowledged
	pointFold      point = "fold"      // can fail: before a transaction of the log
	pointFolded    point = "folded"    // can fail: after it, before the journal is recycled
	pointRecycled  point = "recycled"
	pointIndex     point = "index"   // can fail: before a transaction of the index
	pointIndexed   point = "indexed" // can fail: after it, before the tail is trimmed
	pointForget    point = "forget"  // can fail: before a transaction of the index that forgets keys
	pointTrimmed   point = "trimmed"
	pointOpened    point = "opened"  // the journal was read, nothing of it folded
	pointCaughtUp  point = "caught"  // the log has caught up, the index has not
	pointWaiting   point = "waiting" // a reader has found nothing, and is about to wait
	pointEmptied   point = "emptied" // log and index are at the head, the journal is still open
)

func (h *hooks) reach(p point) error {
	if h.at == nil {
		return nil
	}
	return h.at(p)
}

// around does what is between two points, unless the first fails.
func (h *hooks) around(before, after point, do func() error) error {
	if err := h.reach(before); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return h.reach(after)
}
