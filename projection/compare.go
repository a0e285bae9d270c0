package projection

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/verbatim-es/verbatim/internal/lmdbenv"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/dynamic"
)

// Difference is a row that two versions of a view do not agree on.
type Difference struct {
	// Key is the row's primary key.
	Key Value
	// A and B are the row in either version, size-prefixed FlatBuffers; nil
	// where there is none. They are valid until the next difference.
	A, B []byte
	// Fields are the names of the fields that differ, sorted, when both have
	// the row.
	Fields []string
}

// Compare yields the rows on which two versions of a view differ, in the order
// of their primary keys, at one position: both must be live, or it fails with
// an [*event.BehindError]. Rows are compared by the fields that both versions'
// tables have, so a field that only one of them has is no difference.
//
// It walks through both versions in one snapshot and holds one difference at a
// time; the loop may end it at any point, and must not wait for anything. The
// last pair may be an error.
func (e *Engine) Compare(ctx context.Context, view, a, b string) iter.Seq2[Difference, error] {
	return func(yield func(Difference, error) bool) {
		ended := false
		err := e.View(func(s *Snapshot) error {
			var sides [2]*side
			for i, version := range []string{a, b} {
				v, err := s.View(view + "@" + version)
				if err != nil {
					return err
				}
				sides[i] = newSide(v.of.table, v.of.bfbs, v.build.rows)
			}
			return compare(ctx, s.txn, sides[0], sides[1], func(d Difference) bool {
				ended = !yield(d, nil)
				return !ended
			})
		})
		if err != nil && !ended {
			yield(Difference{}, err)
		}
	}
}

// side is one of two versions being compared.
type side struct {
	rows lmdbenv.DBI
	// table reads rows by their schema, nil when it can't; fields are the names
	// it has.
	table  *dynamic.Table
	fields map[string]bool

	span     span
	key, row []byte
	text     []byte // reused
}

func newSide(table string, bfbs []byte, rows lmdbenv.DBI) *side {
	s := &side{rows: rows, fields: make(map[string]bool)}
	parsed, err := schema.Parse(bfbs)
	if err != nil {
		return s
	}
	if declared, ok := parsed.Table(table); ok {
		for _, f := range declared.Fields {
			s.fields[f.Name] = true
		}
	}
	// What can't be read by its schema is compared byte by byte.
	if compiled, err := dynamic.Compile(bfbs); err == nil {
		s.table, _ = compiled.Table(table)
	}
	return s
}

func (s *side) open(txn *lmdbenv.Txn) (err error) {
	if s.span.cursor, err = txn.OpenCursor(s.rows); err != nil {
		return err
	}
	return s.next()
}

func (s *side) next() (err error) {
	s.key, s.row, err = s.span.next()
	return err
}

// compare walks both sides in step, until yield returns false.
func compare(ctx context.Context, txn *lmdbenv.Txn, a, b *side, yield func(Difference) bool) error {
	for _, s := range []*side{a, b} {
		if err := s.open(txn); err != nil {
			return err
		}
		defer s.span.cursor.Close()
	}
	for n := 0; a.key != nil || b.key != nil; n++ {
		if n%checkEvery == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		d, differs, err := step(a, b)
		if err != nil {
			return err
		}
		if differs && !yield(d) {
			return nil
		}
	}
	return nil
}

// step compares the rows that the two sides are at, and moves on those with the
// smaller key.
func step(a, b *side) (d Difference, differs bool, err error) {
	order := bytes.Compare(a.key, b.key)
	key := a.key
	switch {
	case a.key == nil || b.key != nil && order > 0:
		key, d.B = b.key, b.row
	case b.key == nil || order < 0:
		d.A = a.row
	default:
		d.A, d.B = a.row, b.row
	}
	if d.Key, _, err = decodeValue(key); err != nil {
		return d, false, err
	}
	if d.A != nil && d.B != nil {
		if d.Fields, err = differing(a, b); err != nil {
			return d, false, fmt.Errorf("row %v: %w", d.Key, err)
		}
		differs = len(d.Fields) > 0
	} else {
		differs = true
	}
	if d.A != nil {
		err = a.next()
	}
	if d.B != nil && err == nil {
		err = b.next()
	}
	return d, differs, err
}

// differing returns the names of the fields in which the rows differ.
func differing(a, b *side) ([]string, error) {
	if bytes.Equal(a.row, b.row) {
		return nil, nil
	}
	if a.table == nil || b.table == nil {
		return []string{"(bytes)"}, nil
	}
	inA, err := a.members()
	if err != nil {
		return nil, err
	}
	inB, err := b.members()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(a.fields)) {
		if b.fields[name] && !bytes.Equal(inA[name], inB[name]) {
			names = append(names, name)
		}
	}
	return names, nil
}

// members returns the fields of the row at hand as JSON.
func (s *side) members() (members map[string]json.RawMessage, err error) {
	if s.text, err = appendRowJSON(s.text[:0], s.table, s.row); err != nil {
		return nil, err
	}
	return members, json.Unmarshal(s.text, &members)
}

// appendRowJSON renders a row by its schema.
func appendRowJSON(dst []byte, table *dynamic.Table, row []byte) ([]byte, error) {
	if len(row) < 8 {
		return dst, fmt.Errorf("a row of %d bytes", len(row))
	}
	// Alignment counts from the size prefix, so that stays, as the offset of
	// the root.
	plain := bytes.Clone(row)
	binary.LittleEndian.PutUint32(plain, binary.LittleEndian.Uint32(row[4:])+4)
	return table.AppendJSON(dst, plain)
}
