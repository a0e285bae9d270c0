package eventstore

import (
	"fmt"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/walk"
)

// finder finds the events that an index lists: neighbours by its window, one by
// a look-up, and many that lie scattered together.
type finder struct {
	view indexView
	window
	gathered  *walk.Batch
	positions []uint64 // of gathered
	asked     int      // how many of positions
	// ids and records are those of the snapshot, once they were needed.
	ids, records *walk.Tree
}

func (f *finder) close() {
	f.window.close()
	if f.gathered != nil {
		batches.Put(f.gathered)
		f.gathered = nil
	}
}

// scattered is how many positions it takes to look them up together, and how far
// they are apart at least, on average.
const scattered, apart = 4, 2

// gather looks at positions that the index listed, in the direction of reading,
// before they are asked for. There are at most [walk.Max], and they stay the
// caller's. What it does not find at asks for again.
func (f *finder) gather(positions []uint64) error {
	f.positions, f.asked = nil, 0
	v, n := f.view, len(positions)
	if n < scattered {
		return nil
	}
	if first, last := positions[0], positions[n-1]; max(first, last)-min(first, last) < uint64(apart*n) {
		return nil
	}
	if f.ids == nil {
		ids, err := v.mapped.Tree(v.env, v.txn, v.ids, idsName, 8)
		if err != nil {
			return err
		}
		records, err := v.log.mapped.Tree(v.log.env, v.log.txn, v.log.records, recordsName, 16)
		if err != nil {
			return err
		}
		f.ids, f.records, f.gathered = &ids, &records, batches.Get().(*walk.Batch)
	}
	f.gathered.FindAll(f.ids, f.records, positions, idsPerBlock)
	f.positions = positions
	return nil
}

// at returns the event at a position that the index listed. It aliases the map.
func (f *finder) at(position uint64) (event.Event, error) {
	if i := f.asked; i < len(f.positions) && f.positions[i] == position {
		f.asked++
		if record, ok := f.gathered.Placed(i, position); ok {
			return event.Trusted(record), nil
		}
	}
	if f.has(position) || f.next() == position {
		return f.window.at(f.view.log, position)
	}
	found, err := f.lookup(f.view, position)
	if err != nil {
		return event.Event{}, err
	}
	if found {
		return f.window.at(f.view.log, position)
	}
	var ids idTable
	at, err := ids.place(f.view, position)
	if err != nil {
		return event.Event{}, err
	}
	return event.Event{}, &event.CorruptError{Position: position, Message: fmt.Sprintf("the index names id %s, which is not in the log", at.id)}
}
