package eventstore

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

func TestVerifyDir(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	filled(t, dir)
	before := contents(t, dir)
	last := uint64(0)
	report, err := VerifyDir(t.Context(), dir, func(position, head uint64) {
		if position <= last || head != 600 {
			t.Errorf("progress: %d of %d after %d", position, head, last)
		}
		last = position
	})
	if err != nil || !report.OK() || report.Head != 600 || report.IndexPosition != 600 || report.Appends != 300 || report.Streams != 2 || report.JournalPosition != 0 || len(report.Notes) > 0 {
		t.Errorf("a closed store: %+v, %v", report, err)
	}
	if last != 600 {
		t.Errorf("the last progress was at %d", last)
	}
	for _, env := range []string{logDir, indexDir} { // its reader tables are LMDB's
		delete(before, filepath.Join(dir, env, "lock.mdb"))
		if err := os.Remove(filepath.Join(dir, env, "lock.mdb")); err != nil {
			t.Error(err)
		}
	}
	sameContents(t, "verify", dir, before)

	s := openFaulty(t, dir, Options{})
	mustAppend(t, s, struck("ledger-1"))
	if err := s.folder.await(t.Context(), 601); err != nil {
		t.Fatal(err)
	}
	report, err = VerifyDir(t.Context(), dir, nil)
	if err != nil || !report.OK() || report.Head != 601 || len(report.Notes) != 1 || !strings.Contains(report.Notes[0], "journal was not verified") {
		t.Errorf("beside a writer: %+v, %v", report, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := VerifyDir(ctx, dir, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := VerifyDir(t.Context(), t.TempDir(), nil); !errors.Is(err, ErrNotStore) {
		t.Errorf("no store: %v", err)
	}
}

func TestVerifyDirReadsTheJournal(t *testing.T) {
	t.Parallel()
	dir, records := crashed(t)
	report, err := VerifyDir(t.Context(), dir, nil)
	if err != nil || !report.OK() || report.Head != 0 || report.JournalPosition != uint64(len(records)) || len(report.Notes) != 1 {
		t.Errorf("after a crash: %+v, %v", report, err)
	}
	segments, err := filepath.Glob(filepath.Join(dir, journalDir, "*.seg"))
	if err != nil {
		t.Fatal(err)
	}
	for _, segment := range segments {
		content, err := os.ReadFile(segment)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(content[4096:4100], []byte("VBJF")) {
			continue
		}
		content[4096+100] ^= 1 // in the first of three frames
		writeFile(t, segment, content)
	}
	report, err = VerifyDir(t.Context(), dir, nil)
	if err != nil || report.OK() || !strings.Contains(report.Problems[0].Message, "damaged at offset 4096") {
		t.Errorf("a damaged journal: %+v, %v", report, err)
	}
}

// TestVerifyDirFindsDamage damages one thing at a time.
func TestVerifyDirFindsDamage(t *testing.T) {
	t.Parallel()
	made := t.TempDir()
	records := filled(t, made)
	log := func(t *testing.T, dir string, fn func(l *eventLog, txn *lmdbenv.Txn) error) {
		l, err := openLog(filepath.Join(dir, logDir), lmdbenv.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(l.env.Update(func(txn *lmdbenv.Txn) error { return fn(l, txn) }), l.env.Close()); err != nil {
			t.Fatal(err)
		}
	}
	id := func(position int) []byte { id := event.Trusted(records[position-1]).ID(); return id[:] }
	for name, c := range map[string]struct {
		damage  func(t *testing.T, dir string)
		message string
	}{
		"a record's byte": {func(t *testing.T, dir string) {
			log(t, dir, func(l *eventLog, txn *lmdbenv.Txn) error {
				bad := bytes.Clone(records[99])
				bad[50] ^= 4
				return txn.Put(l.records, id(100), bad, 0)
			})
		}, "position 100: "},
		"the last record": {func(t *testing.T, dir string) {
			log(t, dir, func(l *eventLog, txn *lmdbenv.Txn) error {
				bad := bytes.Clone(records[599])
				bad[50] ^= 4
				return txn.Put(l.records, id(600), bad, 0)
			})
		}, "position 600: "},
		"a record is missing": {func(t *testing.T, dir string) {
			log(t, dir, func(l *eventLog, txn *lmdbenv.Txn) error { return txn.Del(l.records, id(100), nil) })
		}, "that of position 101"},
		"the list of positions": {func(t *testing.T, dir string) {
			log(t, dir, func(l *eventLog, txn *lmdbenv.Txn) error {
				return txn.Put(l.positions, []byte{0, 0, 0, 0, 0, 0, 1, 0}, id(3), 0)
			})
		}, "position 256: "},
		"a schema": {func(t *testing.T, dir string) {
			log(t, dir, func(l *eventLog, txn *lmdbenv.Txn) error {
				return txn.Put(l.schemas, []byte{0, 0, 0, 0, 0, 0, 0, 1}, []byte("nonsense"), 0)
			})
		}, "the schemas that the log keeps"},
		"the log is cut off": {func(t *testing.T, dir string) {
			if err := os.Truncate(filepath.Join(dir, logDir, "data.mdb"), 20_000); err != nil {
				t.Fatal(err)
			}
		}, "the log can't be opened"},
		"the index is cut off": {func(t *testing.T, dir string) {
			if err := os.Truncate(filepath.Join(dir, indexDir, "data.mdb"), 20_000); err != nil {
				t.Fatal(err)
			}
		}, "the index can't be opened"},
		"the index is another one's": {func(t *testing.T, dir string) {
			other := t.TempDir()
			filled(t, other)
			copyDir(t, filepath.Join(dir, indexDir), filepath.Join(other, indexDir))
		}, "the index does not fit the log"},
		"the journal is another one's": {func(t *testing.T, dir string) {
			other, _ := crashed(t)
			if err := errors.Join(os.RemoveAll(filepath.Join(dir, journalDir)), os.CopyFS(filepath.Join(dir, journalDir), os.DirFS(filepath.Join(other, journalDir)))); err != nil {
				t.Fatal(err)
			}
		}, "belongs to store"},
		"the log is older than the journal": {func(t *testing.T, dir string) {
			log(t, dir, func(l *eventLog, txn *lmdbenv.Txn) error {
				return errors.Join(txn.Del(l.records, id(600), nil), txn.Del(l.records, id(599), nil))
			})
		}, "it was durable up to 600"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(made)); err != nil {
				t.Fatal(err)
			}
			c.damage(t, dir)
			report, err := VerifyDir(t.Context(), dir, nil)
			if err != nil || report.OK() {
				t.Fatalf("%+v, %v", report, err)
			}
			for _, p := range report.Problems {
				if strings.Contains(p.String(), c.message) {
					return
				}
			}
			t.Errorf("it found %v, not %q", report.Problems, c.message)
		})
	}
}
