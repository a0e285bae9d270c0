package projection

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// rank sorts by keys. Most pairs differ in their heads, the first bytes behind
// those that all of them share, so that few keys are looked at twice: they lie
// all over the memory.
func rank(changes []change, memory *pieces) {
	if len(changes) < 2 {
		return
	}
	first := memory.bytes(changes[0].key)
	shared := len(first)
	for i := range changes[1:] {
		shared = sharedPrefix(first[:shared], memory.bytes(changes[1+i].key))
	}
	for i := range changes {
		changes[i].head = headOf(memory.bytes(changes[i].key)[shared:])
	}
	slices.SortFunc(changes, func(a, b change) int {
		if a.head != b.head {
			return cmp.Compare(a.head, b.head)
		}
		return bytes.Compare(memory.bytes(a.key), memory.bytes(b.key))
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

// write puts a value under a key, or with nil removes what is there.
func (w *writer) write(key, value []byte) error {
	if value == nil {
		return w.remove(key)
	}
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
