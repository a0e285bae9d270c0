package projection

import (
	"bytes"
	"encoding/binary"

	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// pending is what was taken from an overlay to be stored: each row that changed
// once, however often it was written, in the order of the keys, which touches
// every page of the tree once. It is stored beside the folding of what follows,
// by a goroutine that looks at nothing else of the overlay.
type pending struct {
	build *build
	// at is how far the build was, failed why it was no further, and applied
	// how many events were handed to the handler for it.
	at      checkpoint
	failed  *HandlerError
	applied uint64
	memory  pieces
	rows    []change

	// total is how many rows there are, once it is stored.
	total uint64
	// entries are, when it is taken, those that rows have left.
	entries entryChanges
}

func (p *pending) reset() {
	p.memory, p.rows, p.total = pieces{}, emptied(p.rows), 0
	p.entries.reset()
}

// change is what is to be under a key: with the zero extent, nothing.
type change struct {
	head       uint64 // see rank
	key, after extent
	left       uint64 // of a row: see overlaid.left
}

// entryChanges are entries, of each index, that are to be removed or added. One
// that is to be both stays.
type entryChanges struct {
	lists   [][]change
	keys    arena // and values
	scratch []byte
}

func newEntryChanges(indexes int) entryChanges { return entryChanges{lists: make([][]change, indexes)} }

func (e *entryChanges) reset() {
	for i := range e.lists {
		e.lists[i] = emptied(e.lists[i])
	}
	e.keys.reset()
}

func (e *entryChanges) remove(v *view, index int, row, pk []byte) {
	e.scratch, _ = v.entry(e.scratch[:0], index, row, pk)
	e.lists[index] = append(e.lists[index], change{key: e.keys.copy(e.scratch)})
}

// takeBack undoes the last remove.
func (e *entryChanges) takeBack(index int) {
	e.lists[index] = e.lists[index][:len(e.lists[index])-1]
}

func (e *entryChanges) add(v *view, index int, row, pk []byte) {
	var columns int
	e.scratch, columns = v.entry(e.scratch[:0], index, row, pk)
	key := e.keys.copy(e.scratch)
	value := e.keys.copy(binary.LittleEndian.AppendUint16(e.scratch[:0], uint16(columns)))
	e.lists[index] = append(e.lists[index], change{key: key, after: value})
}

// flush stores the rows, and then for each index the difference between the rows
// as they were and as they are.
func (p *pending) flush(txn *lmdbenv.Txn, at func(failpoint) error) (err error) {
	if len(p.rows) > 0 {
		err = p.flushChanges(txn, at)
	}
	if err == nil {
		p.total, err = entries(txn, p.build.rows)
	}
	return err
}

func (p *pending) flushChanges(txn *lmdbenv.Txn, at func(failpoint) error) error {
	if err := p.flushRows(txn); err != nil {
		return err
	}
	if err := at(afterRows); err != nil {
		return err
	}
	for i := range p.entries.lists {
		if err := p.flushIndex(txn, i); err != nil {
			return err
		}
	}
	return at(afterIndexes)
}

func (p *pending) flushRows(txn *lmdbenv.Txn) error {
	w, err := newWriter(txn, p.build.rows)
	if err != nil {
		return err
	}
	defer w.cursor.Close()
	rank(p.rows, &p.memory)
	for i := range p.rows {
		c := &p.rows[i]
		key, row := p.memory.bytes(c.key), p.memory.row(c.after)
		err := w.write(key, row)
		if lmdbenv.IsNotFound(err) {
			return damaged(p.build.view, "", "the row of %x is gone", key)
		}
		if err != nil {
			return err
		}
		if row == nil || c.left == 0 {
			continue
		}
		for i := range p.entries.lists {
			if c.left&indexBit(i) != 0 {
				p.entries.add(p.build.view, i, row, key)
			}
		}
	}
	return nil
}

func (p *pending) flushIndex(txn *lmdbenv.Txn, i int) error {
	w, err := newWriter(txn, p.build.indexes[i])
	if err != nil {
		return err
	}
	defer w.cursor.Close()
	list, keys := p.entries.lists[i], &p.entries.keys.pieces
	rank(list, keys)
	for n := 0; n < len(list); n++ {
		key := keys.bytes(list[n].key)
		if n+1 < len(list) && list[n].head == list[n+1].head && bytes.Equal(key, keys.bytes(list[n+1].key)) {
			n++ // removed and added
			continue
		}
		if seeded == bugEntryStays && list[n].after == 0 {
			continue
		}
		err := w.write(key, keys.bytes(list[n].after))
		if lmdbenv.IsNotFound(err) {
			return damaged(p.build.view, p.build.view.indexes[i].Name, "the entry %x is gone", key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
