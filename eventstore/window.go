package eventstore

import (
	"encoding/binary"
	"sync"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
	"github.com/verbatim-es/verbatim/internal/walk"
)

// window shows neighbouring records of the log. It moves on by itself when the
// next one is asked for, and grows each time: who reads one event reads no more
// than that.
type window struct {
	backward bool
	cursor   *lmdbenv.Cursor
	batch    *walk.Batch
	first    uint64 // position of the batch's first record, 0 before there is one
	count    int
	size     int // of the next batch
	// placed is set when the cursor is at the next batch's first record, not
	// before it.
	placed bool
}

var batches = sync.Pool{New: func() any { return new(walk.Batch) }}

func (w *window) close() {
	if w.cursor != nil {
		w.cursor.Close()
		batches.Put(w.batch)
		w.cursor, w.batch = nil, nil
	}
}

func (w *window) open(v logView) error {
	if w.cursor != nil {
		return nil
	}
	c, err := v.txn.OpenCursor(v.records)
	if err != nil {
		return err
	}
	w.cursor, w.batch = c, batches.Get().(*walk.Batch)
	return nil
}

// index returns where in the batch a position is, in the direction of reading.
func (w *window) index(position uint64) uint64 {
	if w.backward {
		return w.first - position
	}
	return position - w.first
}

func (w *window) has(position uint64) bool {
	return w.count > 0 && w.index(position) < uint64(w.count)
}

// next is the position behind the batch, 0 when there is none.
func (w *window) next() uint64 {
	switch {
	case w.count == 0:
		return 0
	case w.backward:
		return w.first - uint64(w.count)
	}
	return w.first + uint64(w.count)
}

// find moves to a position from the nearest one whose id the log keeps.
func (w *window) find(v logView, position uint64) error {
	if err := w.open(v); err != nil {
		return err
	}
	at := position / sparseStep * sparseStep
	var err error
	if at == 0 {
		at = 1
		_, _, err = w.cursor.Get(nil, nil, lmdbenv.First)
	} else {
		var id []byte
		id, err = v.txn.Get(v.positions, binary.BigEndian.AppendUint64(nil, at))
		if err == nil {
			_, _, err = w.cursor.Get(id, nil, lmdbenv.SetKey)
		}
	}
	found := err == nil
	if found {
		found, err = walk.Skip(w.cursor, position-at)
	}
	if !found && err == nil || lmdbenv.IsNotFound(err) {
		return &event.CorruptError{Position: position, Message: "the log has no way to it"}
	}
	w.moved(position)
	return err
}

// lookup moves to a position by the index's table of ids, and reports false when
// that does not lead to a record.
func (w *window) lookup(v indexView, position uint64) (bool, error) {
	if err := w.open(v.log); err != nil {
		return false, err
	}
	ids, err := v.idCursor()
	if err != nil {
		return false, err
	}
	block, offset := idBlock(position)
	found, err := w.batch.Find(ids, block, offset, idBlockBytes, w.cursor)
	if w.moved(position); found {
		w.count, w.size, w.placed = 1, 4, false
	}
	return found, err
}

func (w *window) moved(position uint64) {
	w.first, w.count, w.size, w.placed = position, 0, 1, true
}

// at returns the event at a position that the window has, is at, or comes to
// next. It aliases the map.
func (w *window) at(v logView, position uint64) (event.Event, error) {
	if !w.has(position) {
		if err := w.fill(position); err != nil {
			return event.Event{}, err
		}
	}
	i := int(w.index(position))
	if record, ok := w.batch.Placed(i, position); ok {
		return event.Trusted(record), nil
	}
	key, record := w.batch.Record(i)
	return checked(key, record, position)
}

// fill reads the next batch, which begins at a position.
func (w *window) fill(position uint64) error {
	further := uint(lmdbenv.Next)
	if w.backward {
		further = lmdbenv.Prev
	}
	first := further
	if w.placed {
		first = lmdbenv.Current
	}
	count, err := w.batch.Fill(w.cursor, first, further, w.size)
	if err != nil {
		return err
	}
	if count == 0 {
		return &event.CorruptError{Position: position, Message: "it is missing in the log"}
	}
	w.first, w.count, w.placed = position, count, false
	w.size = min(4*w.size, walk.Max)
	return nil
}
