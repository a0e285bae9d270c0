package eventstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/journal"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
	"github.com/verbatim-es/verbatim/schema"
)

// watchInterval is how often a store that is open for reading only looks for
// what its writer has folded. While nothing was, a look costs two reads of
// memory.
const watchInterval = 50 * time.Millisecond

// openReadOnly opens a store beside its writer. Its tail lists what the log has
// and the index has not, so that everything is read as in a writer's store.
func openReadOnly(dir string, o Options) (_ *Store, err error) {
	s := &Store{dir: dir, logger: o.Logger, stats: new(stats), closing: make(chan struct{}), hooks: &o.hooks, waiters: newWaiters()}
	s.limits.KeyRetention = o.KeyRetention
	env, err := s.openLogReadOnly()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.closeFiles(), s.unlock())
		}
	}()
	refuse := func([]*schema.Schema) error { return errReadOnly() }
	if s.registry, err = s.log.openRegistry(o.Schemas, o.rules(), refuse); err != nil {
		return nil, fmt.Errorf("open event store %q: %w", dir, err)
	}
	if s.index, err = openIndex(filepath.Join(dir, indexDir), env); err != nil {
		return nil, indexUnusable(dir, err)
	}
	if err := s.watch(o); err != nil {
		return nil, indexUnusable(dir, err)
	}
	s.reportUnfolded()
	go s.watcher.run()
	return s, nil
}

// openLogReadOnly opens the log of a store that exists, and returns how: without
// LMDB's locks where they can't be taken, and then with the directory locked
// against writers.
func (s *Store) openLogReadOnly() (env lmdbenv.Options, err error) {
	if err := checkExists(s.dir); err != nil {
		return env, err
	}
	env.ReadOnly = true
	logs, index := filepath.Join(s.dir, logDir), filepath.Join(s.dir, indexDir)
	if !lmdbenv.Lockable(logs) || !lmdbenv.Lockable(index) {
		env.NoLock = true
		if s.lock, err = lmdbenv.LockShared(s.dir); err != nil {
			return env, fmt.Errorf("this process may not write to the reader tables in %q, so that it can read only while nobody writes: %w", s.dir, openError(s.dir, err))
		}
	}
	if s.log, err = openLog(logs, env); err != nil {
		return env, errors.Join(openError(s.dir, err), s.unlock())
	}
	return env, nil
}

func (s *Store) unlock() error {
	if s.lock == nil {
		return nil
	}
	return s.lock.Unlock()
}

// checkExists refuses a directory without a store.
func checkExists(dir string) error {
	info, err := os.Stat(filepath.Join(dir, logDir, lmdbenv.DataFile))
	switch {
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%w: %q is not a directory with a log in it: give the directory of a store", ErrNotStore, dir)
	case errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0:
		for _, name := range []string{journalDir, indexDir} {
			if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
				return errLogGone(dir, name)
			}
		}
		return fmt.Errorf("%w: %q has no log: give the directory of a store", ErrNotStore, dir)
	case err != nil:
		return fmt.Errorf("open event store: %w", err)
	}
	return nil
}

// checkWritable refuses a directory without a store, and a backup: it would not
// be what its sums are of any more.
func checkWritable(dir string) error {
	if err := checkExists(dir); err != nil {
		return err
	}
	return checkNoBackup(dir)
}

func indexUnusable(dir string, err error) error {
	return fmt.Errorf("open event store %q for reading only: its index can't be used, and is made again when the store is opened to write: %w", dir, err)
}

// reportUnfolded says what is in the journal and can't be read here.
func (s *Store) reportUnfolded() {
	found, err := journal.Inspect(filepath.Join(s.dir, journalDir), journal.Options{Store: s.log.store, Folded: s.recent.snapshot().head.position})
	if err != nil {
		s.logger.Info("the journal can't be read beside its writer; what is in it is not seen", "dir", s.dir, "error", err)
		return
	}
	if err := found.Close(); err != nil {
		s.logger.Warn("closing the journal", "dir", s.dir, "error", err)
	}
	if found.Frames > 0 {
		s.logger.Info("the journal has events that are not seen before the log has them: a writer takes them up within a second, and after a crash when the store is opened to write",
			"dir", s.dir, "first", found.First, "last", found.Last)
	}
}

// watcher follows the writer of a store that is open for reading only.
type watcher struct {
	store *Store
	done  chan struct{}

	mu   sync.Mutex
	seen [2]int64 // last transactions of index and log
	at   uint64   // checkpoint of the index
	err  error    // why nothing can be read any more
}

// watch begins where the index is and reads what the log has beyond.
func (s *Store) watch(o Options) error {
	w := &watcher{store: s, done: make(chan struct{})}
	at, err := w.checkpoint()
	if err != nil {
		return err
	}
	s.recent = newRecent(at.place, int64(o.MaxTail), 0)
	s.watcher, w.at = w, at.position
	if err := w.look(); err != nil {
		return err
	}
	head, err := s.log.lastPlace()
	if shown := s.recent.snapshot().head; err == nil && shown.position < head.position && s.recent.snapshot().bytes() > s.recent.max {
		err = fmt.Errorf("it has position %d, and the log %d: that is more than Options.MaxTail, %d bytes", at.position, head.position, o.MaxTail)
	}
	return err
}

func (w *watcher) run() {
	defer close(w.done)
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		select {
		case <-w.store.closing:
			return
		case <-ticker.C:
			if err := w.look(); err != nil {
				w.fail(err)
				return
			}
		}
	}
}

// fail ends all reading: what is shown can't be brought up to date.
func (w *watcher) fail(err error) {
	w.mu.Lock()
	w.err = &event.UnavailableError{Message: "the store can't be followed any more: open it again", Cause: err}
	w.mu.Unlock()
	w.store.logger.Error("the store can't be followed any more", "dir", w.store.dir, "error", err)
	w.store.waiters.close()
}

func (w *watcher) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

func (w *watcher) indexed() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

// look takes up what was committed since the last look: the index's checkpoint
// first, so that it is not ahead of the log.
func (w *watcher) look() error {
	s := w.store
	if s.log.env.Replaced() || s.index.env.Replaced() {
		return fmt.Errorf("another log or index was put into %q", s.dir)
	}
	index, err := s.index.env.Transaction()
	if err != nil {
		return err
	}
	log, err := s.log.env.Transaction()
	if err != nil {
		return err
	}
	now := [2]int64{index, log}
	if now == w.seen {
		return nil
	}
	at, err := w.checkpoint()
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.at = at.position
	w.mu.Unlock()
	s.recent.trim(at.position)
	more, err := w.publish()
	if err == nil && log != w.seen[1] {
		err = s.learnSchemas()
	}
	if err == nil && !more {
		w.seen = now
	}
	return err
}

// checkpoint is that of the index, which must be of this log.
func (w *watcher) checkpoint() (at checkpoint, err error) {
	s := w.store
	err = s.index.env.View(func(txn *lmdbenv.Txn) (err error) {
		at, err = s.index.checkpoint(txn)
		return err
	})
	if err != nil {
		return at, err
	}
	head, err := s.log.lastPlace()
	if err == nil && !fits(at, s.log, head) {
		err = fmt.Errorf("the index has followed another log, or none, up to position %d", at.position)
	}
	return at, err
}

// publish shows what the log has, as far as there is room in the tail. It
// reports whether there is more.
func (w *watcher) publish() (more bool, err error) {
	s := w.store
	head, err := s.log.lastPlace()
	if err != nil {
		return false, err
	}
	for {
		shown := s.recent.snapshot()
		if shown.head.position >= head.position {
			return false, nil
		}
		if shown.bytes() > s.recent.max {
			return true, nil
		}
		events, err := s.log.appendsAfter(shown.head.position, head.position)
		if err != nil {
			return false, err
		}
		s.recent.publish(events)
		s.waiters.wake(events)
		s.recent.release(head.position)
		s.recent.trim(w.at)
	}
}

// appendsAfter returns the next events, whole appends up to a head, as many as
// are taken up at a time.
func (l *eventLog) appendsAfter(after, head uint64) (events []event.Event, err error) {
	err = l.env.View(func(txn *lmdbenv.Txn) error {
		scan, err := logView{l, txn}.scan(after+1, false)
		if err != nil {
			return err
		}
		defer scan.close()
		inside := false // an append
		for bytes := 0; scan.position <= head && (inside || len(events) < applyEvents && bytes < applyBytes); {
			e, err := scan.next()
			if err != nil {
				return err
			}
			bytes += len(e.Record())
			events = append(events, e.Clone())
			inside = e.BatchSeq()+1 < e.BatchSize()
		}
		return nil
	})
	return events, err
}

// learnSchemas takes up what the writer has registered.
func (s *Store) learnSchemas() error {
	kept, err := s.log.keptSchemas()
	if err != nil {
		return err
	}
	known := len(s.registry.Set().Schemas())
	if len(kept) <= known {
		return nil
	}
	return s.registry.Learn(kept[known:])
}

func (s *Store) closeReadOnly() error {
	s.waiters.close()
	<-s.watcher.done
	return errors.Join(s.closeFiles(), s.unlock())
}

// settle waits until log and index have what there is now, in a store that takes
// appends.
func (s *Store) settle(ctx context.Context) (head place, err error) {
	head = s.recent.snapshot().head
	if s.watcher != nil {
		return head, nil
	}
	for _, f := range []*follower{s.folder, s.indexer} {
		if err := f.await(ctx, head.position); err != nil {
			return head, err
		}
	}
	return head, nil
}
