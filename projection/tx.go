package projection

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// maxRow is the longest row, in bytes: what still fits into one message of the
// bus.
const maxRow = 15 << 20

// Tx reads and writes the rows of one view while an event is applied. It is
// valid until Apply returns, on the goroutine that Apply was called on.
type Tx struct {
	ctx   context.Context
	view  *view
	build *build

	// mu is held while the environment or the overlay are touched, so that a
	// handler that never returns can be left behind: see fold.abandon.
	mu      sync.Mutex
	reader  *lmdbenv.Reader // nil until begin
	rows    lookup          // by the reader
	expired bool
	// failed is the first error of the environment, which is not the
	// handler's fault, also when the handler passes it on or drops it.
	failed error

	// key, entry and value are reused.
	key, entry, value []byte
}

func newTx(ctx context.Context, b *build) *Tx {
	return &Tx{ctx: ctx, view: b.view, build: b}
}

// begin takes the snapshot that is read. It fails when the transaction has
// expired before.
func (tx *Tx) begin(e *Engine) error {
	reader, err := e.env.Begin()
	if err != nil {
		return err
	}
	tx.mu.Lock()
	defer tx.mu.Unlock()
	if err := tx.usable(); err != nil {
		reader.Close()
		return err
	}
	tx.reader, tx.rows = reader, lookup{engine: e, txn: reader.Txn, build: tx.build}
	return tx.build.overlay.begin(reader.Txn)
}

// expire ends every use of the transaction, behind the one in progress, and
// reports whether nobody else has before.
func (tx *Tx) expire() bool {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	return tx.expireLocked()
}

func (tx *Tx) expireLocked() bool {
	if tx.expired {
		return false
	}
	tx.expired = true
	if tx.reader != nil {
		tx.reader.Close()
	}
	return true
}

// Context ends when the engine is closed, and when Apply has not returned
// within Options.HandlerTimeout: what waits or loops in a handler must watch
// it, and return an error.
func (tx *Tx) Context() context.Context { return tx.ctx }

// Get returns the row with that primary key, a size-prefixed FlatBuffer, and
// whether there is one. It is valid until Apply returns.
func (tx *Tx) Get(pk Value) (row []byte, found bool, err error) {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	i, err := tx.find(pk)
	if err != nil || i < 0 {
		return nil, false, err
	}
	row = tx.build.overlay.row(i)
	return row, row != nil, nil
}

// Put stores a row under its primary key, in place of the one that is there,
// and brings every index up to date. row is a size-prefixed FlatBuffer of the
// view's table; it is verified and copied.
//
// A Put that fails with [*UniqueError], [*KeyTooLongError],
// [*event.TooLargeError] or [*event.InvalidDataError] changed nothing, and
// Apply may go on.
func (tx *Tx) Put(row []byte) error {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	if err := tx.usable(); err != nil {
		return err
	}
	if len(row) > maxRow {
		return &event.TooLargeError{Bound: fmt.Sprintf("bytes of a row of view %q", tx.view.name), Limit: maxRow, Actual: uint64(len(row))}
	}
	if err := tx.view.verify(row); err != nil {
		return err
	}
	pk := tx.view.key.value(row)
	if tx.key = appendValue(tx.key[:0], pk); len(tx.key) > maxKey {
		return &KeyTooLongError{View: tx.view.name, Row: pk.clone(), Length: len(tx.key), Limit: maxKey}
	}
	if err := tx.fits(row, pk); err != nil {
		return err
	}
	i, err := tx.load()
	if err != nil {
		return err
	}
	before := tx.build.overlay.row(i)
	if before != nil && bytes.Equal(before, row) {
		return nil
	}
	if err := tx.claim(before, row, pk); err != nil {
		return err
	}
	tx.build.overlay.set(i, row)
	return nil
}

// Delete removes the row with that primary key and its index entries. Without
// such a row it does nothing.
func (tx *Tx) Delete(pk Value) error {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	i, err := tx.find(pk)
	if err != nil || i < 0 {
		return err
	}
	overlay := tx.build.overlay
	before := overlay.row(i)
	if before == nil {
		return nil
	}
	for n := range tx.view.indexes {
		if index := &tx.view.indexes[n]; index.Unique && !index.hasAbsent(before) {
			tx.value = index.appendColumns(tx.value[:0], before)
			overlay.claim(n, tx.value, nil)
		}
	}
	overlay.set(i, nil)
	return nil
}

// fits reports an index entry that would be longer than LMDB's keys are.
func (tx *Tx) fits(row []byte, pk Value) error {
	for i := range tx.view.indexes {
		index := &tx.view.indexes[i]
		length := len(tx.key)
		for c := range index.Columns {
			length += encodedLen(index.Columns[c].value(row))
		}
		if length > maxKey {
			return &KeyTooLongError{View: tx.view.name, Index: index.Name, Row: pk.clone(), Length: length, Limit: maxKey}
		}
	}
	return nil
}

// claim takes the row's values in the unique indexes, and lets go of those that
// it had before. It changes nothing when one of them is another row's.
func (tx *Tx) claim(before, row []byte, pk Value) error {
	for pass := range 2 { // first look at all of them, then take them
		for i := range tx.view.indexes {
			index := &tx.view.indexes[i]
			if !index.Unique {
				continue
			}
			if err := tx.claimIn(i, index, before, row, pk, pass == 1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (tx *Tx) claimIn(i int, index *Index, before, row []byte, pk Value, take bool) error {
	had := before != nil && !index.hasAbsent(before)
	has := !index.hasAbsent(row)
	tx.entry, tx.value = tx.entry[:0], tx.value[:0]
	if had {
		tx.entry = index.appendColumns(tx.entry, before)
	}
	if has {
		tx.value = index.appendColumns(tx.value, row)
	}
	if had == has && bytes.Equal(tx.entry, tx.value) {
		return nil
	}
	if !take {
		if !has {
			return nil
		}
		return tx.checkUnique(i, row, pk)
	}
	if had {
		tx.build.overlay.claim(i, tx.entry, nil)
	}
	if has {
		tx.build.overlay.claim(i, tx.value, tx.key)
	}
	return nil
}

// checkUnique looks for another row that has tx.value in an index.
func (tx *Tx) checkUnique(i int, row []byte, pk Value) error {
	if claim, known := tx.build.overlay.claims[i][string(tx.value)]; known {
		if claim.pk == nil || bytes.Equal(claim.pk, tx.key) {
			return nil
		}
		return tx.duplicate(i, row, pk, claim.pk)
	}
	if tx.build.overlay.whole {
		return nil
	}
	cursor, err := tx.reader.Txn.OpenCursor(tx.build.indexes[i])
	if err != nil {
		return tx.fail("look for duplicates", err)
	}
	defer cursor.Close()
	key, _, err := cursor.Get(tx.value, nil, lmdbenv.SetRange)
	for ; err == nil && bytes.HasPrefix(key, tx.value); key, _, err = cursor.Get(nil, nil, lmdbenv.Next) {
		if other := key[len(tx.value):]; !bytes.Equal(other, tx.key) {
			return tx.duplicate(i, row, pk, other)
		}
	}
	if err != nil && !lmdbenv.IsNotFound(err) {
		return tx.fail("look for duplicates", err)
	}
	return nil
}

func (tx *Tx) duplicate(i int, row []byte, pk Value, otherKey []byte) error {
	index := &tx.view.indexes[i]
	other, _, err := decodeValue(otherKey)
	if err != nil {
		return damaged(tx.view, index.Name, "%v", err)
	}
	refused := &UniqueError{View: tx.view.name, Index: index.Name, Row: pk.clone(), Other: other}
	for c := range index.Columns {
		refused.Values = append(refused.Values, index.Columns[c].value(row).clone())
	}
	return refused
}

// find returns the place of a row that the handler names, -1 when no such row
// can exist.
func (tx *Tx) find(pk Value) (int32, error) {
	if err := tx.usable(); err != nil {
		return 0, err
	}
	if err := tx.view.key.accepts("primary key", pk); err != nil {
		return 0, err
	}
	if tx.key = appendValue(tx.key[:0], pk); len(tx.key) > maxKey {
		return -1, nil
	}
	return tx.load()
}

// load returns the place of the row with tx.key.
func (tx *Tx) load() (int32, error) {
	i, err := tx.build.overlay.find(&tx.rows, tx.key)
	if _, isDamage := err.(*DamageError); err != nil && !isDamage {
		err = tx.fail("get", err)
	}
	return i, err
}

func (tx *Tx) usable() error {
	if tx.expired {
		return fmt.Errorf("view %q: transaction %w", tx.view.name, errExpired)
	}
	return tx.failed
}

func (tx *Tx) fail(what string, err error) error {
	tx.failed = fmt.Errorf("view %q: %s: %w", tx.view.name, what, err)
	return tx.failed
}

func getKey(txn *lmdbenv.Txn, db lmdbenv.DBI, key []byte) (value []byte, found bool, err error) {
	if len(key) > maxKey {
		return nil, false, nil // nothing that long was ever stored
	}
	value, err = txn.Get(db, key)
	if lmdbenv.IsNotFound(err) {
		return nil, false, nil
	}
	return value, err == nil, err
}

func (v *view) verify(row []byte) error {
	if err := v.plan.VerifySizePrefixed(row); err != nil {
		return invalidRow(v, err)
	}
	return nil
}

// An index entry's key is its columns, then the row's primary key; its value is
// the length of the columns, two bytes, little endian: where the primary key
// starts.

// entry appends the key of the row's entry in index i and returns how much of
// it are the columns.
func (v *view) entry(dst []byte, i int, row, pk []byte) (key []byte, columns int) {
	start := len(dst)
	dst = v.indexes[i].appendColumns(dst, row)
	columns = len(dst) - start
	return append(dst, pk...), columns
}

func (ix *Index) appendColumns(dst, row []byte) []byte {
	for c := range ix.Columns {
		dst = appendValue(dst, ix.Columns[c].value(row))
	}
	return dst
}

// entryPrimaryKey returns the primary key inside an entry's key.
func entryPrimaryKey(key, value []byte) ([]byte, bool) {
	if len(value) != 2 {
		return nil, false
	}
	columns := int(binary.LittleEndian.Uint16(value))
	if columns >= len(key) {
		return nil, false
	}
	return key[columns:], true
}

// equal reports whether two rows have the same values in the index's columns.
func (ix *Index) equal(a, b []byte) bool {
	for c := range ix.Columns {
		if column := &ix.Columns[c]; column.value(a) != column.value(b) {
			return false
		}
	}
	return true
}

func (ix *Index) hasAbsent(row []byte) bool {
	for c := range ix.Columns {
		if ix.Columns[c].value(row).kind == Absent {
			return true
		}
	}
	return false
}

// clone makes the value independent of the row it was read from.
func (v Value) clone() Value {
	v.text = string([]byte(v.text))
	return v
}

func invalidRow(v *view, err error) error {
	return &event.InvalidDataError{Type: v.table, Message: err.Error()}
}
