package projection

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Keys come out in the order of their bytes, whatever they share and however
// long they are.
func TestRankSortsKeys(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		prefix := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "prefix")
		rests := rapid.SliceOfDistinct(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 0xff}), 0, 12), func(b []byte) string { return string(b) }).Draw(t, "rests")
		var memory arena
		keys := make([][]byte, len(rests))
		changes := make([]change, len(rests))
		for i, rest := range rests {
			keys[i] = slices.Concat(prefix, rest)
			changes[i].key = memory.copy(keys[i])
		}
		rank(changes, &memory.pieces)
		got := make([][]byte, len(changes))
		for i, c := range changes {
			got[i] = memory.bytes(c.key)
		}
		want := slices.Clone(keys)
		slices.SortFunc(want, bytes.Compare)
		if !slices.EqualFunc(got, want, bytes.Equal) {
			t.Fatalf("got %x, want %x", got, want)
		}
	})
}
