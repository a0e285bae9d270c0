package eventstore

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstoretest"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// TestFullDiskRefusesAppendsUntilThereIsRoom fills a real, small disk.
func TestFullDiskRefusesAppendsUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=12m"); err != nil {
		t.Skipf("a small disk can't be mounted here: %v", err)
	}
	t.Cleanup(func() { // after the store is closed
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	filler := filepath.Join(disk, "filler")
	if err := os.WriteFile(filler, make([]byte, 6<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	s := openFaulty(t, filepath.Join(disk, "store"), Options{})
	full := func(a event.Append) (stored uint64) {
		t.Helper()
		for {
			_, err := s.Append(t.Context(), a)
			if err == nil {
				stored++
				continue
			}
			if !errors.Is(err, event.ErrUnavailable) || errors.Is(err, event.ErrOutcomeUnknown) || !lmdbenv.IsNoSpace(err) || !strings.Contains(err.Error(), "bytes left") {
				t.Fatalf("a full disk, after %d appends: %v", stored, err)
			}
			return stored
		}
	}
	big := event.Append{Stream: "ledger-1", Events: []event.Proposed{eventstoretest.Noted("x", 1)}}
	big.Events[0].Metadata = []event.Meta{{Key: "pad", Value: strings.Repeat("x", 50_000)}}
	stored := full(big)
	if stored < 10 {
		t.Errorf("only %d appends found room", stored)
	}
	if reason := s.Stats().ReadOnly; reason != "" {
		t.Errorf("read-only: %q", reason)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if got := mustAppend(t, s, big); got.First != stored+1 {
		t.Errorf("once there is room: %+v, %d were stored", got, stored)
	}
}

// TestBackupToAFullDisk leaves nothing of a backup that the disk has no room for.
func TestBackupToAFullDisk(t *testing.T) {
	t.Parallel()
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=128k"); err != nil {
		t.Skipf("a small disk can't be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	dir := t.TempDir()
	filled(t, dir)
	if _, err := BackupDir(t.Context(), dir, filepath.Join(disk, "backup"), nil); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("backup: %v", err)
	}
	if entries, err := os.ReadDir(disk); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}
