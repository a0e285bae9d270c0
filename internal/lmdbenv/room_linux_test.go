//go:build cgo

package lmdbenv_test

import (
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// smallDisk mounts one, which only root may.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("a small disk can't be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestFullDiskIsNoSpace has LMDB meet the end of the disk, which it reports as
// a broken one when a part of a write succeeded.
func TestFullDiskIsNoSpace(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t, "3m")
	env := open(t, filepath.Join(dir, "env"), options)
	err := env.Update(func(txn *lmdbenv.Txn) error {
		return txn.Put(env.Meta(), []byte("k"), make([]byte, 3<<20), 0)
	})
	var unknown *lmdbenv.CommitError
	if !lmdbenv.IsNoSpace(err) || errors.As(err, &unknown) || !strings.Contains(err.Error(), "input/output") {
		t.Errorf("a write that was cut in two: %v", err)
	}
	var space *lmdbenv.SpaceError
	if err := env.Room(4 << 20); !errors.As(err, &space) || space.Need < 4<<20 || space.Free > 3<<20 || !lmdbenv.IsNoSpace(err) {
		t.Errorf("room for more than the disk has: %v", err)
	}
	// It goes on once there is room, and nothing is there of what failed.
	put(t, env, "after", "it")
	if err := env.View(func(txn *lmdbenv.Txn) error {
		_, err := txn.Get(env.Meta(), []byte("k"))
		return err
	}); !lmdbenv.IsNotFound(err) {
		t.Errorf("what had no room: %v", err)
	}
	// What the write took of the disk is the file's own room.
	if err := env.Room(1 << 20); err != nil {
		t.Errorf("room behind the last page: %v", err)
	}
}
