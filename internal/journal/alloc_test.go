//go:build !race

package journal

import "testing"

// TestAppendAllocations checks that an append allocates nothing, within a
// segment.
func TestAppendAllocations(t *testing.T) {
	j, _, err := Open(t.TempDir(), Options{Store: testStore, SegmentSize: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	records := [][]byte{make([]byte, 256), make([]byte, 4000)}
	next := uint64(1)
	if n := testing.AllocsPerRun(200, func() {
		if err := j.Append(next, records); err != nil {
			t.Fatal(err)
		}
		next += 2
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}
