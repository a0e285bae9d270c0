package projection

import (
	"bytes"
	"fmt"
	"iter"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// Range selects rows of a view, in the order of its primary key or of one of
// its indexes. The zero value is all rows by primary key.
//
// Equal, From and To give values for the first columns, as many as wanted: for
// an index on owner+balance, Equal "ada" is all of ada's rows in the order of
// their balance. Equal goes with neither From nor To.
type Range struct {
	// Index is the index's name; "" is the primary key.
	Index string
	// Equal selects the rows whose first columns have these values.
	Equal []Value
	// From is where the range begins, inclusive; To is where it ends,
	// exclusive, both in ascending order whatever the direction. Rows with an
	// absent value sort before all others.
	From, To []Value
	// Backward yields the last row first.
	Backward bool
	// Limit is the largest number of rows; 0 means no limit.
	Limit int
	// Cursor, from [Row.Cursor], goes on behind that row in the scan's
	// direction, whether or not the row still exists. It belongs to the view,
	// its version and the index.
	Cursor []byte
}

// RangeOption says how a typed lookup goes through its rows: [Backward],
// [Limit], [Behind].
type RangeOption func(*Range)

// Backward yields the last row first.
func Backward(r *Range) { r.Backward = true }

// Limit yields n rows at most; 0 means no limit.
func Limit(n int) RangeOption { return func(r *Range) { r.Limit = n } }

// Behind goes on behind the row that a cursor is of, see [Range].
func Behind(cursor []byte) RangeOption { return func(r *Range) { r.Cursor = cursor } }

// With returns the range with options.
func (r Range) With(options ...RangeOption) Range {
	for _, o := range options {
		o(&r)
	}
	return r
}

// Row is one row of a scan.
type Row struct {
	view  *View
	index *Index
	key   []byte
	bytes []byte
}

// Bytes is the row as stored, a size-prefixed FlatBuffer. It is valid until the
// function that was passed the snapshot returns.
func (r Row) Bytes() []byte { return r.bytes }

// Cursor returns the place behind the row, for [Range.Cursor]. It is newly
// allocated, opaque, may be kept for ever and handed to strangers: it holds the
// row's key and index values. Call it before the snapshot's function returns.
func (r Row) Cursor() []byte { return newCursor(r.view.of, r.index, r.key) }

// Scan yields the rows of a range. Each is valid until the function that was
// passed the snapshot returns. An error is the last pair of the sequence:
// [*event.UnknownError] for the index, [*event.ArgumentError] for a range that
// makes no sense.
func (v *View) Scan(r Range) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for row, err := range v.Rows(r) {
			if !yield(row.bytes, err) {
				return
			}
		}
	}
}

// Rows is [View.Scan] for those who need cursors.
func (v *View) Rows(r Range) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		if err := v.scan(r, yield); err != nil {
			yield(Row{}, err)
		}
	}
}

func (v *View) scan(r Range, yield func(Row, error) bool) error {
	if err := v.usable(); err != nil {
		return err
	}
	place, err := v.place(r.Index)
	if err != nil {
		return err
	}
	low, high, err := place.bounds(v, r)
	if err != nil {
		return err
	}
	cursor, err := v.txn.OpenCursor(place.db)
	if err != nil {
		return err
	}
	defer cursor.Close()
	s := span{cursor: cursor, low: low, high: high, backward: r.Backward}
	for n := 0; r.Limit == 0 || n < r.Limit; n++ {
		key, value, err := s.next()
		if err != nil || key == nil {
			return err
		}
		row := Row{view: v, index: place.index, key: key, bytes: value}
		if place.index != nil {
			if row.bytes, err = v.rowOf(key, value); err != nil {
				return err
			}
		}
		if err := v.sound(row.bytes); err != nil {
			return err
		}
		if !yield(row, nil) {
			return nil
		}
		if v.txn == nil {
			return errExpired
		}
	}
	return nil
}

// place is where a scan goes: the rows, or one index.
type place struct {
	db      lmdbenv.DBI
	index   *Index // nil for the rows
	columns []Column
}

func (v *View) place(index string) (place, error) {
	if index == "" {
		return place{db: v.build.rows, columns: v.of.keyColumns()}, nil
	}
	for i := range v.of.indexes {
		if declared := &v.of.indexes[i]; declared.Name == index {
			return place{db: v.build.indexes[i], index: declared, columns: declared.Columns}, nil
		}
	}
	return place{}, &event.UnknownError{Kind: "index", Name: v.of.name + "." + index}
}

// bounds returns the keys between which a range lies: low inclusive, high
// exclusive, nil for no bound. A cursor moves the one that the scan starts at.
func (p place) bounds(v *View, r Range) (low, high []byte, err error) {
	switch {
	case len(r.Equal) > 0 && (len(r.From) > 0 || len(r.To) > 0):
		return nil, nil, &event.ArgumentError{Argument: "from", Message: "a value and a range exclude each other"}
	case r.Limit < 0:
		return nil, nil, &event.ArgumentError{Argument: "limit", Message: "must not be negative"}
	}
	if low, err = p.prefix("from", r.From); err != nil {
		return nil, nil, err
	}
	if high, err = p.prefix("to", r.To); err != nil {
		return nil, nil, err
	}
	if len(r.Equal) > 0 {
		if low, err = p.prefix("value", r.Equal); err != nil {
			return nil, nil, err
		}
		high = successor(bytes.Clone(low))
	}
	if len(r.Cursor) == 0 {
		return low, high, nil
	}
	after, err := openCursor(v.of, p.index, r.Cursor)
	if err != nil {
		return nil, nil, err
	}
	if r.Backward {
		if high == nil || bytes.Compare(after, high) < 0 {
			high = after
		}
	} else if after = append(after, 0); bytes.Compare(after, low) > 0 {
		low = after // the smallest key behind the cursor's
	}
	return low, high, nil
}

// prefix encodes values for the first columns, nil for none.
func (p place) prefix(argument string, values []Value) ([]byte, error) {
	if len(values) > len(p.columns) {
		return nil, &event.ArgumentError{Argument: argument, Message: fmt.Sprintf("%d values for %d columns", len(values), len(p.columns))}
	}
	var key []byte
	for i, value := range values {
		if err := p.columns[i].accepts(argument, value); err != nil {
			return nil, err
		}
		key = appendValue(key, value)
	}
	return key, nil
}

// accepts reports a value that the column's rows can't hold.
func (c *Column) accepts(argument string, v Value) error {
	if v.kind == c.Kind || v.kind == Absent && c.Nullable {
		return nil
	}
	return &event.ArgumentError{Argument: argument, Message: fmt.Sprintf("column %q holds %s values, got %s %s", c.Name, c.Kind, v.kind, v)}
}

// span walks the keys from low up to, not including, high, or back.
type span struct {
	cursor    *lmdbenv.Cursor
	low, high []byte
	backward  bool
	started   bool
}

// next returns a nil key at the end.
func (s *span) next() (key, value []byte, err error) {
	if s.backward {
		key, value, err = s.previous()
	} else {
		key, value, err = s.following()
	}
	s.started = true
	switch {
	case lmdbenv.IsNotFound(err):
		return nil, nil, nil
	case err != nil:
		return nil, nil, err
	case s.backward && bytes.Compare(key, s.low) < 0,
		!s.backward && s.high != nil && bytes.Compare(key, s.high) >= 0:
		return nil, nil, nil
	}
	return key, value, nil
}

func (s *span) following() (key, value []byte, err error) {
	switch {
	case s.started:
		return s.cursor.Get(nil, nil, lmdbenv.Next)
	case len(s.low) == 0:
		return s.cursor.Get(nil, nil, lmdbenv.First)
	}
	return seek(s.cursor, s.low)
}

func (s *span) previous() (key, value []byte, err error) {
	if !s.started && s.high != nil {
		_, _, err := seek(s.cursor, s.high)
		if lmdbenv.IsNotFound(err) { // nothing at or above it
			return s.cursor.Get(nil, nil, lmdbenv.Last)
		}
		if err != nil {
			return nil, nil, err
		}
	} else if !s.started {
		return s.cursor.Get(nil, nil, lmdbenv.Last)
	}
	return s.cursor.Get(nil, nil, lmdbenv.Prev)
}

// seek finds the first key that is not less than key, which may be longer than
// LMDB accepts: no stored key is, so its first bytes are as good.
func seek(c *lmdbenv.Cursor, key []byte) (k, v []byte, err error) {
	if len(key) <= maxKey {
		return c.Get(key, nil, lmdbenv.SetRange)
	}
	k, v, err = c.Get(key[:maxKey], nil, lmdbenv.SetRange)
	if err == nil && bytes.Equal(k, key[:maxKey]) {
		return c.Get(nil, nil, lmdbenv.Next) // it is a prefix of key, so less
	}
	return k, v, err
}
