package projection

import (
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestBatchBytesBoundsMemory folds rows that are large, and far more than may be
// held in memory: by the live views together, and by builds that catch up.
func TestBatchBytesBoundsMemory(t *testing.T) {
	t.Parallel()
	const events, note, most = 1500, 4096, 256 << 10
	m := newMemory()
	for i := range events {
		m.addItem(t, stocked, item{SKU: strconv.Itoa(i), Code: strconv.Itoa(i), Note: strings.Repeat("n", note)})
	}
	second := items(nil)
	second.Version = "2"
	var engine atomic.Pointer[Engine]
	largest := 0
	e, err := Open(t.TempDir(), m, Options{
		Logger: quiet(), MapSize: 1 << 30, MaxWait: 30 * time.Second, BatchBytes: most,
		failpoint: func(at failpoint) error { // on the follower's goroutine, with all that is to be stored
			if e := engine.Load(); e != nil && at == beforeStore {
				largest = max(largest, inMemory(e))
			}
			return nil
		},
	}, items(nil), second)
	if err != nil {
		t.Fatal(err)
	}
	engine.Store(e)
	t.Cleanup(func() { closeEngine(t, e) })
	agree(t, e, m, events, "items", "items@2")
	if err := e.Rebuild(t.Context(), "items"); err != nil {
		t.Fatal(err)
	}
	agree(t, e, m, events, "items")
	if err := e.Close(); err != nil { // so that the follower has ended
		t.Fatal(err)
	}
	// What one event changes in two views, and lining them up, is what may be on
	// top: a handful of rows.
	if row := note + 1024; largest < most/4 || largest > most+8*row {
		t.Errorf("%d bytes were in memory, %d are allowed", largest, most)
	}
}

// inMemory is what all builds have in memory. It is for the follower's goroutine.
func inMemory(e *Engine) (bytes int) {
	for _, v := range e.all {
		for _, b := range v.builds {
			if b.fold == nil {
				bytes += b.overlay.size()
			}
		}
	}
	return bytes
}
