package eventstore

import (
	"sync"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/commit"
)

// CommitBuckets are the upper bounds of Stats.CommitDurations and of
// [Durations]; what took longer is in one bucket more.
var CommitBuckets = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, time.Second,
}

// BatchBuckets are the upper bounds of Stats.BatchEvents, in events; larger
// batches are in one bucket more.
var BatchBuckets = [...]uint64{1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000}

// Stats are numbers about a store, since it was opened unless they say
// otherwise.
type Stats struct {
	Store event.ID
	// Head is the position of the last event, LogPosition what the log has taken
	// up from the journal, and IndexPosition what the index has taken up from the
	// log.
	Head, LogPosition, IndexPosition uint64
	// Commits that made something durable, with the events and record bytes in
	// them.
	Commits, Events, RecordBytes uint64
	// Appends that were stored; Conflicts and Repeats were not.
	Appends, Conflicts, Repeats uint64
	// CommitDurations counts commits by how long they took, see
	// [CommitBuckets]; CommitTime is their sum.
	CommitDurations [len(CommitBuckets) + 1]uint64
	CommitTime      time.Duration
	// BatchEvents counts commits by their number of events, see [BatchBuckets].
	BatchEvents [len(BatchBuckets) + 1]uint64
	// ClockBehind counts commits at which the clock was behind the last id.
	ClockBehind uint64
	// TailEvents are those that the index, or also the log, has not taken up, and
	// TailBytes the memory that takes. QueuedAppends wait for the disk, Waiters for
	// their next event.
	TailEvents, TailBytes uint64
	QueuedAppends         int
	Waiters               int
	// JournalFrames and JournalBytes were written to the journal, each frame a
	// commit. It has JournalSegments files, of which JournalFree hold nothing
	// that the log has not taken up.
	JournalFrames, JournalBytes  uint64
	JournalSegments, JournalFree int
	// Folds are the transactions by which the log followed the journal, and
	// IndexFlushes those by which the index followed the log, with their syncs.
	Folds, IndexFlushes Durations
	// LogBytes and IndexBytes are the sizes of the data files, 0 once closed.
	LogBytes, IndexBytes int64
	// ReadOnly is why the store takes no appends, "" if it does.
	ReadOnly string
}

// Durations counts what took how long.
type Durations struct {
	// Buckets are as [CommitBuckets] says; Sum is all of them together.
	Buckets [len(CommitBuckets) + 1]uint64
	Sum     time.Duration
}

func (d *Durations) add(took time.Duration) {
	d.Buckets[bucket(CommitBuckets[:], took)]++
	d.Sum += took
}

// Stats returns the present numbers. It costs a few microseconds, and works on
// a closed store.
func (s *Store) Stats() Stats {
	out := s.stats.read()
	t := s.recent.snapshot()
	out.Store = s.log.store
	out.Head = t.head.position
	if s.watcher != nil {
		out.LogPosition, out.IndexPosition = t.head.position, s.watcher.indexed()
		out.ReadOnly = ErrReadOnly.Error()
	} else {
		s.readWriter(&out)
	}
	out.TailEvents = t.head.position - min(t.base, t.held)
	out.TailBytes = uint64(t.bytes())
	out.Waiters = s.waiters.len()
	if sizes, err := s.log.env.Sizes(); err == nil {
		out.LogBytes = sizes.Used
	}
	if sizes, err := s.index.env.Sizes(); err == nil {
		out.IndexBytes = sizes.Used
	}
	return out
}

// readWriter reads the numbers of a store that takes appends.
func (s *Store) readWriter(out *Stats) {
	out.LogPosition = s.folder.position()
	out.IndexPosition = s.indexer.position()
	out.Folds, out.IndexFlushes = s.folder.durations(), s.indexer.durations()
	j := s.journal.Stats()
	out.JournalFrames, out.JournalBytes = j.Frames, j.Bytes
	out.JournalSegments, out.JournalFree = j.Segments, j.Free
	out.QueuedAppends = s.committer.queueLen()
	if failed := s.committer.failed.Load(); failed != nil {
		out.ReadOnly = failed.Error()
	}
}

// stats counts what the committer does.
type stats struct {
	mu  sync.Mutex
	now Stats
}

func (s *stats) read() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *stats) decided(b *commit.Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.Conflicts += uint64(b.Conflicts)
	s.now.Repeats += uint64(b.Repeats)
	if b.ClockBehind {
		s.now.ClockBehind++
	}
}

func (s *stats) committed(b *commit.Batch, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.Commits++
	s.now.Events += uint64(len(b.Events))
	for _, e := range b.Events {
		s.now.RecordBytes += uint64(len(e.Record()))
		if e.BatchSeq() == 0 {
			s.now.Appends++
		}
	}
	s.now.CommitTime += took
	s.now.CommitDurations[bucket(CommitBuckets[:], took)]++
	s.now.BatchEvents[bucket(BatchBuckets[:], uint64(len(b.Events)))]++
}

// bucket returns the index of the first bound that is not below v.
func bucket[T time.Duration | uint64](bounds []T, v T) int {
	for i, bound := range bounds {
		if v <= bound {
			return i
		}
	}
	return len(bounds)
}
