package eventstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/journal"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// ErrJournalMissing is the kind of the error for a store that was not closed and
// whose journal is gone, or a file of it, and with it what the log had not taken
// up. See [AbandonJournal].
var ErrJournalMissing = errors.New("the store was not closed, and its journal is gone")

// The log's mark says whether the journal may hold what the log has not, and
// which segments the journal has then: any of them may hold the newest events.
// It is written before anything is appended to a segment, so that no crash
// leaves one that could be lost unnoticed, and cleared once the journal is empty.
const (
	markKey     = "journal"
	markNeeded  = "needed"
	markEmpty   = "empty"
	segmentsKey = "segments"
)

// mark is the log's mark. A log without one was never appended to.
type mark struct {
	needed   bool
	segments []int // numbers, ascending; nil in a mark of a version that had none
}

func (l *eventLog) readMark() (m mark, err error) {
	err = l.env.View(func(txn *lmdbenv.Txn) error {
		state, err := getOrNil(txn, l.env.Meta(), []byte(markKey))
		if err != nil {
			return err
		}
		if state != nil && string(state) != markNeeded && string(state) != markEmpty {
			return &event.CorruptError{Message: fmt.Sprintf("the log's mark about the journal is %q", state)}
		}
		segments, err := getOrNil(txn, l.env.Meta(), []byte(segmentsKey))
		if err == nil && len(segments)%4 != 0 {
			err = &event.CorruptError{Message: fmt.Sprintf("the log's list of the journal's segments has %d bytes", len(segments))}
		}
		m.needed = string(state) == markNeeded
		for ; err == nil && len(segments) > 0; segments = segments[4:] {
			m.segments = append(m.segments, int(binary.BigEndian.Uint32(segments)))
		}
		return err
	})
	return m, err
}

// needJournal marks that a journal with these segments is needed.
func (l *eventLog) needJournal(segments []int) error {
	var value []byte
	for _, number := range segments {
		value = binary.BigEndian.AppendUint32(value, uint32(number))
	}
	return l.env.Update(func(txn *lmdbenv.Txn) error {
		return errors.Join(
			txn.Put(l.env.Meta(), []byte(markKey), []byte(markNeeded), 0),
			txn.Put(l.env.Meta(), []byte(segmentsKey), value, 0),
		)
	})
}

// needNoJournal marks that the log has everything.
func (l *eventLog) needNoJournal() error {
	return l.env.Update(func(txn *lmdbenv.Txn) error {
		return txn.Put(l.env.Meta(), []byte(markKey), []byte(markEmpty), 0)
	})
}

// announce has the mark say which segments there are.
func (s *Store) announce(segments []int) error {
	m, err := s.log.readMark()
	switch {
	case err != nil || m.needed && slices.Equal(m.segments, segments):
		return err
	case len(segments) == 0:
		return s.log.needNoJournal()
	}
	return s.log.needJournal(segments)
}

// checkJournal refuses to go on without a segment of a journal that is needed.
func (s *Store) checkJournal() error {
	m, err := s.log.readMark()
	if err != nil || !m.needed {
		return err
	}
	dir := filepath.Join(s.dir, journalDir)
	present, err := journal.Segments(s.hooks.fs, dir)
	if err != nil {
		return err
	}
	switch lost := m.missing(present); {
	case len(present) == 0:
		return fmt.Errorf("%w: put %q back; if it is lost, restore a backup, or give up what was in it with \"es abandon-journal\"", ErrJournalMissing, dir)
	case len(lost) > 0:
		return fmt.Errorf("%w, in part: put %q back; if it is lost, restore a backup, or give up what was in it with \"es abandon-journal\"",
			ErrJournalMissing, filepath.Join(dir, journal.SegmentName(lost[0])))
	}
	return nil
}

// missing are the segments that there must be and are not.
func (m mark) missing(present []int) []int {
	return slices.DeleteFunc(slices.Clone(m.segments), func(number int) bool { return slices.Contains(present, number) })
}

// closeJournal closes the journal, and notes that it is empty if it is.
func (s *Store) closeJournal() error {
	state := s.journal.Stats()
	err := s.journal.Close()
	if err == nil && state.Last == state.Recycled && s.committer.failed.Load() == nil {
		err = s.log.needNoJournal()
	}
	return err
}

// AbandonJournal gives up what the journal of a closed store held, after it, or a
// file of it, was lost: the next Open takes up what is in the files that are
// left, or begins a new journal behind what the log has. Acknowledged events of
// the last moments before the crash are gone then; the last resort. It fails
// while the journal is all there.
func AbandonJournal(dir string) (err error) {
	if err := checkWritable(dir); err != nil {
		return err
	}
	lock, err := lmdbenv.LockDir(dir)
	if err != nil {
		return openError(dir, err)
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	present, err := journal.Segments(nil, filepath.Join(dir, journalDir))
	if err != nil {
		return fmt.Errorf("abandon journal: %w", err)
	}
	log, err := openLog(filepath.Join(dir, logDir), lmdbenv.Options{})
	if err != nil {
		return openError(dir, err)
	}
	return errors.Join(log.abandon(dir, present), log.env.Close())
}

// abandon gives up the segments that are not present.
func (l *eventLog) abandon(dir string, present []int) error {
	if len(present) == 0 {
		return l.needNoJournal()
	}
	m, err := l.readMark()
	if err != nil {
		return err
	}
	if len(m.missing(present)) == 0 {
		return fmt.Errorf("abandon journal: %q is there: open the store, which takes up what is in it, or move it away if it is damaged", filepath.Join(dir, journalDir))
	}
	return l.needJournal(present)
}
