package projection

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// ranked is a key that is to be written, by its place among others: at says
// where it is, and head is its first bytes behind those that all of them share.
type ranked struct {
	head uint64
	at   int32
}

// rank sorts by keys. Most pairs differ in their heads, so that few keys are
// looked at twice: they lie all over the memory.
func rank(order []ranked, key func(at int32) []byte) {
	if len(order) < 2 {
		return
	}
	first := key(order[0].at)
	shared := len(first)
	for _, r := range order[1:] {
		shared = sharedPrefix(first[:shared], key(r.at))
	}
	for i := range order {
		order[i].head = headOf(key(order[i].at)[shared:])
	}
	slices.SortFunc(order, func(a, b ranked) int {
		if a.head != b.head {
			return cmp.Compare(a.head, b.head)
		}
		return bytes.Compare(key(a.at), key(b.at))
	})
}

// sharedPrefix is how long a prefix a and b share.
func sharedPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// headOf is the number that the first eight bytes are, zeros for those that are
// missing: no head is greater than that of a greater key.
func headOf(b []byte) uint64 {
	if len(b) >= 8 {
		return binary.BigEndian.Uint64(b)
	}
	var head [8]byte
	copy(head[:], b)
	return binary.BigEndian.Uint64(head[:])
}

// writer writes keys in ascending order. Those behind all that the database
// holds are appended, which fills its pages; a put in their midst leaves them
// half empty.
type writer struct {
	cursor *lmdbenv.Cursor
	last   []byte // the greatest key there was, nil once keys are appended
	append bool
}

func newWriter(txn *lmdbenv.Txn, db lmdbenv.DBI) (w writer, err error) {
	if w.cursor, err = txn.OpenCursor(db); err != nil {
		return w, err
	}
	last, _, err := w.cursor.Get(nil, nil, lmdbenv.Last)
	switch {
	case lmdbenv.IsNotFound(err):
		w.append = true
	case err != nil:
		w.cursor.Close()
		return w, err
	}
	w.last = bytes.Clone(last) // the page that it is on is about to be written
	return w, nil
}

func (w *writer) put(key, value []byte) error {
	w.append = w.append || bytes.Compare(key, w.last) > 0
	if w.append {
		return w.cursor.Put(key, value, lmdbenv.Append)
	}
	return w.cursor.Put(key, value, 0)
}

func (w *writer) remove(key []byte) error {
	if _, _, err := w.cursor.Get(key, nil, lmdbenv.Set); err != nil {
		return err
	}
	return w.cursor.Del(0)
}
