package projection

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// Tx reads and writes the rows of one view while an event is applied. It is
// valid until Apply returns, on the goroutine that Apply was called on.
type Tx struct {
	view  *view
	build *build
	txn   *lmdbenv.Txn // nil when expired
	// failed is the first error of the environment, which is not the
	// handler's fault, also when the handler passes it on or drops it.
	failed error

	// key is the primary key of the row at hand; old and new are its entries
	// in each index before and after. They are reused.
	key      []byte
	old, new [][]byte
	mark     [2]byte
}

func newTx(b *build) *Tx {
	return &Tx{
		view: b.view, build: b,
		old: make([][]byte, len(b.indexes)), new: make([][]byte, len(b.indexes)),
	}
}

// Get returns the row with that primary key as stored, a size-prefixed
// FlatBuffer, and whether there is one. It is valid until the next Put or
// Delete.
func (tx *Tx) Get(pk Value) (row []byte, found bool, err error) {
	if err := tx.seekKey(pk); err != nil {
		return nil, false, err
	}
	return tx.stored()
}

// Put stores a row under its primary key, in place of the one that is there,
// and brings every index up to date. row is a size-prefixed FlatBuffer of the
// view's table; it is verified and copied.
//
// A Put that fails with [*UniqueError], [*KeyTooLongError] or
// [*event.InvalidDataError] changed nothing, and Apply may go on.
func (tx *Tx) Put(row []byte) error {
	if err := tx.usable(); err != nil {
		return err
	}
	if err := tx.view.verify(row); err != nil {
		return err
	}
	pk := tx.view.key.value(row)
	if tx.key = appendValue(tx.key[:0], pk); len(tx.key) > maxKey {
		return &KeyTooLongError{View: tx.view.name, Row: pk, Length: len(tx.key), Limit: maxKey}
	}
	before, found, err := tx.stored()
	if err != nil || found && bytes.Equal(before, row) {
		return err
	}
	for i := range tx.view.indexes {
		tx.old[i] = tx.old[i][:0]
		if found {
			tx.old[i], _ = tx.view.entry(tx.old[i], i, before, tx.key)
		}
		if err := tx.plan(i, row, pk); err != nil {
			return err
		}
	}
	return tx.write(row)
}

// Delete removes the row with that primary key and its index entries. Without
// such a row it does nothing.
func (tx *Tx) Delete(pk Value) error {
	if err := tx.seekKey(pk); err != nil {
		return err
	}
	row, found, err := tx.stored()
	if err != nil || !found {
		return err
	}
	for i := range tx.view.indexes {
		tx.old[i], _ = tx.view.entry(tx.old[i][:0], i, row, tx.key)
	}
	for i, db := range tx.build.indexes {
		if err := tx.txn.Del(db, tx.old[i], nil); err != nil {
			return tx.fail("remove from index "+tx.view.indexes[i].Name, err)
		}
	}
	if err := tx.txn.Del(tx.build.rows, tx.key, nil); err != nil {
		return tx.fail("delete", err)
	}
	return nil
}

// plan works out the row's entry in an index and whether it may be there.
func (tx *Tx) plan(i int, row []byte, pk Value) error {
	index := &tx.view.indexes[i]
	entry, columns := tx.view.entry(tx.new[i][:0], i, row, tx.key)
	tx.new[i] = entry
	if len(entry) > maxKey {
		return &KeyTooLongError{View: tx.view.name, Index: index.Name, Row: pk, Length: len(entry), Limit: maxKey}
	}
	if !index.Unique || index.hasAbsent(row) || bytes.Equal(entry, tx.old[i]) {
		return nil
	}
	return tx.checkUnique(i, entry[:columns], row, pk)
}

// checkUnique looks for another row's entry with the same columns.
func (tx *Tx) checkUnique(i int, columns, row []byte, pk Value) error {
	cursor, err := tx.txn.OpenCursor(tx.build.indexes[i])
	if err != nil {
		return tx.fail("look for duplicates", err)
	}
	defer cursor.Close()
	index := &tx.view.indexes[i]
	key, _, err := cursor.Get(columns, nil, lmdbenv.SetRange)
	for ; err == nil && bytes.HasPrefix(key, columns); key, _, err = cursor.Get(nil, nil, lmdbenv.Next) {
		if bytes.Equal(key[len(columns):], tx.key) {
			continue // this row's own, about to be replaced by the same
		}
		other, _, err := decodeValue(key[len(columns):])
		if err != nil {
			return tx.fail("read index "+index.Name, err)
		}
		refused := &UniqueError{View: tx.view.name, Index: index.Name, Row: pk, Other: other}
		for c := range index.Columns {
			refused.Values = append(refused.Values, index.Columns[c].value(row).clone())
		}
		refused.Row = pk.clone()
		return refused
	}
	if err != nil && !lmdbenv.IsNotFound(err) {
		return tx.fail("look for duplicates", err)
	}
	return nil
}

// write stores the row and moves its entries from tx.old to tx.new.
func (tx *Tx) write(row []byte) error {
	for i, db := range tx.build.indexes {
		if bytes.Equal(tx.old[i], tx.new[i]) {
			continue
		}
		if len(tx.old[i]) > 0 {
			if err := tx.txn.Del(db, tx.old[i], nil); err != nil {
				return tx.fail("remove from index "+tx.view.indexes[i].Name, err)
			}
		}
		if err := tx.txn.Put(db, tx.new[i], tx.entryValue(tx.new[i]), 0); err != nil {
			return tx.fail("add to index "+tx.view.indexes[i].Name, err)
		}
	}
	if err := tx.txn.Put(tx.build.rows, tx.key, row, 0); err != nil {
		return tx.fail("put", err)
	}
	return nil
}

// seekKey encodes a primary key given by the handler into tx.key.
func (tx *Tx) seekKey(pk Value) error {
	if err := tx.usable(); err != nil {
		return err
	}
	if err := tx.view.key.accepts("primary key", pk); err != nil {
		return err
	}
	tx.key = appendValue(tx.key[:0], pk)
	return nil
}

func (tx *Tx) stored() (row []byte, found bool, err error) {
	row, found, err = getKey(tx.txn, tx.build.rows, tx.key)
	if err != nil {
		err = tx.fail("get", err)
	}
	return row, found, err
}

func (tx *Tx) usable() error {
	if tx.txn == nil {
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
	for c := range v.indexes[i].Columns {
		dst = appendValue(dst, v.indexes[i].Columns[c].value(row))
	}
	columns = len(dst) - start
	return append(dst, pk...), columns
}

// entryValue is the value of an entry of the row at hand.
func (tx *Tx) entryValue(entry []byte) []byte {
	binary.LittleEndian.PutUint16(tx.mark[:], uint16(len(entry)-len(tx.key)))
	return tx.mark[:]
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
