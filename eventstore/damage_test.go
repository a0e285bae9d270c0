package eventstore

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstoretest"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// filled makes a store of 600 events on disk and returns the good records.
func filled(t *testing.T, dir string) (records [][]byte) {
	t.Helper()
	s := openFaulty(t, dir, Options{})
	for i := range 300 {
		p := eventstoretest.Noted(fmt.Sprintf("n%d", i%3), int64(i))
		mustAppend(t, s, event.Append{Stream: fmt.Sprintf("ledger-%d", i%2), Key: fmt.Sprintf("k%d", i), Events: []event.Proposed{p, eventstoretest.Struck(1)}})
	}
	for e, err := range s.Read(t.Context(), event.Selection{}) {
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, bytes.Clone(e.Record()))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return records
}

func overwrite(t *testing.T, env *lmdbenv.Env, db lmdbenv.DBI, key, value []byte) {
	t.Helper()
	if err := env.Update(func(txn *lmdbenv.Txn) error { return txn.Put(db, key, value, 0) }); err != nil {
		t.Fatal(err)
	}
}

// TestFlippedRecordIsNeverRead flips every byte of a stored record.
func TestFlippedRecordIsNeverRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	records := filled(t, dir)
	s := openFaulty(t, dir, Options{})
	const position = 299 // Noted n2 in ledger-1
	good := records[position-1]
	id := event.Trusted(good).ID()
	for at := range good {
		bad := bytes.Clone(good)
		bad[at] ^= 1 << (at % 8)
		overwrite(t, s.log.env, s.log.records, id[:], bad)
		for _, sel := range []event.Selection{
			{After: position - 1},
			{After: position + 1, Backward: true},
			{Stream: "ledger-1", After: position - 1},
			{Category: "ledger", After: position - 1},
			{Types: []string{eventstoretest.NotedType}, After: position - 1},
			{Tags: []string{"text:n2"}, After: position - 1},
		} {
			_, err := s.ReadPage(t.Context(), sel, event.PageOptions{})
			var corrupt *event.CorruptError
			if !errors.As(err, &corrupt) || corrupt.Position != position {
				t.Fatalf("byte %d flipped, read %+v: %v", at, sel, err)
			}
		}
	}
	report, err := s.Verify(t.Context())
	if err != nil || report.OK() || report.Problems[0].Position != position {
		t.Errorf("verify: %+v, %v", report, err)
	}
	// Before and behind it reading goes on.
	for _, sel := range []event.Selection{{Limit: position - 1}, {After: position}} {
		if page, err := s.ReadPage(t.Context(), sel, event.PageOptions{}); err != nil || page.Count == 0 {
			t.Errorf("read %+v: %v", sel, err)
		}
	}
	overwrite(t, s.log.env, s.log.records, id[:], good)
}

// TestSwappedRecordsAreNeverRead puts a whole record in the place of another.
func TestSwappedRecordsAreNeverRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	records := filled(t, dir)
	s := openFaulty(t, dir, Options{})
	a, b := event.Trusted(records[99]).ID(), event.Trusted(records[100]).ID()
	overwrite(t, s.log.env, s.log.records, a[:], records[100])
	overwrite(t, s.log.env, s.log.records, b[:], records[99])
	var corrupt *event.CorruptError
	if _, err := s.ReadPage(t.Context(), event.Selection{}, event.PageOptions{}); !errors.As(err, &corrupt) || corrupt.Position != 100 {
		t.Errorf("read: %v", err)
	}
	overwrite(t, s.log.env, s.log.records, a[:], records[99])
	overwrite(t, s.log.env, s.log.records, b[:], records[100])
}

func TestMissingRecordIsNoticed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	records := filled(t, dir)
	s := openFaulty(t, dir, Options{})
	id := event.Trusted(records[99]).ID()
	if err := s.log.env.Update(func(txn *lmdbenv.Txn) error { return txn.Del(s.log.records, id[:], nil) }); err != nil {
		t.Fatal(err)
	}
	for _, sel := range []event.Selection{{}, {Backward: true}, {After: 99}, {Category: "ledger"}} {
		var corrupt *event.CorruptError
		if _, err := s.ReadPage(t.Context(), sel, event.PageOptions{MaxBytes: 1 << 24}); !errors.As(err, &corrupt) || corrupt.Position != 100 {
			t.Errorf("read %+v: %v", sel, err)
		}
	}
	overwrite(t, s.log.env, s.log.records, id[:], records[99])
}

func TestIndexIsMadeToFit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	filled(t, dir)
	index := filepath.Join(dir, indexDir)
	stale := filepath.Join(t.TempDir(), "stale")
	copyDir(t, stale, index)
	grow := func() {
		s := openFaulty(t, dir, Options{})
		mustAppend(t, s, struck("ledger-1"))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	grow()
	other := t.TempDir()
	filled(t, other)

	// A copy of the store that lived on, so that its index is ahead.
	ahead := t.TempDir()
	copyDir(t, filepath.Join(ahead, logDir), filepath.Join(dir, logDir))
	copyDir(t, filepath.Join(ahead, indexDir), index)
	future := openFaulty(t, ahead, Options{})
	mustAppend(t, future, struck("ledger-1"))
	if err := future.Close(); err != nil {
		t.Fatal(err)
	}

	for name, prepare := range map[string]func(){
		"deleted":             func() {},
		"stale":               func() { copyDir(t, index, stale) },
		"of another store":    func() { copyDir(t, index, filepath.Join(other, indexDir)) },
		"ahead of its log":    func() { copyDir(t, index, filepath.Join(ahead, indexDir)) },
		"not an environment":  func() { writeFile(t, filepath.Join(index, "data.mdb"), bytes.Repeat([]byte("nonsense"), 4096)) },
		"an empty file":       func() { writeFile(t, filepath.Join(index, "data.mdb"), nil) },
		"some other database": func() { copyDir(t, index, filepath.Join(other, logDir)) },
		"of an older format": func() {
			copyDir(t, index, stale)
			setFormat(t, index, indexKind, indexFormat-1)
		},
		"damaged where it goes on": func() {
			copyDir(t, index, stale)
			env, err := lmdbenv.Open(index, lmdbenv.Options{Kind: indexKind, Format: indexFormat})
			if err != nil {
				t.Fatal(err)
			}
			db, err := env.OpenDB("streams")
			if err != nil {
				t.Fatal(err)
			}
			overwrite(t, env, db, appendOpenKey(nil, "ledger-1"), []byte("damaged"))
			if err := env.Close(); err != nil {
				t.Fatal(err)
			}
		},
	} {
		if err := os.RemoveAll(index); err != nil {
			t.Fatal(err)
		}
		prepare()
		s := openFaulty(t, dir, Options{})
		report, err := s.Verify(t.Context())
		if err != nil || !report.OK() || report.Head != 601 || report.IndexPosition != 601 {
			t.Errorf("%s: %+v, %v", name, report, err)
		}
		receipt, ok, err := s.AppendByKey(t.Context(), "k17")
		if err != nil || !ok || receipt.First != 35 {
			t.Errorf("%s: a key: %+v, %v, %v", name, receipt, ok, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func copyDir(t *testing.T, to, from string) {
	t.Helper()
	for _, name := range []string{"data.mdb"} {
		content, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(to, name), content)
	}
}

func writeFile(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestNewerFormatIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	filled(t, dir)
	setFormat(t, filepath.Join(dir, logDir), logKind, format+1)
	if _, err := Open(dir, Options{}); !errors.Is(err, ErrNewerFormat) {
		t.Errorf("a newer format: %v", err)
	}
}

func setFormat(t *testing.T, dir, kind string, to byte) {
	t.Helper()
	env, err := lmdbenv.Open(dir, lmdbenv.Options{Kind: kind, Format: 100})
	if err != nil {
		t.Fatal(err)
	}
	overwrite(t, env, env.Meta(), []byte("format"), []byte{0, 0, 0, to})
	if err := env.Close(); err != nil {
		t.Fatal(err)
	}
}
