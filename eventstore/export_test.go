package eventstore

import (
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/verbatim-es/verbatim/eventstoretest"
)

// CrashStates is how many processes the external tests kill, beyond a few.
func CrashStates() int { return *crashStates }

// FailPoints are the points of [OpenToDie].
var FailPoints = []string{
	string(pointPersist), string(pointPersisted), string(pointPublished),
	string(pointFold), string(pointFolded), string(pointRecycled),
	string(pointIndex), string(pointIndexed), string(pointTrimmed),
	string(pointOpened), string(pointCaughtUp), string(pointEmptied),
}

// WithShortRuns has the index close runs of a few positions.
func WithShortRuns(o Options) Options {
	o.hooks.run = 3
	return o
}

// OpenToDie opens a store with a small journal, whose process kills itself when
// it is at a point for the nth time. The point is given as "name:n", "" for
// none.
func OpenToDie(dir, at string) (*Store, error) {
	name, n, _ := strings.Cut(at, ":")
	times, _ := strconv.ParseInt(n, 10, 64)
	var left atomic.Int64
	left.Store(times)
	return Open(dir, Options{
		Schemas: eventstoretest.Schema, MaxAppend: 64 << 10, MaxJournal: 512 << 10, MaxTail: 1 << 20,
		hooks: hooks{interval: 5 * time.Millisecond, chunk: 16, at: func(p point) error {
			if string(p) == name && left.Add(-1) == 0 {
				_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
				select {} // until it is delivered
			}
			return nil
		}},
	})
}
