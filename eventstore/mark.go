package eventstore

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/journal"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// ErrJournalMissing is the kind of the error for a store that was not closed and
// whose journal is gone, and with it what the log had not taken up. See
// [AbandonJournal].
var ErrJournalMissing = errors.New("the store was not closed, and its journal is gone")

// The log's mark says whether the journal may hold what the log has not. It is
// set after the journal was made and before anything is appended, and cleared
// once the journal is empty.
const (
	markKey    = "journal"
	markNeeded = "needed"
	markEmpty  = "empty"
)

// needsJournal reads the mark. A log without one was never appended to.
func (l *eventLog) needsJournal() (needed bool, err error) {
	err = l.env.View(func(txn *lmdbenv.Txn) error {
		mark, err := getOrNil(txn, l.env.Meta(), []byte(markKey))
		if err == nil && mark != nil && string(mark) != markNeeded && string(mark) != markEmpty {
			err = &event.CorruptError{Message: fmt.Sprintf("the log's mark about the journal is %q", mark)}
		}
		needed = string(mark) == markNeeded
		return err
	})
	return needed, err
}

func (l *eventLog) mark(value string) error {
	return l.env.Update(func(txn *lmdbenv.Txn) error { return txn.Put(l.env.Meta(), []byte(markKey), []byte(value), 0) })
}

// checkJournal refuses to begin a new journal where one is needed.
func (s *Store) checkJournal() (needed bool, err error) {
	if needed, err = s.log.needsJournal(); err != nil || !needed {
		return needed, err
	}
	dir := filepath.Join(s.dir, journalDir)
	exists, err := journal.Exists(s.hooks.fs, dir)
	if err == nil && !exists {
		err = fmt.Errorf("%w: put %q back; if it is lost, restore a backup, or give up what was in it with \"es abandon-journal\"", ErrJournalMissing, dir)
	}
	return needed, err
}

// closeJournal closes the journal, and notes that it is empty if it is.
func (s *Store) closeJournal() error {
	state := s.journal.Stats()
	err := s.journal.Close()
	if err == nil && state.Last == state.Recycled && s.committer.failed.Load() == nil {
		err = s.log.mark(markEmpty)
	}
	return err
}

// AbandonJournal gives up what the journal of a closed store held, after it was
// lost: the next Open begins a new one behind what the log has. Acknowledged
// events of the last moments before the crash are gone then; the last resort.
// It fails while there is a journal.
func AbandonJournal(dir string) (err error) {
	if err := checkExists(dir); err != nil {
		return err
	}
	lock, err := lmdbenv.LockDir(dir)
	if err != nil {
		return openError(dir, err)
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	exists, err := journal.Exists(nil, filepath.Join(dir, journalDir))
	if err != nil {
		return fmt.Errorf("abandon journal: %w", err)
	}
	if exists {
		return fmt.Errorf("abandon journal: %q is there: open the store, which takes up what is in it, or move it away if it is damaged", filepath.Join(dir, journalDir))
	}
	log, err := openLog(filepath.Join(dir, logDir), lmdbenv.Options{})
	if err != nil {
		return openError(dir, err)
	}
	return errors.Join(log.mark(markEmpty), log.env.Close())
}
