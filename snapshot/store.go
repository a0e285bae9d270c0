package snapshot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// Options configures a [Store]. Its zero value works.
type Options struct {
	// MaxBytes bounds the snapshots on disk, those written longest ago make
	// room; 0 means 256 MiB. The file may be twice as large.
	MaxBytes int64
	// MaxState is the largest snapshot that is kept, in bytes; 0 means 4 MiB.
	MaxState int
	// MaxPending bounds what waits in memory to be written, in bytes; 0 means
	// 16 MiB. What is over it is left out.
	MaxPending int
	// Interval is how long snapshots wait for others to be written with them, in
	// one transaction and with one sync; 0 means a second.
	Interval time.Duration
}

func (o Options) withDefaults() Options {
	if o.MaxBytes <= 0 {
		o.MaxBytes = 256 << 20
	}
	if o.MaxState <= 0 {
		o.MaxState = 4 << 20
	}
	if o.MaxPending <= 0 {
		o.MaxPending = 16 << 20
	}
	if o.Interval <= 0 {
		o.Interval = time.Second
	}
	return o
}

const (
	environmentKind   = "verbatim.snapshots"
	environmentFormat = 1
)

// Store keeps snapshots in a directory. Its methods are safe for concurrent use,
// by any number of handlers.
type Store struct {
	opts  Options
	lock  *lmdbenv.Lock
	env   *lmdbenv.Env
	db    databases
	wake  chan struct{} // holds a token while something is pending
	stop  chan struct{}
	ended chan struct{}
	once  sync.Once
	err   error // of Close

	mu      sync.Mutex
	pending map[string]aggregate.Snapshot
	writing map[string]aggregate.Snapshot // taken from pending, not yet on disk
	bytes   int                           // of pending
	closed  bool
	stats   Stats
}

var _ aggregate.Snapshots = (*Store)(nil)

// Stats counts what a store did since it was opened.
type Stats struct {
	// Written counts snapshots that reached the disk, Dropped those that were
	// left out because too much was waiting or writing failed, Pruned those that
	// made room, Damaged those that were found not to be what was written.
	Written, Dropped, Pruned, Damaged uint64
	// Err is what the last writing failed with, nil when it did not.
	Err error
}

// Open opens the snapshots in dir, and makes the directory when there is none.
// Snapshots whose file is damaged or of another format are thrown away. A
// directory that another process has open, or that holds anything else, is an
// error.
func Open(dir string, o Options) (*Store, error) {
	if err := lmdbenv.MkdirAll(dir); err != nil {
		return nil, err
	}
	lock, err := lmdbenv.LockDir(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{
		opts: o.withDefaults(), lock: lock, wake: make(chan struct{}, 1), stop: make(chan struct{}), ended: make(chan struct{}),
		pending: make(map[string]aggregate.Snapshot),
	}
	if err := s.open(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("snapshots: %w", err), lock.Unlock())
	}
	go s.write()
	return s, nil
}

func (s *Store) open(dir string) error {
	o := lmdbenv.Options{Kind: environmentKind, Format: environmentFormat, MaxDBs: 3, MapSize: 4*s.opts.MaxBytes + 64<<20}
	err := s.openEnv(dir, o)
	if unusable(err) {
		if err = os.Remove(filepath.Join(dir, lmdbenv.DataFile)); err == nil {
			err = s.openEnv(dir, o)
		}
	}
	return err
}

// unusable tells whether snapshots can be thrown away: they are ours, and damaged
// or of another format.
func unusable(err error) bool {
	return err != nil && !errors.Is(err, lmdbenv.ErrForeign) && (lmdbenv.IsDamaged(err) || errors.As(err, new(*lmdbenv.FormatError)))
}

func (s *Store) openEnv(dir string, o lmdbenv.Options) (err error) {
	if s.env, err = lmdbenv.Open(dir, o); err != nil {
		return err
	}
	if err = s.db.open(s.env); err != nil {
		return errors.Join(err, s.env.Close())
	}
	return nil
}

// Load returns the newest snapshot of a stream, written or not.
func (s *Store) Load(ctx context.Context, stream string) (aggregate.Snapshot, bool, error) {
	if err := ctx.Err(); err != nil {
		return aggregate.Snapshot{}, false, err
	}
	s.mu.Lock()
	found, ok := s.pending[stream]
	if !ok {
		found, ok = s.writing[stream]
	}
	s.mu.Unlock()
	if ok {
		return found, true, nil
	}
	value, err := s.db.get(s.env, stream)
	if value == nil || err != nil {
		return aggregate.Snapshot{}, false, err
	}
	if found, ok = decode(stream, value); !ok {
		s.mu.Lock()
		s.stats.Damaged++
		s.mu.Unlock()
	}
	return found, ok, nil
}

// Save takes a snapshot to be written. It fails with an [*event.TooLargeError]
// for one that is larger than MaxState, and leaves out what would be over
// MaxPending without an error.
func (s *Store) Save(ctx context.Context, snapshot aggregate.Snapshot) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(snapshot.State) > s.opts.MaxState {
		return &event.TooLargeError{Bound: "max_state of a snapshot", Limit: uint64(s.opts.MaxState), Actual: uint64(len(snapshot.State))}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("the snapshots are closed")
	}
	size := sizeOf(snapshot)
	if older, ok := s.pending[snapshot.Stream]; ok {
		size -= sizeOf(older)
	}
	if s.bytes+size > s.opts.MaxPending {
		s.stats.Dropped++
		return nil
	}
	s.pending[snapshot.Stream] = snapshot
	s.bytes += size
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return nil
}

// Stats returns the store's counters.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// Close writes what is pending and closes the directory. A second Close does
// nothing.
func (s *Store) Close() error {
	s.once.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		close(s.stop)
		<-s.ended
		s.err = errors.Join(s.env.Close(), s.lock.Unlock())
	})
	return s.err
}

// write writes what is pending, again and again, until the store is closed.
func (s *Store) write() {
	defer close(s.ended)
	for {
		select {
		case <-s.wake:
		case <-s.stop:
			s.flush()
			return
		}
		timer := time.NewTimer(s.opts.Interval)
		select {
		case <-timer.C:
		case <-s.stop:
		}
		timer.Stop()
		s.flush()
	}
}

func (s *Store) flush() {
	s.mu.Lock()
	s.writing, s.pending, s.bytes = s.pending, make(map[string]aggregate.Snapshot), 0
	batch := s.writing
	s.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	pruned, err := s.db.put(s.env, batch, s.opts.MaxBytes)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing, s.stats.Err = nil, nil
	if err != nil {
		s.stats.Dropped += uint64(len(batch))
		s.stats.Err = fmt.Errorf("snapshots: %w", err)
		return
	}
	s.stats.Written += uint64(len(batch))
	s.stats.Pruned += pruned
}
