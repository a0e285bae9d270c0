package eventstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/journal"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
	"github.com/verbatim-es/verbatim/internal/registry"
)

// VerifyDir verifies the store in a directory, whether a process has it open or
// not, and changes nothing: the log, the index against it, and the journal. The
// journal is left out while a writer has the store; the report says so.
//
// The report is of what is damaged, also when the log or the index can't be
// opened at all. The error is for a verification that could not be finished, of
// a directory without a store for example.
//
// LMDB trusts its pages: on some damage it ends the process. Run VerifyDir in a
// process of its own where that matters, as "es verify" does.
//
// progress, unless it is nil, is called now and then with the position up to
// which everything was verified.
func VerifyDir(ctx context.Context, dir string, progress func(position, head uint64)) (_ Report, err error) {
	s := &Store{dir: dir, hooks: new(hooks), closing: make(chan struct{})}
	v := &verifier{store: s, streams: make(map[string]uint64), progress: progress}
	env, err := s.openLogReadOnly()
	if err != nil && isDamage(err) && !errors.Is(err, ErrNewerFormat) {
		v.report.add(0, "the log can't be opened: %v", err)
		return v.report, nil
	}
	if err != nil {
		return v.report, err
	}
	defer func() { err = errors.Join(err, s.closeFiles(), s.unlock()) }()
	v.report.Store = s.log.store
	err = v.everything(ctx, env)
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case err != nil && !errors.Is(err, os.ErrPermission):
		// What was opened and can't be read is not as it was written.
		v.report.add(0, "reading behind position %d: %v", v.position, err)
		err = nil
	}
	return v.report, err
}

// everything verifies what there is beside the log, and the log.
func (v *verifier) everything(ctx context.Context, env lmdbenv.Options) (err error) {
	s := v.store
	if s.registry, err = s.log.openRegistry(nil, registry.Rules{}, nil); err != nil {
		v.report.add(0, "the schemas that the log keeps: %v", err)
		return nil
	}
	if err := v.openIndex(env); err != nil {
		return err
	}
	if v.head, err = v.end(); err != nil {
		return err
	}
	if err := v.run(ctx); err != nil {
		return err
	}
	return v.journal()
}

// openIndex opens the index, unless it can't be used.
func (v *verifier) openIndex(env lmdbenv.Options) (err error) {
	s := v.store
	const remedy = "is made again when the store is opened to write"
	if s.index, err = openIndex(filepath.Join(s.dir, indexDir), env); err != nil {
		switch {
		case errors.Is(err, os.ErrNotExist):
			v.report.Notes = append(v.report.Notes, "there is no index: it "+remedy)
		case isDamage(err):
			v.report.add(0, "the index can't be opened, and %s: %v", remedy, err)
		default:
			return err
		}
		return nil
	}
	if _, err := (&watcher{store: s}).checkpoint(); err != nil {
		v.report.add(0, "the index does not fit the log, and %s: %v", remedy, err)
		err = s.index.env.Close()
		s.index = nil
		return err
	}
	return nil
}

// isDamage reports whether something stored is not what was written, as opposed
// to what could not be looked at.
func isDamage(err error) bool {
	return lmdbenv.IsDamaged(err) || errors.Is(err, lmdbenv.ErrForeign) || errors.As(err, new(*lmdbenv.FormatError)) ||
		errors.As(err, new(*event.CorruptError)) || errors.As(err, new(*journal.CorruptError)) ||
		errors.Is(err, ErrJournalMissing) || errors.As(err, new(*journal.ForeignError)) || errors.As(err, new(*journal.BehindError))
}

// end is the place of the log's last event. When that one is damaged, its
// position follows from the number of records.
func (v *verifier) end() (place, error) {
	head, err := v.store.log.lastPlace()
	if err == nil || !errors.As(err, new(*event.CorruptError)) {
		return head, err
	}
	err = v.store.log.env.View(func(txn *lmdbenv.Txn) error {
		stat, err := txn.Stat(v.store.log.records)
		head.position = stat.Entries
		return err
	})
	return head, err
}

// journal verifies what the journal holds, against the log and by itself, while
// it keeps writers out.
func (v *verifier) journal() error {
	s := v.store
	if s.lock == nil {
		lock, err := lmdbenv.LockShared(s.dir)
		if locked := (*lmdbenv.LockedError)(nil); errors.As(err, &locked) {
			v.report.Notes = append(v.report.Notes, fmt.Sprintf("the journal was not verified: %v", locked))
			return nil
		}
		if err != nil {
			return err
		}
		s.lock = lock
	}
	head, err := v.end()
	if err != nil {
		return err
	}
	if v.isBackup() {
		return nil // it has no journal, and needs none
	}
	if err := s.checkJournal(); err != nil {
		return v.judge(err)
	}
	dir := filepath.Join(s.dir, journalDir)
	found, err := journal.Inspect(dir, journal.Options{Store: s.log.store, Folded: head.position})
	if err != nil {
		return v.judge(err)
	}
	err = v.frames(dir, head, found)
	return errors.Join(err, found.Close())
}

func (v *verifier) isBackup() bool {
	_, err := os.Stat(filepath.Join(v.store.dir, manifestFile))
	return err == nil
}

// frames verifies the events of a journal: the log has the older ones, and the
// others follow it.
func (v *verifier) frames(dir string, head place, found *journal.Inspection) error {
	if found.Cut != nil {
		v.report.Notes = append(v.report.Notes, fmt.Sprintf("%v: nobody was told that it was stored, and it will be left out", found.Cut))
	}
	r := recovery{store: v.store, dir: dir, head: head}
	for frame, err := range found.Folded() {
		if err == nil {
			err = r.compare(frame)
		}
		if err != nil {
			return v.judge(err)
		}
	}
	for frame, err := range found.Unfolded() {
		if err == nil {
			err = r.each(frame, frame.Payload, func(e event.Event) error { return v.unfolded(head, e) })
		}
		if err != nil {
			return v.judge(err)
		}
	}
	if found.Frames > 0 {
		v.report.JournalPosition = found.Last
		v.report.Notes = append(v.report.Notes, fmt.Sprintf("the journal holds positions %d to %d, which the log takes up when the store is opened to write", found.First, found.Last))
	}
	return nil
}

// unfolded verifies an event that the log may not have.
func (v *verifier) unfolded(head place, e event.Event) error {
	if e.Position() <= head.position {
		return v.store.log.holds(placeOf(e))
	}
	v.position = e.Position()
	v.data(e)
	return nil
}

// judge adds damage to the report; other errors are its caller's.
func (v *verifier) judge(err error) error {
	if isDamage(err) {
		v.report.add(0, "%v", err)
		return nil
	}
	return err
}
