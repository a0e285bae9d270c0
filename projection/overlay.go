package projection

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"github.com/verbatim-es/verbatim/internal/keytable"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
	"github.com/verbatim-es/verbatim/schema/flat"
)

// overlay is what events have made of a build's rows since it was last stored.
// Handlers read and write it, never the environment's memory; what is to be
// stored is taken from it, see [pending]. Far behind the log's end the rows are
// kept then, so that the next batch need not read them again.
type overlay struct {
	build *build
	rows  []overlaid
	byKey keytable.Table
	// last is the row that was found last: handlers read a row and then write it.
	last int32
	// whole means that the rows are all there are: others are not stored.
	whole bool
	// changed are the rows that were written since they were taken.
	changed []int32
	// left are the entries, of each index, that changed rows had and have no
	// more, or may have again.
	left entryChanges
	// claims say, for each unique index, which row has a value now. Values
	// that are in none are as the environment has them.
	claims []map[string]claim
	// undo takes back what the event at hand has changed.
	undo   []undo
	memory arena
	// lent means that somebody may still look at the memory after the reset.
	lent bool

	// pending is what was taken to be stored. While that is done, there must be
	// neither a reset nor another take.
	pending pending
	// held is memory that pending has, and rows have no more.
	held extents
}

// overlaid is a row that was read or written. It has no pointers, since there are
// very many.
type overlaid struct {
	// now is the row as it is for handlers, see pieces.row; the zero extent is
	// none.
	key, now extent
	// left are the indexes, by [indexBit], in which it is not under the entry
	// any more that it has in the environment.
	left uint64
	// stored is whether the row is in the environment, with what was taken.
	stored bool
	// changed is whether the row is among the overlay's changed, taken whether
	// its memory may be pending's.
	changed, taken bool
}

// indexBit is the bit of an index in sets of them. Beyond 64 of them, several
// share one: then all of these are in the set.
func indexBit(index int) uint64 { return 1 << (index % 64) }

const allIndexes = math.MaxUint64

// claim says which row has a value of a unique index: that of the primary key
// pk, or none.
type claim struct{ pk []byte }

type undo struct {
	row    int32    // -1 for a claim
	before overlaid // the row

	index int
	value string
	// owner is what the claim was; known is false when there was none.
	owner []byte
	known bool
}

func newOverlay(b *build) *overlay {
	n := len(b.view.indexes)
	o := &overlay{
		build: b, byKey: keytable.New(), last: -1, claims: make([]map[string]claim, n),
		left: newEntryChanges(n), pending: pending{build: b, entries: newEntryChanges(n)},
	}
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
	for _, c := range o.claims {
		clear(c)
	}
	o.byKey.Reset()
	o.rows, o.changed, o.undo = emptied(o.rows), emptied(o.changed), emptied(o.undo)
	o.last, o.whole = -1, false
	o.left.reset()
	o.pending.reset()
	o.memory.reset()
	o.held = emptied(o.held)
}

// begin is told what the environment has while a fold reads it: when that is no
// row at all, none has to be looked for.
func (o *overlay) begin(txn *lmdbenv.Txn) error {
	if len(o.rows) > 0 || o.whole {
		return nil
	}
	n, err := entries(txn, o.build.rows)
	o.whole = n == 0
	return err
}

// take puts what has changed into pending. From then on, the overlay is about
// what comes behind it: for it, pending is stored. What comes to nothing instead
// has to be followed by a reset.
func (o *overlay) take() *pending {
	for _, e := range o.held { // by the last pending, and by no handler: its event has ended
		o.memory.giveBack(e)
	}
	o.held = o.held[:0]
	p := &o.pending
	p.reset()
	p.memory = o.memory.pieces
	p.entries, o.left = o.left, p.entries
	for _, i := range o.changed {
		row := &o.rows[i]
		if !row.stored {
			row.left = allIndexes // it has no entries yet
		}
		if row.stored || row.now != 0 {
			p.rows = append(p.rows, change{key: row.key, after: row.now, left: row.left})
		}
		row.left, row.stored, row.changed, row.taken = 0, row.now != 0, false, true
	}
	o.changed = o.changed[:0]
	return p
}

// size is roughly how many bytes the overlay takes.
func (o *overlay) size() int {
	claims := 0
	for _, c := range o.claims {
		claims += len(c)
	}
	return o.memory.used + o.left.keys.used + len(o.rows)*overheadPerRow + claims*overheadPerClaim
}

const (
	// overheadPerRow is what a row takes beside its bytes: in rows, in the table
	// of keys and in the lists that a flush sorts.
	overheadPerRow = 128
	// overheadPerClaim is what a value of a unique index takes in its map.
	overheadPerClaim = 64
)

// row returns what a handler sees of a row, nil when there is none.
func (o *overlay) row(i int32) []byte { return o.memory.row(o.rows[i].now) }

// row returns the row at an extent, which may have had room for a longer one.
func (p *pieces) row(s extent) []byte {
	b := p.bytes(s)
	if b == nil {
		return nil
	}
	end := 4 + binary.LittleEndian.Uint32(b) // it was verified
	return b[:end:end]
}

// find returns the row with that key, which it reads when it is the first to
// ask.
func (o *overlay) find(rows *lookup, key []byte) (int32, error) {
	if o.last >= 0 && o.hasKey(o.last, key) {
		return o.last, nil
	}
	hash := o.byKey.Hash(key)
	if o.last = o.byKey.Find(hash, func(i int32) bool { return o.hasKey(i, key) }); o.last >= 0 {
		return o.last, nil
	}
	stored, found, err := o.look(rows, key)
	if err != nil {
		return 0, err
	}
	row := overlaid{key: o.memory.copy(key)}
	if found {
		row.now, row.stored = o.memory.lend(stored), true
	}
	o.last = int32(len(o.rows))
	o.rows = append(o.rows, row)
	o.byKey.Add(hash, o.last)
	return o.last, nil
}

func (o *overlay) hasKey(i int32, key []byte) bool {
	return bytes.Equal(o.memory.bytes(o.rows[i].key), key)
}

// look returns the row that the environment has.
func (o *overlay) look(rows *lookup, key []byte) (stored []byte, found bool, err error) {
	if o.whole {
		return nil, false, nil
	}
	stored, found, err = rows.row(key)
	if !found || err != nil {
		return nil, false, err
	}
	if err := o.build.view.plan.VerifySizePrefixed(stored); err != nil {
		return nil, false, damaged(o.build.view, "", "the stored row of %x is no %s: %v", key, o.build.view.table, err)
	}
	if len(stored) > maxRow {
		return nil, false, damaged(o.build.view, "", "the stored row of %x has %d bytes", key, len(stored))
	}
	return stored, true, nil
}

// set changes a row, nil to remove it. bytes is copied.
func (o *overlay) set(i int32, bytes []byte) {
	row := &o.rows[i]
	o.undo = append(o.undo, undo{row: i, before: *row})
	if row.stored {
		o.leave(row, bytes)
	}
	if !row.changed {
		row.changed = true
		o.changed = append(o.changed, i)
	}
	if row.now, row.taken = 0, false; bytes != nil {
		row.now = o.memory.lend(bytes)
	}
}

// leave notes which entries of a row are others when the row is to be after. For
// those it has left, what the row was does not matter any more.
func (o *overlay) leave(row *overlaid, after []byte) {
	before := o.memory.row(row.now)
	indexes := o.build.view.indexes
	for i := range indexes {
		bit := indexBit(i)
		if row.left&bit != 0 || after != nil && indexes[i].equal(before, after) {
			continue
		}
		row.left |= bit
		pk := o.memory.bytes(row.key)
		for n := i % 64; n < len(indexes); n += 64 {
			o.left.remove(o.build.view, n, before, pk)
		}
	}
}

// claim gives a value of a unique index to the row of pk, or with nil to none.
// Both are copied.
func (o *overlay) claim(index int, value, pk []byte) {
	before, known := o.claims[index][flat.String(value)]
	own := flat.String(o.memory.bytes(o.memory.copy(value)))
	o.undo = append(o.undo, undo{row: -1, index: index, value: own, owner: before.pk, known: known})
	if pk != nil {
		pk = o.memory.bytes(o.memory.copy(pk))
	}
	o.claims[index][own] = claim{pk: pk}
}

// keep makes what the event at hand has changed stay. The memory of what it has
// replaced is given back, unless pending may have it.
func (o *overlay) keep() {
	for i := range o.undo {
		u := &o.undo[i]
		switch {
		case u.row < 0 || u.before.now == 0:
		case u.before.taken && seeded != bugMemoryReused:
			o.held = append(o.held, u.before.now)
		default:
			o.memory.giveBack(u.before.now)
		}
	}
	o.undo = o.undo[:0]
}

// revert takes back what the event at hand has changed.
func (o *overlay) revert() {
	for _, u := range slices.Backward(o.undo) {
		switch {
		case u.row >= 0:
			o.putBack(&o.rows[u.row], &u.before)
		case u.known:
			o.claims[u.index][u.value] = claim{pk: u.owner}
		default:
			delete(o.claims[u.index], u.value)
		}
	}
	o.undo = o.undo[:0]
}

func (o *overlay) putBack(row, before *overlaid) {
	for i := range o.build.view.indexes {
		if (row.left&^before.left)&indexBit(i) != 0 {
			o.left.takeBack(i)
		}
	}
	row.now, row.left, row.taken = before.now, before.left, before.taken
}
