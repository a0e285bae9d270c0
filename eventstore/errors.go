package eventstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// ErrNotStore is the kind of the error for a directory that holds something
// else than a store.
var ErrNotStore = errors.New("not an event store")

// ErrInUse is the kind of the error for a directory that is open already, in
// this or in another process; the error names it.
var ErrInUse = errors.New("event store is in use")

// ErrNewerFormat is the kind of the error for a store that a newer version of
// this program wrote.
var ErrNewerFormat = errors.New("event store has a newer format")

// openError gives the error of an environment its kind.
func openError(dir string, err error) error {
	var newer *lmdbenv.FormatError
	var locked *lmdbenv.LockedError
	switch {
	case errors.As(err, &newer) && !newer.TooOld():
		return fmt.Errorf("%w: %w", ErrNewerFormat, err)
	case errors.As(err, &locked):
		return fmt.Errorf("%w: %w", ErrInUse, err)
	case errors.Is(err, lmdbenv.ErrForeign):
		return fmt.Errorf("%w: %w: give the directory of a store, or a new one", ErrNotStore, err)
	case errors.Is(err, ErrNotStore):
		return err
	default:
		return fmt.Errorf("open event store %q: %w", dir, err)
	}
}

// checkNoBackup refuses a backup to whoever would change it.
func checkNoBackup(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, manifestFile)); err == nil {
		return fmt.Errorf("%w: %q is a backup: restore it into a new directory, or open it for reading only", ErrNotStore, dir)
	}
	return nil
}

// errLogGone is for a directory that has a part of a store, and no log.
func errLogGone(dir, part string) error {
	return fmt.Errorf("%w: the log in %q is gone, but what belongs to it is in %q: restore the log from a backup, or give a new directory",
		ErrNotStore, filepath.Join(dir, logDir), part)
}

// ErrReadOnly is the kind of the error for what a store can't do that was opened
// with [Options].ReadOnly.
var ErrReadOnly = errors.New("the event store is open for reading only")

func errReadOnly() error {
	return &event.UnavailableError{Message: "open the store without Options.ReadOnly, in the process that writes to it", Cause: ErrReadOnly}
}

func errIndexBehind() error {
	return &event.UnavailableError{Message: "the index is being made again by the process that has the store open to write: open the store again, once that is done"}
}

func errClosed() error { return &event.UnavailableError{Message: "the store is closed"} }

// closedError says in the store's own words that an environment is closed.
func closedError(err error) error {
	if errors.Is(err, lmdbenv.ErrClosed) {
		return errClosed()
	}
	return err
}
