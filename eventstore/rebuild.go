package eventstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// RebuildIndex makes the index of a closed store again from its log, whatever it
// is like, and closes the store. It fails with [ErrInUse] while a process has the
// store open to write. When it is interrupted the next Open goes on with it.
// Options are those of [Open].
func RebuildIndex(dir string, o Options) error {
	if o.ReadOnly {
		return errReadOnly()
	}
	if err := checkWritable(dir); err != nil {
		return err
	}
	if err := removeIndex(dir); err != nil {
		return err
	}
	s, err := Open(dir, o)
	if err != nil {
		return err
	}
	return s.Close()
}

// removeIndex removes the index while no writer has the store. Who reads it
// notices, see [watcher].
func removeIndex(dir string) error {
	lock, err := lmdbenv.LockDir(dir)
	if err != nil {
		return openError(dir, err)
	}
	err = os.RemoveAll(filepath.Join(dir, indexDir))
	if err := errors.Join(err, lock.Unlock()); err != nil {
		return fmt.Errorf("rebuild the index: %w", err)
	}
	return nil
}
