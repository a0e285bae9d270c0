package projection

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// checkEvery is how many keys are walked between two looks at the context.
const checkEvery = 1024

// Check compares rows and index entries of every version that is live, both
// ways: each row is valid, stands under its own primary key and has the entry
// its values call for in every index; each entry belongs to such a row. The
// first disagreement is returned as a [*DamageError]. It reads everything in one
// snapshot. It does not fold the log again: see [Engine.Compare], with the same
// definition as another version, and [View.Digest], before and after a rebuild.
func (e *Engine) Check(ctx context.Context) error {
	return e.View(func(s *Snapshot) error {
		for _, of := range e.all {
			v, err := s.View(of.String())
			var behind *event.BehindError
			var unknown *event.UnknownError
			if errors.As(err, &behind) || errors.As(err, &unknown) {
				continue // parked, being built, or dropped
			}
			if err != nil {
				return err
			}
			if err := v.check(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

func (v *View) check(ctx context.Context) error {
	entries := make([][]byte, len(v.of.indexes))
	err := v.walk(ctx, v.build.rows, false, func(key, row []byte) error {
		if err := v.of.verify(row); err != nil {
			return v.damage("", "row %x: %v", key, err)
		}
		if pk := appendValue(nil, v.of.key.value(row)); !bytes.Equal(pk, key) {
			return v.damage("", "the row of %x stands under %x", pk, key)
		}
		for i := range v.of.indexes {
			var columns int
			entries[i], columns = v.of.entry(entries[i][:0], i, row, key)
			value, found, err := getKey(v.txn, v.build.indexes[i], entries[i])
			if err != nil {
				return err
			}
			if !found || len(value) != 2 || int(binary.LittleEndian.Uint16(value)) != columns {
				return v.damage(v.of.indexes[i].Name, "row %x has no right entry %x", key, entries[i])
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i := range v.of.indexes {
		if err := v.checkIndex(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

func (v *View) checkIndex(ctx context.Context, i int) error {
	index := &v.of.indexes[i]
	var want []byte
	return v.walk(ctx, v.build.indexes[i], false, func(key, value []byte) error {
		pk, ok := entryPrimaryKey(key, value)
		if !ok {
			return v.damage(index.Name, "entry %x has the value %x", key, value)
		}
		row, found, err := getKey(v.txn, v.build.rows, pk)
		if err != nil {
			return err
		}
		if !found {
			return v.damage(index.Name, "entry %x has no row", key)
		}
		if want, _ = v.of.entry(want[:0], i, row, pk); !bytes.Equal(want, key) {
			return v.damage(index.Name, "entry %x is not the one of its row, %x", key, want)
		}
		return nil
	})
}

func (v *View) damage(index, format string, values ...any) error {
	return damaged(v.of, index, format, values...)
}

func damaged(v *view, index, format string, values ...any) error {
	return &DamageError{View: v.name, Index: index, Message: fmt.Sprintf(format, values...)}
}

// walk calls fn with every key and value of a database, in order or against it.
func (v *View) walk(ctx context.Context, db lmdbenv.DBI, backward bool, fn func(key, value []byte) error) error {
	if err := v.usable(); err != nil {
		return err
	}
	cursor, err := v.txn.OpenCursor(db)
	if err != nil {
		return err
	}
	defer cursor.Close()
	s := span{cursor: cursor, backward: backward}
	for n := 0; ; n++ {
		if n%checkEvery == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		key, value, err := s.next()
		if err != nil || key == nil {
			return err
		}
		if err := fn(key, value); err != nil {
			return err
		}
	}
}

// Digest sums up a view: two views with the same rows and the same index
// entries, in the same order, have equal digests, and no others do.
type Digest struct {
	// Rows and Entries count the rows, and the entries of all indexes.
	Rows, Entries uint64
	// Forward and Backward are sha-256 over every key and value of the rows,
	// then of each index, walked in order and against it.
	Forward, Backward [sha256.Size]byte
}

// Digest reads the whole view, in both directions.
func (v *View) Digest(ctx context.Context) (d Digest, err error) {
	for _, backward := range []bool{false, true} {
		sum := sha256.New()
		if d.Rows, err = v.sum(ctx, sum, v.build.rows, backward); err != nil {
			return Digest{}, err
		}
		d.Entries = 0
		for _, db := range v.build.indexes {
			n, err := v.sum(ctx, sum, db, backward)
			if err != nil {
				return Digest{}, err
			}
			d.Entries += n
		}
		sum.Sum(d.direction(backward)[:0])
	}
	return d, nil
}

func (d *Digest) direction(backward bool) *[sha256.Size]byte {
	if backward {
		return &d.Backward
	}
	return &d.Forward
}

// sum adds a database to a hash: the lengths of key and value, key and value of
// each entry, and at the end their number.
func (v *View) sum(ctx context.Context, h hash.Hash, db lmdbenv.DBI, backward bool) (n uint64, err error) {
	var lengths [8]byte
	err = v.walk(ctx, db, backward, func(key, value []byte) error {
		n++
		binary.LittleEndian.PutUint32(lengths[:], uint32(len(key)))
		binary.LittleEndian.PutUint32(lengths[4:], uint32(len(value)))
		h.Write(lengths[:])
		h.Write(key)
		h.Write(value)
		return nil
	})
	h.Write(binary.LittleEndian.AppendUint64(nil, n))
	return n, err
}
