package eventstore

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/verbatim-es/verbatim/event"
)

func mustRead(t *testing.T, s *Store) (records [][]byte) {
	t.Helper()
	for e, err := range s.Read(t.Context(), event.Selection{}) {
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, bytes.Clone(e.Record()))
	}
	return records
}

// TestBackupAndRestore makes a backup of a store in use, restores it, and finds
// everything but the store's id as it was.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	dir, base := t.TempDir(), t.TempDir()
	filled(t, dir)
	s := openFaulty(t, dir, Options{})
	keyed := struck("ledger-1")
	keyed.Key = "the last one"
	first := mustAppend(t, s, keyed)
	want := mustRead(t, s)

	// Appends go on meanwhile.
	var appending sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	appending.Go(func() {
		for ctx.Err() == nil {
			if _, err := s.Append(context.Background(), struck("ledger-2")); err != nil {
				t.Error(err)
				return
			}
		}
	})
	backup := filepath.Join(base, "backup")
	var done, most int64
	made, err := s.Backup(t.Context(), backup, func(d, m int64) { done, most = d, m })
	stop()
	appending.Wait()
	if err != nil || made.Position < 601 || made.Store != s.StoreID() || done == 0 || done > most || done != made.Log.Bytes+made.Index.Bytes {
		t.Fatalf("backup: %+v, %d of %d, %v", made, done, most, err)
	}
	if report, err := VerifyDir(t.Context(), backup, nil); err != nil || !report.OK() || report.Head != made.Position || len(report.Notes) > 0 {
		t.Errorf("verify the backup: %+v, %v", report, err)
	}
	if _, err := Open(backup, Options{}); !errors.Is(err, ErrNotStore) || !strings.Contains(err.Error(), "restore it") {
		t.Errorf("open the backup: %v", err)
	}
	beside, err := Open(backup, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := mustRead(t, beside); uint64(len(got)) != made.Position {
		t.Errorf("the backup has %d events, not %d", len(got), made.Position)
	}
	if err := beside.Close(); err != nil {
		t.Error(err)
	}

	restored := filepath.Join(base, "restored")
	head, err := Restore(t.Context(), backup, restored, nil)
	if err != nil || head.Store == s.StoreID() || head.Position != made.Position {
		t.Fatalf("restore: %+v, %v", head, err)
	}
	var report bytes.Buffer
	again := openFaulty(t, restored, Options{Logger: textLogger(&report)})
	if again.StoreID() != head.Store || report.Len() > 0 {
		t.Errorf("store %s, restored was %s; it said %s", again.StoreID(), head.Store, report.String())
	}
	if got := mustRead(t, again); uint64(len(got)) != made.Position || !bytes.Equal(bytes.Join(got[:601], nil), bytes.Join(want, nil)) {
		t.Errorf("restored are %d events, or others", len(got))
	}
	if receipt := mustAppend(t, again, keyed); !receipt.Repeated || receipt.First != first.First {
		t.Errorf("a key after restore: %+v", receipt)
	}
	if receipt := mustAppend(t, again, struck("ledger-1")); receipt.First != made.Position+1 {
		t.Errorf("an append after restore: %+v", receipt)
	}
}

func TestBackupRefuses(t *testing.T) {
	t.Parallel()
	dir, base := t.TempDir(), t.TempDir()
	s := openFaulty(t, dir, Options{})
	mustAppend(t, s, struck("ledger-1"))
	writeFile(t, filepath.Join(base, "taken", "something"), []byte("mine"))
	if _, err := s.Backup(t.Context(), filepath.Join(base, "taken"), nil); !errors.Is(err, os.ErrExist) {
		t.Errorf("onto something: %v", err)
	}
	writeFile(t, filepath.Join(base, "file"), []byte("mine"))
	if _, err := s.Backup(t.Context(), filepath.Join(base, "file"), nil); err == nil {
		t.Error("onto a file: no error")
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := s.Backup(ctx, filepath.Join(base, "cancelled"), func(int64, int64) { cancel() }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := BackupDir(t.Context(), base, filepath.Join(base, "b"), nil); !errors.Is(err, ErrNotStore) {
		t.Errorf("no store: %v", err)
	}
	if _, err := Restore(t.Context(), dir, filepath.Join(base, "b"), nil); err == nil || !strings.Contains(err.Error(), "is no backup") {
		t.Errorf("restore a store: %v", err)
	}
	if entries, err := os.ReadDir(base); err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// TestBackupOfACrashedStore has the log without what is in the journal.
func TestBackupOfACrashedStore(t *testing.T) {
	t.Parallel()
	dir, records := crashed(t)
	made, err := BackupDir(t.Context(), dir, filepath.Join(t.TempDir(), "b"), nil)
	if err != nil || made.Position != 0 || made.JournalPosition != uint64(len(records)) {
		t.Errorf("%+v, %v", made, err)
	}
}

// TestDamagedBackup damages one thing at a time.
func TestDamagedBackup(t *testing.T) {
	t.Parallel()
	dir, base := t.TempDir(), t.TempDir()
	filled(t, dir)
	made := filepath.Join(base, "made")
	if _, err := BackupDir(t.Context(), dir, made, nil); err != nil {
		t.Fatal(err)
	}
	flip := func(name string) func(string) error {
		return func(dir string) error {
			content, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				return err
			}
			content[len(content)/2] ^= 1
			return os.WriteFile(filepath.Join(dir, name), content, 0o600)
		}
	}
	for name, c := range map[string]struct {
		damage func(dir string) error
		want   string // "" when it is restored all the same
	}{
		"a byte of the log":   {flip("log/data.mdb"), "use another backup"},
		"a byte of the index": {flip("index/data.mdb"), ""},
		"no index":            {func(dir string) error { return os.RemoveAll(filepath.Join(dir, "index")) }, ""},
		"no log":              {func(dir string) error { return os.RemoveAll(filepath.Join(dir, "log")) }, "no such file"},
		"the log is cut off":  {func(dir string) error { return os.Truncate(filepath.Join(dir, "log/data.mdb"), 9000) }, "use another backup"},
		"no manifest":         {func(dir string) error { return os.Remove(filepath.Join(dir, manifestFile)) }, "is no backup"},
		"half a manifest":     {func(dir string) error { return os.Truncate(filepath.Join(dir, manifestFile), 100) }, "unexpected EOF"},
		"another format": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, manifestFile), []byte(`{"format": 2}`), 0o600)
		}, "has format 2"},
	} {
		backup, to := filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "to")
		if err := errors.Join(os.CopyFS(backup, os.DirFS(made)), c.damage(backup)); err != nil {
			t.Fatal(err)
		}
		_, err := Restore(t.Context(), backup, to, nil)
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", name, err)
			}
			if entries, _ := os.ReadDir(filepath.Dir(to)); len(entries) > 0 {
				t.Errorf("%s: left behind: %v", name, entries)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		s := openFaulty(t, to, Options{})
		if receipt, ok, err := s.AppendByKey(t.Context(), "k17"); err != nil || !ok || receipt.First != 35 {
			t.Errorf("%s: a key: %+v, %v, %v", name, receipt, ok, err)
		}
	}
}

// TestJournalIsMissed removes the journal of a store that was not closed.
func TestJournalIsMissed(t *testing.T) {
	t.Parallel()
	dir, _ := crashed(t)
	journal := filepath.Join(dir, journalDir)
	if err := AbandonJournal(dir); err == nil || !strings.Contains(err.Error(), "is there") {
		t.Errorf("abandon a journal that is there: %v", err)
	}
	aside := filepath.Join(t.TempDir(), "aside")
	if err := errors.Join(os.CopyFS(aside, os.DirFS(journal)), os.RemoveAll(journal)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := Open(dir, Options{}); !errors.Is(err, ErrJournalMissing) || !strings.Contains(err.Error(), "abandon-journal") {
			t.Fatalf("without its journal: %v", err)
		}
		if _, err := os.Stat(journal); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("a journal was made: %v", err)
		}
	}
	if report, err := VerifyDir(t.Context(), dir, nil); err != nil || report.OK() || !strings.Contains(report.Problems[0].Message, "journal is gone") {
		t.Errorf("verify: %+v, %v", report, err)
	}
	back := t.TempDir()
	if err := errors.Join(os.CopyFS(back, os.DirFS(dir)), os.CopyFS(filepath.Join(back, journalDir), os.DirFS(aside))); err != nil {
		t.Fatal(err)
	}
	if s := openFaulty(t, back, Options{MaxAppend: 8 << 10, MaxJournal: 64 << 10}); s.Stats().Head != 6 {
		t.Errorf("put back: %+v", s.Stats())
	}
	if err := AbandonJournal(dir); err != nil {
		t.Fatal(err)
	}
	s := openFaulty(t, dir, Options{MaxAppend: 8 << 10, MaxJournal: 64 << 10})
	if head := s.Stats().Head; head != 0 {
		t.Errorf("abandoned: the head is %d", head)
	}
	mustAppend(t, s, struck("ledger-1"))
}

// TestClosedStoreNeedsNoJournal removes the journal of a store that was closed.
func TestClosedStoreNeedsNoJournal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	filled(t, dir)
	if err := os.RemoveAll(filepath.Join(dir, journalDir)); err != nil {
		t.Fatal(err)
	}
	if s := openFaulty(t, dir, Options{}); s.Stats().Head != 600 {
		t.Errorf("%+v", s.Stats())
	}
}

func textLogger(to *bytes.Buffer) *slog.Logger { return slog.New(slog.NewTextHandler(to, nil)) }
