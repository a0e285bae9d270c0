//go:build cgo && unix

package lmdbenv

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// LockFile is the name of the file that a directory's owner holds locked.
const LockFile = "lock"

// thisProcess tells this process from another one that has the same id in
// another container.
var thisProcess = rand.Text()

// LockedError says who has a directory open.
type LockedError struct {
	Dir string
	// PID is the owner's process id as it wrote it, "" when unreadable.
	PID string
	// Same is true when it is this very process.
	Same bool
	// Shared is true when it is who reads, or verifies, and keeps writers out, see
	// [LockShared]. Who that is can't be known.
	Shared bool
}

func (e *LockedError) Error() string {
	switch {
	case e.Shared:
		return fmt.Sprintf("%q is being read, or verified, by a process that keeps writers out meanwhile: wait for its end", e.Dir)
	case e.Same:
		return fmt.Sprintf("%q is already open in this process: open it once and share it", e.Dir)
	case e.PID == "":
		return fmt.Sprintf("%q is in use by another process: stop it first", e.Dir)
	default:
		return fmt.Sprintf("%q is in use by process %s: stop it first", e.Dir, e.PID)
	}
}

// Lock is the right to write to a directory.
type Lock struct{ file, dir *os.File }

// LockDir takes the directory for this process, by locks on its file "lock" and
// on the directory itself, since a file can be removed. The system drops them
// when the process ends, however it ends. The file holds the owner's process
// id. A directory that is taken fails with a [*LockedError].
func LockDir(dir string) (*Lock, error) {
	file, err := os.OpenFile(filepath.Join(dir, LockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	switch err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, errors.Join(holder(dir, file), file.Close())
	case err != nil:
		return nil, errors.Join(fmt.Errorf("lock %q: %w", dir, err), file.Close())
	}
	locked, err := lockItself(dir)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	content := fmt.Sprintf("%d %s\n", os.Getpid(), thisProcess)
	if err := errors.Join(file.Truncate(0), writeAll(file, content)); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %q: %w", dir, err), file.Close(), locked.Close())
	}
	return &Lock{file: file, dir: locked}, nil
}

// OpenHere reports whether this very process has the directory locked. It takes
// no lock that could keep another process from taking it.
func OpenHere(dir string) bool {
	file, err := os.Open(filepath.Join(dir, LockFile))
	if err != nil {
		return false
	}
	defer file.Close()
	var locked *LockedError
	if !errors.As(owner(dir, file), &locked) || !locked.Same {
		return false
	}
	// Its name stays in the file after it has let go.
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if err == nil {
		_ = syscall.Flock(int(file.Fd()), syscall.LOCK_UN)
	}
	return errors.Is(err, syscall.EWOULDBLOCK)
}

// lockItself locks the directory. File systems that can't do that, which there
// are over networks, leave it at the file.
func lockItself(dir string) (*os.File, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errors.Join(&LockedError{Dir: dir}, d.Close())
	}
	return d, nil
}

// LockShared keeps writers out of a directory, whose [LockDir] fails until it is
// given up; any number of readers can do so at a time. Nothing is written, so it
// also works where this process may not. A directory that a writer has fails
// with a [*LockedError].
func LockShared(dir string) (*Lock, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	locked := &Lock{dir: d}
	locked.file, err = os.Open(filepath.Join(dir, LockFile))
	if errors.Is(err, os.ErrNotExist) {
		locked.file, err = os.Open(dir) // nobody ever wrote here
	}
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	for _, f := range []*os.File{locked.file, d} {
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); err != nil {
			if errors.Is(err, syscall.EWOULDBLOCK) {
				err = owner(dir, locked.file)
			}
			return nil, errors.Join(err, locked.file.Close(), d.Close())
		}
	}
	return locked, nil
}

// Unlock gives the directory up. The file stays: removing it could take the
// lock of the next owner away.
func (l *Lock) Unlock() error {
	// Closing alone would leave the lock to a child process that was forked a
	// moment ago and has not yet closed its copy.
	_ = syscall.Flock(int(l.dir.Fd()), syscall.LOCK_UN) // where there is one
	return errors.Join(syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN), l.dir.Close(), l.file.Close())
}

// holder says who keeps a writer out. What the file says is of the last writer,
// who is gone when a shared lock can be had.
func holder(dir string, file *os.File) error {
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); err != nil {
		return owner(dir, file)
	}
	_ = syscall.Flock(int(file.Fd()), syscall.LOCK_UN) // closing it would, too
	return &LockedError{Dir: dir, Shared: true}
}

func writeAll(file *os.File, content string) error {
	_, err := file.WriteAt([]byte(content), 0)
	return err
}

func owner(dir string, file *os.File) error {
	locked := &LockedError{Dir: dir}
	content, err := io.ReadAll(io.LimitReader(file, 128))
	if err != nil {
		return locked
	}
	if fields := strings.Fields(string(content)); len(fields) == 2 {
		locked.PID, locked.Same = fields[0], fields[1] == thisProcess
	}
	return locked
}
