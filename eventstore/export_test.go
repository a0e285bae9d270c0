package eventstore

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/verbatim-es/verbatim/eventstoretest"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
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

// PowerDisk is a simulated disk for journals.
type PowerDisk struct{ disk *powerDisk }

// NewPowerDisk makes an empty one.
func NewPowerDisk(seed uint64) PowerDisk { return PowerDisk{newPowerDisk(seed)} }

// Open opens a small store in dir whose journal is on the disk, whose tail has
// short chunks, and whose index short runs.
func (d PowerDisk) Open(dir string) (*Store, error) {
	return Open(dir, Options{
		Schemas: eventstoretest.Schema, MaxAppend: 64 << 10, MaxJournal: 256 << 10, MaxTail: 48 << 10,
		hooks: hooks{fs: d.disk, at: d.disk.at, interval: time.Millisecond, chunk: 4, run: 3},
	})
}

// Arm has the power go at the nth change of journal, log or index; nothing is
// written any more from then on.
func (d PowerDisk) Arm(n int) { d.disk.arm(n, noFault, 0) }

// Crash ends the process that had the journal, with the power or by itself. What
// it did not sync is then lost, some of it, or not.
func (d PowerDisk) Crash(power bool) {
	if power {
		d.disk.losePower()
	} else {
		d.disk.kill()
	}
}

// MemoryDir returns where directories cost no syncs, "" if there is no such place.
func MemoryDir() string {
	if _, err := os.Stat("/dev/shm"); err != nil {
		return ""
	}
	return "/dev/shm"
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

// WithShortRuns has the index close runs of a few positions.
func WithShortRuns(o Options) Options {
	o.hooks.run = 6
	return o
}

// HoldIndex keeps the index from being written to until release is called.
func HoldIndex(s *Store) (release func()) {
	held, end := make(chan struct{}), make(chan struct{})
	go func() {
		_ = s.index.env.Update(func(*lmdbenv.Txn) error {
			close(held)
			<-end
			return errors.New("nothing to write")
		})
	}()
	<-held
	return func() { close(end) }
}
