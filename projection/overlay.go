package projection

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/verbatim-es/verbatim/internal/lmdbenv"
	"github.com/verbatim-es/verbatim/schema/flat"
)

// overlay is what events have made of a build's rows since it was last stored.
// Handlers read and write it, never the environment's memory; [overlay.flush]
// stores each row once, however often it was written, in the order of the keys,
// which touches every page of the tree once. Far behind the log's end the rows
// are kept when they are stored, so that the next batch need not read them again.
type overlay struct {
	build *build
	rows  []overlaid
	// changed are the rows that were written since they were stored.
	changed []int32
	// byKey finds a row; its strings alias memory.
	byKey map[string]int32
	// claims say, for each unique index, which row has a value now. Values
	// that are in none are as the environment has them.
	claims []map[string]claim
	// undo takes back what the event at hand has changed.
	undo   []undo
	memory arena
	// lent means that somebody may still look at the memory after the reset.
	lent bool

	// What follows is used by flush alone.
	dirty   []ranked
	deltas  []delta
	order   []ranked
	entries arena // of the deltas
}

// overlaid is a row that was read or written. nil rows do not exist.
type overlaid struct {
	key []byte
	// stored is the row in the environment, now what it is for handlers.
	stored, now []byte
	// changed is whether the row is among the overlay's changed.
	changed bool
	// spare is memory for the next change: it held what the row was before an
	// event that has ended, so nobody looks at it any more.
	spare []byte
}

// claim says which row has a value of a unique index: that of the primary key
// pk, or none.
type claim struct{ pk []byte }

type undo struct {
	row   int32 // -1 for a claim
	index int
	value string
	// before is the row, or the owner of the claim; known is false for a claim
	// that there was none of.
	before []byte
	known  bool
}

// delta is a change of an index: an entry that is added or removed.
type delta struct {
	key     []byte
	columns int // length of the columns in it, 0 for a removal
}

func newOverlay(b *build) *overlay {
	o := &overlay{build: b, byKey: make(map[string]int32), claims: make([]map[string]claim, len(b.view.indexes))}
	for i, index := range b.view.indexes {
		if index.Unique {
			o.claims[i] = make(map[string]claim)
		}
	}
	return o
}

// reset empties the overlay and keeps its memory, which nobody may refer to any
// more.
func (o *overlay) reset() {
	if o.lent {
		o.memory, o.lent = arena{}, false
	}
	clear(o.byKey)
	clear(o.rows)
	for _, c := range o.claims {
		clear(c)
	}
	o.rows, o.changed, o.undo = o.rows[:0], o.changed[:0], o.undo[:0]
	o.memory.reset()
}

// stored makes the overlay what the environment is now that it was flushed.
func (o *overlay) stored() {
	for _, i := range o.changed {
		row := &o.rows[i]
		if row.spare == nil && !same(row.stored, row.now) {
			row.spare = row.stored
		}
		row.stored, row.changed = row.now, false
	}
	o.changed = o.changed[:0]
}

// size is roughly how many bytes the overlay takes.
func (o *overlay) size() int {
	claims := 0
	for _, c := range o.claims {
		claims += len(c)
	}
	return o.memory.used + len(o.rows)*overheadPerRow + claims*overheadPerClaim
}

const (
	// overheadPerRow is what a row takes beside its bytes: in rows, in the map
	// and in the lists that a flush sorts.
	overheadPerRow = 208
	// overheadPerClaim is what a value of a unique index takes in its map.
	overheadPerClaim = 64
)

// find returns the row with that key, which it reads when it is the first to
// ask.
func (o *overlay) find(txn *lmdbenv.Txn, key []byte) (int32, error) {
	if i, ok := o.byKey[flat.String(key)]; ok {
		return i, nil
	}
	stored, found, err := getKey(txn, o.build.rows, key)
	if err != nil {
		return 0, err
	}
	row := overlaid{key: o.memory.copy(key)}
	if found {
		if err := o.build.view.plan.VerifySizePrefixed(stored); err != nil {
			return 0, damaged(o.build.view, "", "the stored row of %x is no %s: %v", key, o.build.view.table, err)
		}
		row.stored = o.memory.copy(stored)
		row.now = row.stored
	}
	i := int32(len(o.rows))
	o.rows = append(o.rows, row)
	o.byKey[flat.String(row.key)] = i
	return i, nil
}

// set changes a row, nil to remove it. bytes is copied.
func (o *overlay) set(i int32, bytes []byte) {
	row := &o.rows[i]
	o.undo = append(o.undo, undo{row: i, before: row.now})
	if !row.changed {
		row.changed = true
		o.changed = append(o.changed, i)
	}
	switch {
	case bytes == nil:
		row.now = nil
	case cap(row.spare) >= len(bytes):
		row.now, row.spare = append(row.spare[:0], bytes...), nil
	default:
		row.now = o.memory.copy(bytes)
	}
}

// claim gives a value of a unique index to the row of pk, or with nil to none.
// Both are copied.
func (o *overlay) claim(index int, value, pk []byte) {
	before, known := o.claims[index][flat.String(value)]
	own := flat.String(o.memory.copy(value))
	o.undo = append(o.undo, undo{row: -1, index: index, value: own, before: before.pk, known: known})
	if pk != nil {
		pk = o.memory.copy(pk)
	}
	o.claims[index][own] = claim{pk: pk}
}

// keep makes what the event at hand has changed stay. What it has replaced can
// be written over from now on, unless it is the row in the environment.
func (o *overlay) keep() {
	for _, u := range o.undo {
		if u.row < 0 || u.before == nil {
			continue
		}
		if row := &o.rows[u.row]; !same(u.before, row.stored) {
			row.spare = u.before
		}
	}
	o.undo = o.undo[:0]
}

// same reports whether two rows are the same memory.
func same(a, b []byte) bool { return len(a) > 0 && len(b) > 0 && &a[0] == &b[0] }

// revert takes back what the event at hand has changed.
func (o *overlay) revert() {
	for _, u := range slices.Backward(o.undo) {
		switch {
		case u.row >= 0:
			o.rows[u.row].now = u.before
		case u.known:
			o.claims[u.index][u.value] = claim{pk: u.before}
		default:
			delete(o.claims[u.index], u.value)
		}
	}
	o.undo = o.undo[:0]
}

// flush stores what changed. The overlay stays as it is until its reset, or until
// it is told that this is stored now.
func (o *overlay) flush(txn *lmdbenv.Txn, at func(failpoint) error) error {
	o.dirty = o.dirty[:0]
	for _, i := range o.changed {
		if row := &o.rows[i]; !bytes.Equal(row.stored, row.now) || (row.stored == nil) != (row.now == nil) {
			o.dirty = append(o.dirty, ranked{at: i})
		}
	}
	if len(o.dirty) == 0 {
		return nil
	}
	rank(o.dirty, func(i int32) []byte { return o.rows[i].key })
	if err := o.flushRows(txn); err != nil {
		return err
	}
	if err := at(afterRows); err != nil {
		return err
	}
	for i := range o.build.indexes {
		if err := o.flushIndex(txn, i); err != nil {
			return err
		}
	}
	return at(afterIndexes)
}

func (o *overlay) flushRows(txn *lmdbenv.Txn) error {
	w, err := newWriter(txn, o.build.rows)
	if err != nil {
		return err
	}
	defer w.cursor.Close()
	for _, d := range o.dirty {
		row := &o.rows[d.at]
		if row.now != nil {
			err = w.put(row.key, row.now)
		} else {
			err = w.remove(row.key)
		}
		if lmdbenv.IsNotFound(err) {
			return damaged(o.build.view, "", "the row of %x is gone", row.key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (o *overlay) flushIndex(txn *lmdbenv.Txn, i int) error {
	o.deltas, o.order = o.deltas[:0], o.order[:0]
	o.entries.reset()
	for _, d := range o.dirty {
		o.addDeltas(i, &o.rows[d.at])
	}
	for n := range o.deltas {
		o.order = append(o.order, ranked{at: int32(n)})
	}
	rank(o.order, func(n int32) []byte { return o.deltas[n].key })
	w, err := newWriter(txn, o.build.indexes[i])
	if err != nil {
		return err
	}
	defer w.cursor.Close()
	var mark [2]byte
	for _, r := range o.order {
		d := &o.deltas[r.at]
		if d.columns > 0 {
			binary.LittleEndian.PutUint16(mark[:], uint16(d.columns))
			err = w.put(d.key, mark[:])
		} else {
			err = w.remove(d.key)
		}
		if lmdbenv.IsNotFound(err) {
			return damaged(o.build.view, o.build.view.indexes[i].Name, "the entry %x is gone", d.key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// addDeltas adds what a row's change means for an index.
func (o *overlay) addDeltas(i int, row *overlaid) {
	v := o.build.view
	if row.stored != nil && row.now != nil && v.indexes[i].equal(row.stored, row.now) {
		return
	}
	if row.stored != nil && seeded != bugEntryStays {
		key, _ := o.entry(i, row.stored, row.key)
		o.deltas = append(o.deltas, delta{key: key})
	}
	if row.now != nil {
		key, columns := o.entry(i, row.now, row.key)
		o.deltas = append(o.deltas, delta{key: key, columns: columns})
	}
}

// entry returns the key of a row's entry in an index, valid until the next index
// is flushed, and how much of it are the columns.
func (o *overlay) entry(i int, row, pk []byte) (key []byte, columns int) {
	o.entries.scratch, columns = o.build.view.entry(o.entries.scratch[:0], i, row, pk)
	return o.entries.copy(o.entries.scratch), columns
}

// arena holds many small copies in few large pieces of memory.
type arena struct {
	chunks  [][]byte // all of the same capacity; what is large has memory of its own
	at      int      // the chunk being filled
	used    int      // bytes, in all
	scratch []byte
}

const arenaChunk = 256 << 10

func (a *arena) reset() {
	// Of what one batch needed, as much is kept as most batches need.
	const keep = 16
	if len(a.chunks) > keep && a.used < keep*arenaChunk {
		clear(a.chunks[keep:])
		a.chunks = a.chunks[:keep]
	}
	for i := range a.chunks {
		a.chunks[i] = a.chunks[i][:0]
	}
	a.at, a.used = 0, 0
}

// copy returns a copy of b that lives until the reset. It is never nil.
func (a *arena) copy(b []byte) []byte {
	a.used += len(b)
	if len(b) > arenaChunk/4 {
		return append(make([]byte, 0, len(b)), b...)
	}
	for a.at < len(a.chunks) && cap(a.chunks[a.at])-len(a.chunks[a.at]) < len(b) {
		a.at++
	}
	if a.at == len(a.chunks) {
		a.chunks = append(a.chunks, make([]byte, 0, arenaChunk))
	}
	start := len(a.chunks[a.at])
	a.chunks[a.at] = append(a.chunks[a.at], b...)
	return a.chunks[a.at][start:len(a.chunks[a.at]):len(a.chunks[a.at])]
}
