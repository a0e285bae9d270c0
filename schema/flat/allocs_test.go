//go:build !race

package flat_test

import (
	"testing"

	"github.com/verbatim-es/verbatim/schema/flat"
)

// Under the race detector a sync.Pool drops builders on purpose.
func TestFinishAllocatesTheResultOnly(t *testing.T) {
	allocs := testing.AllocsPerRun(100, func() {
		b := flat.Get()
		flat.Finish(b, meta(b, "key"))
	})
	if allocs > 1 {
		t.Errorf("%v allocations, want 1", allocs)
	}
}
