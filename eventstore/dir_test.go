package eventstore

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// contents maps the files below a directory to what is in them.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		files[path] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func sameContents(t *testing.T, name, dir string, before map[string]string) {
	t.Helper()
	after := contents(t, dir)
	for path := range after {
		if _, ok := before[path]; !ok {
			t.Errorf("%s: %s was made", name, path)
		}
	}
	for path, content := range before {
		if after[path] != content {
			t.Errorf("%s: %s was changed", name, path)
		}
	}
}

func TestOpenNeedsAName(t *testing.T) {
	t.Parallel()
	if _, err := Open("", Options{}); err == nil || !strings.Contains(err.Error(), "name is empty") {
		t.Errorf("no name: %v", err)
	}
}

func TestDirectoryThatIsNoStoreIsLeftAlone(t *testing.T) {
	t.Parallel()
	foreign := t.TempDir()
	env, err := lmdbenv.Open(foreign, lmdbenv.Options{Kind: "other", Format: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := env.Close(); err != nil {
		t.Fatal(err)
	}
	for name, prepare := range map[string]func(logs string){
		"junk":         func(logs string) { writeFile(t, filepath.Join(logs, "data.mdb"), bytes.Repeat([]byte("junk"), 5000)) },
		"a few bytes":  func(logs string) { writeFile(t, filepath.Join(logs, "data.mdb"), []byte("x")) },
		"other's LMDB": func(logs string) { copyDir(t, logs, foreign) },
		"other files":  func(logs string) { writeFile(t, filepath.Join(logs, "today.log"), []byte("x")) },
	} {
		dir := t.TempDir()
		prepare(filepath.Join(dir, logDir))
		before := contents(t, dir)
		if _, err := Open(dir, Options{}); !errors.Is(err, ErrNotStore) || !strings.Contains(err.Error(), "give ") {
			t.Errorf("%s: %v", name, err)
		}
		sameContents(t, name, dir, before)
	}
}

func TestCutOffLogIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	filled(t, dir)
	name := filepath.Join(dir, logDir, "data.mdb")
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	// The last page may be free, and then nothing is cut off with it.
	for _, size := range []int{len(whole) / 2 &^ 4095, len(whole)/2&^4095 - 100, 4096} {
		writeFile(t, name, whole[:size])
		before := contents(t, filepath.Join(dir, indexDir))
		if _, err := Open(dir, Options{}); !lmdbenv.IsDamaged(err) || errors.Is(err, ErrNotStore) {
			t.Errorf("a log cut at %d of %d: %v", size, len(whole), err)
		}
		sameContents(t, "the index", filepath.Join(dir, indexDir), before)
	}
	writeFile(t, name, whole)
	index := filepath.Join(dir, indexDir, "data.mdb")
	info, err := os.Stat(index)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(index, info.Size()-4096); err != nil {
		t.Fatal(err)
	}
	s := openFaulty(t, dir, Options{})
	page, err := s.ReadPage(t.Context(), event.Selection{Category: "ledger", Limit: 1000}, event.PageOptions{})
	if err != nil || page.Count != 600 {
		t.Errorf("with an index that was cut off: %d events, %v", page.Count, err)
	}
}

// TestLogThatIsGoneIsNotMadeAgain leaves an empty log beside index and views.
func TestLogThatIsGoneIsNotMadeAgain(t *testing.T) {
	t.Parallel()
	unfinished := t.TempDir()
	env, err := lmdbenv.Open(unfinished, lmdbenv.Options{Kind: logKind, Format: format})
	if err != nil {
		t.Fatal(err)
	}
	if err := env.Close(); err != nil {
		t.Fatal(err)
	}
	for name, lose := range map[string]func(logs string) error{
		"no directory":    os.RemoveAll,
		"no file":         func(logs string) error { return os.Remove(filepath.Join(logs, "data.mdb")) },
		"an empty file":   func(logs string) error { return os.Truncate(filepath.Join(logs, "data.mdb"), 0) },
		"an unborn store": func(logs string) error { copyDir(t, logs, unfinished); return nil },
	} {
		for _, follower := range []string{indexDir, viewsDir} {
			dir := t.TempDir()
			filled(t, dir)
			if follower == viewsDir {
				if err := os.Rename(filepath.Join(dir, indexDir), filepath.Join(dir, viewsDir)); err != nil {
					t.Fatal(err)
				}
			}
			if err := lose(filepath.Join(dir, logDir)); err != nil {
				t.Fatal(err)
			}
			followers := contents(t, filepath.Join(dir, follower))
			for range 2 { // the first may not make the second think otherwise
				if _, err := Open(dir, Options{}); !errors.Is(err, ErrNotStore) || !strings.Contains(err.Error(), "is gone") {
					t.Errorf("%s, %s is left: %v", name, follower, err)
				}
			}
			sameContents(t, name, filepath.Join(dir, follower), followers)
		}
	}
}

// TestStoreThatWasNeverFinishedIsFinished opens what a crash leaves while a
// store is made.
func TestStoreThatWasNeverFinishedIsFinished(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(logs string){
		"nothing":  func(string) {},
		"an empty": func(logs string) { writeFile(t, filepath.Join(logs, "data.mdb"), nil) },
		"LMDB lock": func(logs string) {
			writeFile(t, filepath.Join(logs, "data.mdb"), nil)
			writeFile(t, filepath.Join(logs, "lock.mdb"), nil)
		},
	} {
		dir := t.TempDir()
		writeFile(t, filepath.Join(dir, lmdbenv.LockFile), nil)
		prepare(filepath.Join(dir, logDir))
		s := openFaulty(t, dir, Options{})
		if got := mustAppend(t, s, struck("ledger-1")); got.First != 1 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestBackupStaysAsItWasMade tries to change a backup: it would not be what its
// sums are of any more, and no restore would take it.
func TestBackupStaysAsItWasMade(t *testing.T) {
	t.Parallel()
	dir, base := t.TempDir(), t.TempDir()
	filled(t, dir)
	backup := filepath.Join(base, "backup")
	if _, err := BackupDir(t.Context(), dir, backup, nil); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func() error{
		"rebuild the index":   func() error { return RebuildIndex(backup, Options{}) },
		"abandon the journal": func() error { return AbandonJournal(backup) },
		"open to write": func() error {
			s, err := Open(backup, Options{})
			if err == nil {
				_ = s.Close()
			}
			return err
		},
	} {
		if err := change(); !errors.Is(err, ErrNotStore) || !strings.Contains(err.Error(), "is a backup") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Restore(t.Context(), backup, filepath.Join(base, "restored"), nil); err != nil {
		t.Error(err)
	}
	if report, err := VerifyDir(t.Context(), backup, nil); err != nil || !report.OK() || len(report.Notes) > 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

// TestNoStoreSaysSo looks at what is no store with the calls that need one.
func TestNoStoreSaysSo(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	file, gone := filepath.Join(base, "file"), filepath.Join(base, "gone")
	if err := errors.Join(os.WriteFile(file, []byte("x"), 0o600), os.MkdirAll(filepath.Join(gone, indexDir), 0o700)); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{
		base: "has no log", filepath.Join(base, "nowhere"): "has no log",
		file: "is not a directory", gone: "the log in",
	} {
		_, described := Describe(dir)
		_, opened := Open(dir, Options{ReadOnly: true})
		for _, err := range []error{described, opened, RebuildIndex(dir, Options{}), AbandonJournal(dir)} {
			if !errors.Is(err, ErrNotStore) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", dir, err, want)
			}
		}
	}
}
