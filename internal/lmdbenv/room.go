//go:build cgo

package lmdbenv

import (
	"fmt"
	"os"
	"path/filepath"
)

// scarce is how much room a commit may need beyond what is put: copies of the
// pages on the way to it, and LMDB's list of free ones.
const scarce = 1 << 20

// SpaceError says that a disk has too little room. [IsNoSpace] recognizes it.
type SpaceError struct {
	Dir string
	// Free is what is left, Need what it would take, in bytes.
	Free, Need int64
	// Cause is the error of a write that failed, nil when none was tried.
	Cause error
}

func (e *SpaceError) Error() string {
	message := fmt.Sprintf("the disk of %q has %d bytes left of the %d needed: make room", e.Dir, e.Free, e.Need)
	if e.Cause != nil {
		message += ": " + e.Cause.Error()
	}
	return message
}

func (e *SpaceError) Unwrap() error { return e.Cause }

// Room reports by a [*SpaceError] that the disk has no room to put so many
// bytes. To ask first is better than to see a write fail: LMDB takes a short
// one for a broken disk.
func (e *Env) Room(bytes int64) error {
	free, ok := freeSpace(e.dir)
	need := bytes + scarce
	if ok && free < need {
		free += e.unused()
	}
	if ok && free < need {
		return &SpaceError{Dir: e.dir, Free: free, Need: need}
	}
	return nil
}

// unused is what the data file holds behind its last page: room that a write
// that failed took.
func (e *Env) unused() int64 {
	info, err := os.Stat(filepath.Join(e.dir, DataFile))
	if err != nil {
		return 0
	}
	sizes, err := e.Sizes()
	if err != nil {
		return 0
	}
	return max(0, info.Size()-sizes.Used)
}

// commitError judges the error of a commit. LMDB writes the meta page last and
// stops for good when that write fails. If it still works, the pages before it
// were not written, and nothing refers to them.
func (e *Env) commitError(err error) error {
	works := e.works()
	if works && IsNoSpace(err) {
		return fmt.Errorf("commit: %w", err)
	}
	free, ok := freeSpace(e.dir)
	switch full := ok && free < scarce; {
	case full && works:
		return &SpaceError{Dir: e.dir, Free: free, Need: scarce, Cause: fmt.Errorf("commit: %w", err)}
	case full:
		return &CommitError{Err: fmt.Errorf("%w: is the disk full? %d bytes are left", err, free)}
	}
	return &CommitError{Err: err}
}
