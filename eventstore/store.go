package eventstore

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/commit"
	"github.com/verbatim-es/verbatim/internal/journal"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
	"github.com/verbatim-es/verbatim/internal/registry"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/compat"
)

// Options of a store. The zero value is a store with the schemas it has.
type Options struct {
	// ReadOnly opens a store that exists without taking it from the process that
	// writes to it, which may be this one, and changes nothing that is stored; see
	// [Open]. The files "lock.mdb", by which LMDB knows its readers, are written
	// to, and made where there are none. Of the other options Schemas,
	// Compatibility, MaxTail, KeyRetention and Logger are used. Schemas must be
	// known to the store.
	ReadOnly bool
	// Schemas are registered, as by [Store.Register]. The store keeps every
	// schema it was ever opened with, so that its log describes itself; an old
	// version of a schema does not replace a newer one that the store has.
	Schemas schema.Sources
	// Compatibility is what a new schema must keep with the versions of it that
	// the store has. The zero mode is the strictest, and what events need: all
	// versions of the code can read the data of all others.
	Compatibility compat.Mode
	// MaxSchemas is how many schemas the store may have, all versions counted, by
	// default 1000, and MaxSchemaBytes how many bytes they may have together, by
	// default 64 MiB: all of them are in memory while the store is open. They
	// bound what is registered, not what is there.
	MaxSchemas, MaxSchemaBytes int
	// MaxRecord is the largest record in bytes, at most and by default
	// [event.MaxRecord].
	MaxRecord int
	// MaxAppend is the largest sum of an append's records in bytes, by default
	// [event.MaxRecord], and MaxAppendEvents the most events it may have, by
	// default 65536.
	MaxAppend, MaxAppendEvents int
	// MaxJournal is how many bytes of disk the journal may take, by default 256
	// MiB. All of it may have to be read when the store is opened after a crash;
	// what is to be taken up then is bounded by MaxTail. It must have room for
	// two appends of MaxAppend. A new store begins with two segments, an eighth
	// of it or as much as MaxAppend needs.
	MaxJournal int
	// MaxQueue is how many bytes of appends may wait for the disk, by default
	// 64 MiB; more are refused. MaxTail is how many bytes of memory events may take
	// because log and index have not taken them up, by default 64 MiB: their
	// records until the log has, and lists of them, a tenth or a quarter of that,
	// until the index has. Appends wait when it is more. It also bounds what log
	// and index have to take up when the store is opened after a crash.
	MaxQueue, MaxTail int
	// MapSize is the largest size that the log, or the index, may ever reach;
	// by default 1 TiB. It is address space, not memory or disk.
	MapSize int64
	// KeyRetention is how long an idempotency key is known: until an event is
	// recorded that much later than the append, by the times in the two's ids;
	// the clock on the wall does not matter. Then the key can be used again, and
	// its entry is removed from the index, in small steps while the index
	// follows. 0 is for ever. A key in the index takes about one and a half times
	// its length and 60 bytes. It should be longer than the longest time after which
	// anybody tries again. To raise it does not bring back what was removed, until
	// the index is made again.
	KeyRetention time.Duration
	// Logger gets what an operator should know: events recovered after a crash,
	// an index rebuilt, a store that turned read-only, a clock that went back. Nil
	// means nothing.
	Logger *slog.Logger

	hooks hooks
}

const (
	defaultMaxAppend       = event.MaxRecord
	defaultMaxAppendEvents = 1 << 16
	defaultMaxJournal      = 256 << 20
	defaultMaxQueue        = 64 << 20
	defaultMaxTail         = 64 << 20
	defaultMaxSchemas      = 1000
	defaultMaxSchemaBytes  = 64 << 20
)

func (o *Options) complete() error {
	for name, v := range map[string]int{"MaxRecord": o.MaxRecord, "MaxAppend": o.MaxAppend, "MaxAppendEvents": o.MaxAppendEvents, "MaxJournal": o.MaxJournal, "MaxQueue": o.MaxQueue, "MaxTail": o.MaxTail, "MaxSchemas": o.MaxSchemas, "MaxSchemaBytes": o.MaxSchemaBytes} {
		if v < 0 {
			return fmt.Errorf("event store: Options.%s is %d, it must not be negative", name, v)
		}
	}
	if o.KeyRetention < 0 {
		return fmt.Errorf("event store: Options.KeyRetention is %v, it must not be negative", o.KeyRetention)
	}
	if o.MaxRecord > event.MaxRecord {
		return fmt.Errorf("event store: Options.MaxRecord is %d, it can be %d at most", o.MaxRecord, event.MaxRecord)
	}
	for _, d := range []struct {
		v         *int
		otherwise int
	}{
		{&o.MaxRecord, event.MaxRecord}, {&o.MaxAppend, defaultMaxAppend}, {&o.MaxAppendEvents, defaultMaxAppendEvents},
		{&o.MaxJournal, defaultMaxJournal}, {&o.MaxQueue, defaultMaxQueue}, {&o.MaxTail, defaultMaxTail},
		{&o.MaxSchemas, defaultMaxSchemas}, {&o.MaxSchemaBytes, defaultMaxSchemaBytes},
	} {
		if *d.v == 0 {
			*d.v = d.otherwise
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if segment, segments := o.journalShape(); segments < 2 {
		return fmt.Errorf("event store: Options.MaxJournal is %d, with appends of %d bytes it must be at least %d", o.MaxJournal, o.MaxAppend, 2*segment)
	}
	return nil
}

// rules are what is asked of new schemas.
func (o *Options) rules() registry.Rules {
	return registry.Rules{Mode: o.Compatibility, MaxSchemas: o.MaxSchemas, MaxBytes: o.MaxSchemaBytes}
}

// journalShape is the size of the journal's segments, and how many there may
// be. The largest append fits into one, in blocks of 4 KiB, the first of which
// is the segment's own and part of the second the frame's.
func (o *Options) journalShape() (segment int64, segments int) {
	const block = 4096
	segment = max(int64(o.MaxAppend+3*block-1), int64(o.MaxJournal/16)) / block * block
	return segment, int(int64(o.MaxJournal) / segment)
}

// Store is an open event store. Its methods are safe for concurrent use.
type Store struct {
	dir       string
	lock      *lmdbenv.Lock
	journal   *journal.Journal
	log       *eventLog
	index     *index
	registry  *registry.Registry
	limits    commit.Limits
	recent    *recent
	waiters   *waiters
	committer *committer
	folder    *follower // of the journal, by the log
	indexer   *follower // of the log, by the index
	watcher   *watcher  // of the writer, in a store that is open for reading only
	stats     *stats
	logger    *slog.Logger
	hooks     *hooks
	records   [][]byte // scratch space of persist
	keepKeys  bool     // forgetting has failed; the indexer's

	closing   chan struct{}
	closeOnce sync.Once
	closeErr  error
}

var (
	_ event.Log       = (*Store)(nil)
	_ event.KeyReader = (*Store)(nil)
)

// Open opens the store in dir, and makes one when dir does not exist or is
// empty. It holds the directory until Close: a second Open, in this or another
// process, fails with [ErrInUse]. A directory that holds something else fails
// with [ErrNotStore] and is left as it is, a store of a newer format with
// [ErrNewerFormat].
//
// What a crash left in the journal is folded into the log before Open returns,
// and reported to the logger. A journal that is damaged, or not of this store,
// fails Open: nothing is given up without being told to. An index that is
// behind, or does not belong to the log, follows; that takes as long as there
// are events to take up.
//
// With [Options].ReadOnly the store takes no appends and no schemas, which fail
// with [ErrReadOnly], and shows what the process that writes to it has folded
// into the log: [Store.Head] says how far that is. It looks for more twenty
// times a second, so that subscriptions follow, and its index must not be
// further behind than MaxTail. What a crash left in the journal is not seen, and
// reported to the logger; opening the store to write folds it. Where this
// process may not write at all, for example on a file system that is mounted
// read-only, it can't tell a writer of its readers: then it keeps writers out
// until Close, and fails with [ErrInUse] when there is one.
func Open(dir string, o Options) (*Store, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	if dir == "" {
		return nil, errors.New("open event store: the directory's name is empty: give one")
	}
	if o.ReadOnly {
		return openReadOnly(dir, o)
	}
	if err := checkDir(dir); err != nil {
		return nil, err
	}
	if err := lmdbenv.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("open event store: %w", err)
	}
	lock, err := lmdbenv.LockDir(dir)
	if err != nil {
		return nil, openError(dir, err)
	}
	s, err := open(dir, o)
	if err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	s.lock = lock
	return s, nil
}

// syncNames makes the names of the store and of what is in it durable. They may
// be there and not be durable, when who made them was killed. A parent that
// can't be read is somebody else's, and was there before.
func syncNames(dir string) error {
	err := lmdbenv.SyncDir(filepath.Dir(filepath.Clean(dir)))
	if errors.Is(err, fs.ErrPermission) {
		err = nil
	}
	return errors.Join(err, lmdbenv.SyncDir(dir))
}

// checkDir refuses what is neither a store nor could become one, and creates
// nothing.
func checkDir(dir string) error {
	if err := checkNoBackup(dir); err != nil {
		return err
	}
	logs := filepath.Join(dir, logDir)
	if info, err := os.Stat(filepath.Join(logs, lmdbenv.DataFile)); err != nil || info.Size() == 0 {
		return checkNew(dir)
	}
	if _, err := os.Stat(filepath.Join(dir, lmdbenv.LockFile)); err == nil {
		return nil // whoever gets the lock looks at the file, nobody writes to it then
	}
	if err := lmdbenv.Check(logs, logKind); err != nil {
		return openError(dir, err)
	}
	return nil
}

// checkNew refuses to make a store where there is anything but what a store that
// was never finished leaves. Beside an index or views, which follow a log, an
// empty one would have them forget all of it.
func checkNew(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open event store: %w", err)
	}
	for _, entry := range entries {
		switch entry.Name() {
		case lmdbenv.LockFile, "lost+found":
			continue
		case logDir:
			inside, err := os.ReadDir(filepath.Join(dir, logDir))
			if err == nil && !slices.ContainsFunc(inside, func(e os.DirEntry) bool { return !strings.HasSuffix(e.Name(), ".mdb") }) {
				continue // LMDB's data, without any, and its lock
			}
		case journalDir, indexDir, viewsDir:
			return errLogGone(dir, entry.Name())
		}
		return fmt.Errorf("%w: directory %q is not empty and has no log in it: give a new or an empty one", ErrNotStore, dir)
	}
	return nil
}

func open(dir string, o Options) (_ *Store, err error) {
	s := &Store{dir: dir, logger: o.Logger, stats: new(stats), closing: make(chan struct{}), hooks: &o.hooks}
	s.limits = commit.Limits{Record: o.MaxRecord, Append: o.MaxAppend, Events: o.MaxAppendEvents, KeyRetention: o.KeyRetention}
	if s.log, err = openLog(filepath.Join(dir, logDir), lmdbenv.Options{MapSize: o.MapSize}); err != nil {
		return nil, openError(dir, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.closeFiles())
		}
	}()
	if s.registry, err = s.log.openRegistry(o.Schemas, o.rules(), s.log.keepSchemas); err != nil {
		return nil, fmt.Errorf("open event store %q: %w", dir, err)
	}
	head, err := s.log.head()
	if err != nil {
		return nil, fmt.Errorf("open event store %q: %w", dir, err)
	}
	if err := s.checkJournal(); err != nil {
		return nil, fmt.Errorf("open event store %q: %w", dir, err)
	}
	if head, err = s.openJournal(head, &o); err != nil {
		return nil, fmt.Errorf("open event store %q: %w", dir, err)
	}
	if err := s.openIndex(o.MapSize, head); err != nil {
		return nil, err
	}
	if err := syncNames(dir); err != nil {
		return nil, fmt.Errorf("open event store: %w", err)
	}
	s.start(head, o)
	return s, nil
}

// openIndex opens the index and has it follow. One that can't be read, or is of
// an older format, is made again: it holds nothing that the log does not.
func (s *Store) openIndex(mapSize int64, head place) (err error) {
	dir := filepath.Join(s.dir, indexDir)
	s.index, err = openIndex(dir, lmdbenv.Options{MapSize: mapSize})
	if old := (*lmdbenv.FormatError)(nil); errors.Is(err, lmdbenv.ErrForeign) || lmdbenv.IsDamaged(err) || errors.As(err, &old) && old.TooOld() {
		s.logger.Warn("the index can't be read and is made again", "dir", dir, "error", err)
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		s.index, err = openIndex(dir, lmdbenv.Options{MapSize: mapSize})
	}
	if err != nil {
		return openError(s.dir, err)
	}
	s.index.runBytes = cmp.Or(s.hooks.run, runBytes)
	rebuilt, err := s.catchUp(head)
	if err != nil {
		return fmt.Errorf("open event store %q: index: %w", s.dir, err)
	}
	if rebuilt {
		s.logger.Warn("the index did not fit the log and was rebuilt", "dir", dir, "events", head.position)
	}
	return nil
}

func (s *Store) start(head place, o Options) {
	s.recent = newRecent(head, int64(o.MaxTail), o.hooks.chunk)
	s.waiters = newWaiters()
	s.committer = &committer{
		recent: s.recent, waiters: s.waiters, stats: s.stats,
		persist: s.persist, now: time.Now, entropy: commit.RandomEntropy,
		maxQueued: o.MaxQueue, maxBatch: int(min(maxBatchBytes, s.journal.MaxPayload())),
		turnedReadOnly: func(err error) {
			s.logger.Error("the store is read-only", "dir", s.dir, "error", err)
			s.recent.stop(err)
		},
		clockBehind: func(now time.Time, last event.ID) {
			s.logger.Warn("the clock is behind the last event; ids go on from there until it has caught up",
				"dir", s.dir, "clock", now, "last", last.Timestamp())
		},
	}
	s.committer.idle.L = &s.committer.mu
	fatal := func(err error) { s.committer.readOnly("what was appended can't be taken up", err) }
	follow := func(name string, limit func() uint64, interval, quiet time.Duration) *follower {
		return &follower{name: name, limit: limit, fatal: fatal, interval: cmp.Or(s.hooks.interval, interval), quiet: cmp.Or(s.hooks.interval, quiet)}
	}
	s.indexer = follow("index", s.logPosition, indexInterval, indexQuiet)
	s.indexer.apply, s.indexer.applied = s.applyToIndex, s.indexed
	s.indexer.due = func() bool { return s.recent.snapshot().listBytes >= int64(o.MaxTail)/2 }
	s.folder = follow("log", s.headPosition, foldInterval, foldInterval)
	s.folder.apply, s.folder.applied = s.fold, s.folded
	early := min(foldBytes, int64(o.MaxTail)/4, int64(o.MaxJournal)/4)
	s.folder.due = func() bool { return s.recent.snapshot().recordBytes >= early }
	s.committer.published = func() {
		_ = s.hooks.reach(pointPublished) // can't fail
		s.folder.grew()
	}
	s.indexer.start(head.position)
	s.folder.start(head.position)
}

func (s *Store) headPosition() uint64 { return s.recent.snapshot().head.position }

// logPosition is how far the index may follow: it is never ahead of the log.
func (s *Store) logPosition() uint64 {
	if seeded == bugIndexAheadOfLog {
		return s.headPosition()
	}
	return s.folder.position()
}

// applyToIndex has the index take up the next events of the tail.
func (s *Store) applyToIndex(after, limit uint64) (uint64, error) {
	h := s.recent.seal().harvest(after, limit)
	h.retention = s.limits.KeyRetention
	if seeded == bugTrimEarly {
		s.recent.trim(h.to.position)
	}
	return h.to.position, s.storeIndex(&h)
}

// storeIndex has the index take up a harvest.
func (s *Store) storeIndex(h *harvest) error {
	if seeded == bugCheckpointFirst {
		to := checkpoint{store: s.log.store, place: h.to}
		if err := s.index.env.Update(func(txn *lmdbenv.Txn) error { return s.index.setCheckpoint(txn, to) }); err != nil {
			return err
		}
	}
	if err := s.hooks.around(pointIndex, pointIndexed, func() error { return s.index.store(s.log.store, h) }); err != nil {
		return err
	}
	return s.forgetKeys(h.to, h.events())
}

func (s *Store) indexed(last uint64) {
	s.recent.trim(last)
	_ = s.hooks.reach(pointTrimmed) // can't fail
}

// StoreID identifies the store: positions mean something only within it.
func (s *Store) StoreID() event.ID { return s.log.store }

// Dir is the store's directory.
func (s *Store) Dir() string { return s.dir }

// Close refuses new appends, finishes those it has accepted, ends all reads
// that wait, brings log and index up to the head, empties the journal and gives
// the directory up. Reads in flight are finished first; later ones fail with an
// [*event.UnavailableError]. Further calls return what the first one did. When
// it fails nothing is lost: the next Open finds it in the journal.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		close(s.closing)
		if s.watcher != nil {
			s.closeErr = s.closeReadOnly()
			return
		}
		s.committer.close()
		s.waiters.close()
		s.closeErr = errors.Join(s.folder.close(), s.indexer.close(), s.hooks.reach(pointEmptied), s.closeJournal(), s.closeFiles(), s.lock.Unlock())
	})
	return s.closeErr
}

func (s *Store) closeFiles() (err error) {
	if s.journal != nil {
		err = s.journal.Close()
	}
	if s.index != nil {
		err = errors.Join(err, s.index.env.Close())
	}
	return errors.Join(err, s.log.env.Close())
}

// ready fails when there is nothing to be read any more.
func (s *Store) ready() error {
	if s.isClosing() {
		return errClosed()
	}
	if s.watcher != nil {
		return s.watcher.failure()
	}
	return nil
}

func (s *Store) isClosing() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}
