//go:build !race

package event_test

import (
	"testing"

	"github.com/verbatim-es/verbatim/event"
)

// The race detector makes pools forget at random, so allocations are counted
// without it: make test runs these tests in a second pass.
func TestAllocations(t *testing.T) {
	a := full()
	tags := []string{"owner:ada"}
	var record []byte
	if n := testing.AllocsPerRun(100, func() { record, _ = event.BuildRecord(&a, 0, 1, nil) }); n > 1 {
		t.Errorf("building a record takes %v allocations, want the record's own", n)
	}
	if n := testing.AllocsPerRun(100, func() { record, _ = event.BuildRecord(&a, 1, 1, tags) }); n > 3 {
		t.Errorf("building a record with tags and metadata takes %v allocations, want 3", n)
	}
	if n := testing.AllocsPerRun(100, func() { event.Seal(record, someID, 3, 4) }); n > 0 {
		t.Errorf("sealing takes %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() {
		e, err := event.Decode(record)
		if err != nil || e.Stream() == "" || e.Type() == "" || len(e.Data()) == 0 || e.ID().IsZero() {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("decoding and reading takes %v allocations", n)
	}
}
