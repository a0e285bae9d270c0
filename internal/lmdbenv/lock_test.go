//go:build cgo && unix

package lmdbenv

import (
	"errors"
	"strings"
	"syscall"
	"testing"
)

// TestLockedByReaders names nobody: the file names the last writer.
func TestLockedByReaders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writer, err := LockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var locked *LockedError
	if _, err := LockDir(dir); !errors.As(err, &locked) || locked.Shared || locked.PID == "" || !locked.Same {
		t.Errorf("beside a writer: %v", err)
	}
	if _, err := LockShared(dir); !errors.As(err, &locked) || locked.Shared {
		t.Errorf("a reader beside a writer: %v", err)
	}
	if err := writer.Unlock(); err != nil {
		t.Fatal(err)
	}
	reader, err := LockShared(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := LockDir(dir); !errors.As(err, &locked) || !locked.Shared || locked.PID != "" || locked.Same || !strings.Contains(err.Error(), "being read") {
		t.Errorf("beside a reader: %v", err)
	}
	if err := reader.Unlock(); err != nil {
		t.Fatal(err)
	}
	if writer, err = LockDir(dir); err != nil {
		t.Fatal(err)
	}
	if err := writer.Unlock(); err != nil {
		t.Error(err)
	}
}

// TestUnlockDespiteAChild holds the copy of the file that a child process has
// between fork and exec.
func TestUnlockDespiteAChild(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lock, err := LockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	inherited, err := syscall.Dup(int(lock.file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(inherited)
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	again, err := LockDir(dir)
	if err != nil {
		t.Fatalf("after unlocking: %v", err)
	}
	if err := again.Unlock(); err != nil {
		t.Fatal(err)
	}
}
