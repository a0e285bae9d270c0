package eventstore

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"testing"

	"github.com/verbatim-es/verbatim/event"
)

// FuzzPlace reads places and checkpoints from anywhere. What is read as one is
// written as the same bytes, and no other byte makes the same checkpoint.
func FuzzPlace(f *testing.F) {
	c := checkpoint{store: event.ID{1}, place: place{1, event.ID{15: 2}}}
	f.Add(c.append(nil), uint16(3))
	f.Add(checkpoint{}.append(nil), uint16(350))
	f.Add(c.place.append(nil), uint16(0))
	f.Add(bytes.Repeat([]byte{0xff}, 44), uint16(40<<3))
	f.Add([]byte{}, uint16(0))
	f.Fuzz(func(t *testing.T, b []byte, bit uint16) {
		if p, err := parsePlace(b); err == nil && !bytes.Equal(p.append(nil), b) {
			t.Fatalf("place %x is %+v", b, p)
		}
		if c, err := parseCheckpoint(b); err == nil && !bytes.Equal(c.append(nil), b) {
			t.Fatalf("checkpoint %x is %+v", b, c)
		}
		if len(b) < 40 {
			return
		}
		want := checkpoint{store: event.ID(b), place: place{binary.BigEndian.Uint64(b[16:]), event.ID(b[24:])}}
		written := want.append(nil)
		if got, err := parseCheckpoint(written); err != nil || got != want {
			t.Fatalf("%+v is read as %+v, %v", want, got, err)
		}
		written[int(bit)/8%len(written)] ^= 1 << (bit % 8)
		if got, err := parseCheckpoint(written); err == nil {
			t.Fatalf("with a bit flipped, %+v is read as %+v", want, got)
		}
	})
}

// FuzzKeyEntry reads what the index has of idempotency keys from anywhere.
func FuzzKeyEntry(f *testing.F) {
	at := place{7, event.ID{1, 15: 9}}
	f.Add([]byte("pay-7"), appendKeyEntry(nil, []byte("pay-7"), at), uint64(7), uint16(1))
	f.Add([]byte("k"), appendKeyEntry(nil, []byte("other"), at), uint64(1<<63), uint16(200))
	f.Add([]byte{}, []byte{0, 0, 0}, uint64(0), uint16(0))
	f.Add([]byte("\x00"), bytes.Repeat([]byte{0xff}, 28), uint64(1), uint16(31))
	f.Fuzz(func(t *testing.T, key, value []byte, position uint64, bit uint16) {
		if at, err := readKeyEntry(key, value); err == nil && !bytes.Equal(appendKeyEntry(nil, key, at), value) {
			t.Fatalf("of key %q, %x is %+v", key, value, at)
		}
		want := place{position: position}
		copy(want.id[:], value)
		written := appendKeyEntry(nil, key, want)
		if got, err := readKeyEntry(key, written); err != nil || got != want {
			t.Fatalf("of key %q, %+v is read as %+v, %v", key, want, got, err)
		}
		written[int(bit)/8%len(written)] ^= 1 << (bit % 8)
		if got, err := readKeyEntry(key, written); err == nil {
			t.Fatalf("of key %q, with a bit flipped, %+v is read as %+v", key, want, got)
		}
		if len(key) > 0 {
			other := bytes.Clone(key)
			other[int(bit)/8%len(key)] ^= 1 << (bit % 8)
			if _, err := readKeyEntry(other, appendKeyEntry(nil, key, want)); err == nil {
				t.Fatalf("the entry of key %q is read as that of %q", key, other)
			}
		}
	})
}

// FuzzRunKey reads keys of lists from anywhere, and has those that are written
// stand in the order of their positions, list by list.
func FuzzRunKey(f *testing.F) {
	f.Add(appendClosedKey(nil, "ledger-1", 9), "ledger-1", "ledger-10", uint64(9), uint64(10))
	f.Add(appendOpenKey(nil, "a:b"), "a:b", "a:b", uint64(1), uint64(1<<63))
	f.Add([]byte("a\x00\x00\x01\x00"), "a", "é", uint64(255), uint64(256))
	f.Add([]byte("\x00"), "", "-", uint64(0), uint64(0))
	f.Fuzz(func(t *testing.T, key []byte, a, b string, x, y uint64) {
		if name, last, open, ok := cutRunKey(key); ok {
			again := appendOpenKey(nil, string(name))
			if !open {
				again = appendClosedKey(nil, string(name), last)
			}
			if !bytes.Equal(again, key) || !isRunOf(key, string(name)) {
				t.Fatalf("key %q is %q", key, again)
			}
		}
		if !isName(a) || !isName(b) {
			return
		}
		closed, open := appendClosedKey(nil, a, x), appendOpenKey(nil, a)
		if name, last, isOpen, ok := cutRunKey(closed); !ok || isOpen || string(name) != a || last != x {
			t.Fatalf("%q at %d is %q", a, x, closed)
		}
		if name, _, isOpen, ok := cutRunKey(open); !ok || !isOpen || string(name) != a {
			t.Fatalf("%q is %q", a, open)
		}
		if bytes.Compare(closed, open) >= 0 || bytes.Compare(closed, appendClosedKey(nil, a, y)) != cmp.Compare(x, y) {
			t.Fatalf("the runs of %q at %d and %d are not in order", a, x, y)
		}
		for _, other := range [][]byte{appendClosedKey(nil, b, y), appendOpenKey(nil, b)} {
			if isRunOf(other, a) != (a == b) {
				t.Fatalf("%q is one of %q", other, a)
			}
			if a < b && (bytes.Compare(open, other) >= 0 || bytes.Compare(closed, other) >= 0) {
				t.Fatalf("runs of %q stand behind %q", a, other)
			}
		}
	})
}

// isName reports whether a name could be a list's: it has no control characters.
func isName(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' {
			return false
		}
	}
	return s != ""
}
