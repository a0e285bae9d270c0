//go:build cgo && unix

package lmdbenv

import (
	"syscall"
	"testing"
)

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
