package compat_test

import (
	"slices"
	"testing"

	"github.com/verbatim-es/verbatim/schema/compat"
)

// FuzzCheck compares whatever is taken for two schemas. The seeds are the pairs
// in testdata, besides those in testdata/fuzz.
func FuzzCheck(f *testing.F) {
	for _, pair := range pairs {
		f.Add(read(f, pair.dir, "old.bfbs"), read(f, pair.dir, "new.bfbs"))
	}
	f.Fuzz(checkAny)
}

// TestCrossed compares versions of different pairs: most have a table t.T in
// common, and little else.
func TestCrossed(t *testing.T) {
	t.Parallel()
	for i, pair := range pairs {
		old := read(t, pair.dir, "old.bfbs")
		for j := i % 5; j < len(pairs); j += 5 {
			checkAny(t, old, read(t, pairs[j].dir, "new.bfbs"))
		}
	}
}

// checkAny checks what holds for any two schemas.
func checkAny(t *testing.T, old, new []byte) {
	full, err := compat.Check(old, new, compat.FullTransitive)
	if err != nil {
		return
	}
	for _, f := range full {
		if f.Location == "" || f.Reason == "" || f.Breaks == 0 || !slices.Contains(compat.Rules(), f.Rule) {
			t.Errorf("incomplete: %+v", f)
		}
	}
	same, err := compat.CheckHistory([][]byte{new, old, new}, new, compat.Full)
	if err != nil || len(same) > 0 {
		t.Errorf("against itself: %v, %v", same, err)
	}
	again, err := compat.CheckHistory([][]byte{old, new}, new, compat.FullTransitive)
	if err != nil || !slices.Equal(again, full) {
		t.Errorf("a history that ends with the new version is not the same: %v, %v, want %v", again, err, full)
	}
}
