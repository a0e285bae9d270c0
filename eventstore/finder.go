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
	// records is that of the snapshot once there is gathered, and ids once it was
	// needed.
	records, ids walk.Tree
	hasIDs       bool
}

func (f *finder) close() {
	f.window.close()
	if f.gathered != nil {
		batches.Put(f.gathered)
		f.gathered = nil
	}
}

const (
	// apart is how far positions are from each other at least, on average, that
	// are looked up together.
	apart = 2
	// fewMissing is how many of them may be missing on the pages that are known,
	// for the others to be looked up one by one: a few always are, since each
	// transaction begins on pages that it finds free somewhere.
	fewMissing = 2
)

// gather looks at positions that the index listed, in the direction of reading,
// before they are asked for. There are at most [walk.Max], and they stay the
// caller's. What it does not find at asks for again.
func (f *finder) gather(positions []uint64) error {
	f.positions, f.asked = nil, 0
	v, n := f.view, len(positions)
	if n == 0 || f.has(positions[0]) || f.next() == positions[0] {
		return nil
	}
	if first, last := positions[0], positions[n-1]; n > 1 && max(first, last)-min(first, last) < uint64(apart*n) {
		return nil
	}
	if f.gathered == nil {
		records, err := v.log.mapped.Tree(v.log.env, v.log.txn, v.log.records, recordsName, 16)
		if err != nil {
			return err
		}
		f.records, f.gathered = records, batches.Get().(*walk.Batch)
	}
	f.positions = positions
	if f.gathered.FindKnown(&f.records, &v.log.places, positions) <= fewMissing {
		return nil
	}
	if !f.hasIDs {
		ids, err := v.mapped.Tree(v.env, v.txn, v.ids, idsName, 8)
		if err != nil {
			return err
		}
		f.ids, f.hasIDs = ids, true
	}
	f.gathered.FindAll(&f.ids, &f.records, &v.log.places, positions, idsPerBlock)
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
