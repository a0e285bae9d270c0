package projection

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/verbatim-es/verbatim/event"
)

// slowDisk holds up the first transaction for which it is armed, until a handler
// has an event of a later batch; then it answers with err.
type slowDisk struct {
	armed, taken, held atomic.Bool
	later              chan struct{}
	once               sync.Once
	err                error
}

func (d *slowDisk) at(point failpoint) error {
	switch {
	case point == beforeStore && d.armed.CompareAndSwap(true, false):
		d.taken.Store(true)
	case point == beforeCommit && d.taken.Load() && d.held.CompareAndSwap(false, true):
		<-d.later
		return d.err
	}
	return nil
}

// handler is called by the handler that the disk waits for.
func (d *slowDisk) handler(event.Event) error {
	if d.taken.Load() {
		d.once.Do(func() { close(d.later) })
	}
	return nil
}

// Views are folded while what they were is stored; when that fails, it is done
// again, and so is what was folded meanwhile.
func TestStoringBesideFolding(t *testing.T) {
	t.Parallel()
	for _, rebuild := range []bool{false, true} {
		for _, trouble := range []error{nil, errors.New("the disk is full")} {
			t.Run(fmt.Sprintf("rebuild %v, trouble %v", rebuild, trouble), func(t *testing.T) {
				t.Parallel()
				disk := &slowDisk{later: make(chan struct{}), err: trouble}
				m := newMemory()
				var last uint64
				for i := range 100 {
					sku := fmt.Sprint(i % 9)
					typ := stocked
					if i%5 == 4 {
						typ = removed
					}
					last = m.addItem(t, typ, item{SKU: sku, Owner: fmt.Sprint(i % 3), Code: sku, Amount: int64(i)})
				}
				dir := t.TempDir()
				if rebuild { // of views that have no work, so that it need not hold back
					e := open(t, dir, m, items(nil), counts(nil))
					agree(t, e, m, last, "items", "counts")
					closeEngine(t, e)
				}
				disk.armed.Store(true)
				e := openWith(t, dir, m, disk.at, items(disk.handler), counts(nil))
				if rebuild {
					if err := e.Rebuild(t.Context(), "items"); err != nil {
						t.Fatal(err)
					}
				}
				agree(t, e, m, last, "items", "counts")
				if !disk.held.Load() {
					t.Error("no transaction was held up")
				}
			})
		}
	}
}

// A view whose entries are found damaged as they are stored is parked where its
// checkpoint is, and what others have folded meanwhile is done again.
func TestDamageFoundBesideFolding(t *testing.T) {
	t.Parallel()
	m, dir := newMemory(), t.TempDir()
	e := open(t, dir, m, items(nil), counts(nil))
	last := m.addItem(t, stocked, item{SKU: "1", Amount: 5})
	agree(t, e, m, last, "items", "counts")
	loseEntry(t, e, e.views["items"][0].main, item{SKU: "1", Amount: 5})
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range 40 { // several batches
		last = m.addItem(t, stocked, item{SKU: fmt.Sprint(i % 4)})
	}
	e = open(t, dir, m, items(nil), counts(nil))
	s := statsOf(t, e, "items", func(v ViewStats) bool { return v.Parked != nil })
	if s.Parked.Position != 2 || s.Position != 1 {
		t.Errorf("stats: %+v", s)
	}
	agree(t, e, m, last, "counts")
	if err := e.Rebuild(t.Context(), "items"); err != nil {
		t.Fatal(err)
	}
	agree(t, e, m, last, "items", "counts")
}
