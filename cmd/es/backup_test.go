package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/verbatim-es/verbatim/eventstore"
)

// TestStat describes a store that is closed, in use, and without an index.
func TestStat(t *testing.T) {
	t.Parallel()
	dir := makeStore(t, 5)
	status, stdout, stderr := es(t, "stat", dir)
	for _, want := range []string{"events  10\n", "first   position 1 ", "last    position 10 ", "log     position 10 ", "index   position 10 ", "the store was closed", "schema  "} {
		if status != 0 || stderr != "" || !strings.Contains(strings.Join(strings.Fields(stdout), " "), strings.Join(strings.Fields(want), " ")) {
			t.Errorf("status %d, want %q in\n%s%s", status, want, stdout, stderr)
		}
	}
	store, err := eventstore.Open(dir, smallStore())
	if err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr = es(t, "stat", "--json", dir)
	var d eventstore.Description
	if err := json.Unmarshal([]byte(stdout), &d); err != nil || status != 0 || d.Store != store.StoreID() || d.Last.Position != 10 || d.Closed || len(d.Schemas) == 0 || len(d.Schemas[0].Events) == 0 || d.Segments != 2 {
		t.Errorf("beside a writer: status %d, %v\n%s%s", status, err, stdout, stderr)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "index")); err != nil {
		t.Fatal(err)
	}
	if status, stdout, stderr := es(t, "stat", dir); status != 0 || !strings.Contains(stdout, "none that can be used") {
		t.Errorf("without an index: status %d\n%s%s", status, stdout, stderr)
	}
	for _, args := range [][]string{{"rebuild", dir, "index"}, {"rebuild", dir}} {
		if status, stdout, stderr := es(t, args...); status != 0 || !strings.Contains(stdout, "the index has position 10") {
			t.Errorf("%q: status %d\n%s%s", args, status, stdout, stderr)
		}
	}
	if status, _, stderr := es(t, "rebuild", dir, "log"); status != 2 || !strings.Contains(stderr, "index") {
		t.Errorf("rebuild the log: status %d\n%s", status, stderr)
	}
	if status, _, stderr := es(t, "stat", t.TempDir()); status != 1 || !strings.Contains(stderr, "not an event store") {
		t.Errorf("no store: status %d\n%s", status, stderr)
	}
}

func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	dir, base := makeStore(t, 5), t.TempDir()
	backup, restored := filepath.Join(base, "backup"), filepath.Join(base, "restored")
	store, err := eventstore.Open(dir, smallStore())
	if err != nil {
		t.Fatal(err)
	}
	if status, stdout, stderr := es(t, "backup", dir, backup); status != 0 || !strings.Contains(stdout, "up to position 10") || stderr != "" {
		t.Errorf("backup: status %d\n%s%s", status, stdout, stderr)
	}
	if status, stdout, stderr := es(t, "backup", dir, backup); status != 1 || stdout != "" || !strings.Contains(stderr, "is not empty") {
		t.Errorf("backup again: status %d\n%s%s", status, stdout, stderr)
	}
	if status, _, stderr := es(t, "rebuild", dir, "index"); status != 1 || !strings.Contains(stderr, "in use") {
		t.Errorf("rebuild beside a writer: status %d\n%s", status, stderr)
	}
	if status, _, stderr := es(t, "abandon-journal", dir); status != 1 || !strings.Contains(stderr, "in use") {
		t.Errorf("abandon the journal of a writer: status %d\n%s", status, stderr)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if status, stdout, stderr := es(t, "restore", backup, restored); status != 0 || !strings.Contains(stdout, "up to position 10") {
		t.Errorf("restore: status %d\n%s%s", status, stdout, stderr)
	}
	if status, stdout, stderr := es(t, "verify", restored); status != 0 || strings.Contains(stdout, store.StoreID().String()) {
		t.Errorf("verify what was restored: status %d\n%s%s", status, stdout, stderr)
	}
	if status, stdout, _ := es(t, "abandon-journal", restored); status != 0 || !strings.Contains(stdout, "behind position 10") {
		t.Errorf("abandon the journal that is not there: status %d\n%s", status, stdout)
	}
}

func TestDumpPagesAndLoad(t *testing.T) {
	t.Parallel()
	dir, to := makeStore(t, 5), filepath.Join(t.TempDir(), "new")
	status, dump, stderr := es(t, "dump", "--pages", dir)
	if status != 0 || stderr != "" || !strings.HasPrefix(dump, "VBDH") {
		t.Fatalf("dump: status %d, %d bytes\n%s", status, len(dump), stderr)
	}
	file := filepath.Join(t.TempDir(), "dump")
	if err := os.WriteFile(file, []byte(dump), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, stdout, stderr := es(t, "load", to, file); status != 0 || !strings.Contains(stdout, "up to position 10") {
		t.Errorf("load: status %d\n%s%s", status, stdout, stderr)
	}
	if status, stdout, _ := es(t, "stat", to); status != 0 || !strings.Contains(strings.Join(strings.Fields(stdout), " "), "index position 10") {
		t.Errorf("what was loaded: status %d\n%s", status, stdout)
	}
	if status, _, stderr := es(t, "load", to, file); status != 1 || !strings.Contains(stderr, "is not empty") {
		t.Errorf("load again: status %d\n%s", status, stderr)
	}
	if status, _, stderr := es(t, "load", file, filepath.Join(to, "else")); status != 1 || !strings.Contains(stderr, "the new directory comes first: es load "+filepath.Join(to, "else")+" "+file) {
		t.Errorf("load with the arguments swapped: status %d\n%s", status, stderr)
	}
	if status, again, _ := es(t, "dump", "--pages", to); status != 0 || len(again) != len(dump) || again[64:] != dump[64:] {
		t.Errorf("another dump differs: status %d, %d bytes of %d", status, len(again), len(dump))
	}
	if status, stdout, stderr := es(t, "dump", "--pages", "--limit", "1", dir); status != 1 || stdout != "" || !strings.Contains(stderr, "--pages") {
		t.Errorf("--pages --limit: status %d\n%s", status, stderr)
	}
}

// What a store that was not closed has lost is not taken for nothing.
func TestStatOfALostJournal(t *testing.T) {
	t.Parallel()
	dir, lost := makeStore(t, 5), filepath.Join(t.TempDir(), "lost")
	store, err := eventstore.Open(dir, smallStore())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	fill(t, store, 5)
	if err := os.CopyFS(lost, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(lost, "journal")); err != nil {
		t.Fatal(err)
	}
	if status, stdout, stderr := es(t, "stat", lost); status != 0 || !strings.Contains(stdout, "there must be one, and it can't be read") {
		t.Errorf("status %d\n%s%s", status, stdout, stderr)
	}
}
