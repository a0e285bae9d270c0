package eventstore

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestRunKeepsItsPositions(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.Uint64Range(0, 1<<62).Draw(t, "base")
		before := uint64(0)
		if base > 0 {
			before = rapid.Uint64().Draw(t, "before")
		}
		r := run{base: base, before: before, last: base} // as next leaves it
		var want []uint64
		for _, delta := range rapid.SliceOfN(rapid.OneOf(rapid.Uint64Range(1, 300), rapid.Uint64Range(1, 1<<50)), 1, 200).Draw(t, "deltas") {
			r.add(r.last + delta)
			want = append(want, r.last)
		}
		key := appendOpenKey(nil, rapid.StringMatching(`[a-z0-9\-:.é]{1,12}`).Draw(t, "name"))
		kind := rapid.SampledFrom([]listKind{byStream, byCategory, byType, byTag}).Draw(t, "kind")
		value := r.append(nil, kind, key)
		got, open, err := readRun(kind, key, value)
		if err != nil || !open || got.base != base || got.before != before || got.count != uint64(len(want)) || got.last != r.last {
			t.Fatalf("%+v, %v, want %+v", got, err, r)
		}
		positions, err := got.positions(nil)
		if err != nil || !slices.Equal(positions, want) {
			t.Fatalf("%v, %v, want %v", positions, err, want)
		}
		flipped := bytes.Clone(value)
		flipped[rapid.IntRange(0, len(value)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if _, _, err := readRun(kind, key, flipped); err == nil {
			t.Fatal("a flipped bit is not noticed")
		}
		for other := range listKinds {
			if _, _, err := readRun(other, key, value); (err == nil) != (other == kind) {
				t.Fatalf("a run of a list of kind %d is read as one of kind %d: %v", kind, other, err)
			}
		}
	})
}

func TestRunKeysSortByPosition(t *testing.T) {
	t.Parallel()
	names := rapid.StringMatching(`[a-z0-9\-:.é]{1,12}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := names.Draw(t, "a"), names.Draw(t, "b")
		x, y := rapid.Uint64Range(1, 1<<63-1).Draw(t, "x"), rapid.Uint64Range(1, 1<<63-1).Draw(t, "y")
		first, second := appendClosedKey(nil, a, x), appendClosedKey(nil, a, y)
		if (bytes.Compare(first, second) < 0) != (x < y) || bytes.Compare(first, appendOpenKey(nil, a)) >= 0 {
			t.Fatalf("%x, %x", first, second)
		}
		if other := appendClosedKey(nil, b, y); a < b && bytes.Compare(appendOpenKey(nil, a), other) >= 0 || isRunOf(other, a) != (a == b) {
			t.Fatalf("%q and %q", first, other)
		}
		if name, last, open, ok := cutRunKey(first); !ok || open || string(name) != a || last != x {
			t.Fatalf("%q", first)
		}
	})
}

// FuzzRun reads entries from anywhere.
func FuzzRun(f *testing.F) {
	r := run{}
	for _, position := range []uint64{1, 2, 130, 1 << 40} {
		r.add(position)
	}
	key := appendOpenKey(nil, "ledger-1")
	f.Add(key, r.append(nil, byTag, key)[4:])
	key = appendClosedKey(nil, "a:b", r.last)
	f.Add(key, r.append(nil, byTag, key)[4:])
	f.Add([]byte("a\x01"), []byte{0, 7})
	f.Add([]byte("a\x01"), []byte{3, 9, 3, 2, 0, 1, 1})
	f.Add([]byte("a\x01"), []byte{2, 2, 1, 1, 0})
	f.Add([]byte{1}, []byte{3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1, 1, 1, 1})
	f.Fuzz(func(t *testing.T, key, rest []byte) {
		value := append([]byte{0, 0, 0, 0}, rest...)
		if _, _, err := readRun(byTag, key, value); err == nil && runChecksum(byTag, key, rest) != 0 {
			t.Fatal("no checksum, and nothing notices")
		}
		sum := runChecksum(byTag, key, rest)
		value[0], value[1], value[2], value[3] = byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum)
		r, open, err := readRun(byTag, key, value)
		if err != nil {
			return
		}
		positions, err := r.positions(nil)
		if err != nil {
			return
		}
		if uint64(len(positions)) != r.count || positions[len(positions)-1] != r.last || !slices.IsSorted(positions) {
			t.Fatalf("%+v has %v", r, positions)
		}
		name, last, _, _ := cutRunKey(key)
		again := appendOpenKey(nil, string(name))
		if !open {
			again = appendClosedKey(nil, string(name), last)
		}
		if !bytes.Equal(again, key) {
			t.Fatalf("key %q is %q", key, again)
		}
	})
}
