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
		keys := make([][]byte, len(rests))
		order := make([]ranked, len(rests))
		for i, rest := range rests {
			keys[i], order[i].at = slices.Concat(prefix, rest), int32(i)
		}
		rank(order, func(at int32) []byte { return keys[at] })
		got := make([][]byte, len(order))
		for i, r := range order {
			got[i] = keys[r.at]
		}
		want := slices.Clone(keys)
		slices.SortFunc(want, bytes.Compare)
		if !slices.EqualFunc(got, want, bytes.Equal) {
			t.Fatalf("got %x, want %x", got, want)
		}
	})
}
