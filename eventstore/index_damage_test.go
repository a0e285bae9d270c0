package eventstore

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstoretest"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// entry is one run of an index, as stored.
type entry struct {
	kind       listKind
	name       string
	key, value []byte
}

// entries returns the first and the last runs of each list.
func entries(t *testing.T, x *index) (all []entry) {
	t.Helper()
	if err := x.env.View(func(txn *lmdbenv.Txn) error {
		for kind, db := range x.lists {
			c, err := txn.OpenCursor(db)
			if err != nil {
				return err
			}
			defer c.Close()
			seen := make(map[string]int)
			for {
				key, value, err := c.Get(nil, nil, lmdbenv.Next)
				if lmdbenv.IsNotFound(err) {
					break
				}
				if err != nil {
					return err
				}
				name, _, open, _ := cutRunKey(key)
				if seen[string(name)]++; open || seen[string(name)] < 3 {
					all = append(all, entry{listKind(kind), string(name), bytes.Clone(key), bytes.Clone(value)})
				}
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// selections are ways to read a list of 200 and more events.
func selections(e entry) []event.Selection {
	var s event.Selection
	switch e.kind {
	case byStream:
		s.Stream = e.name
	case byCategory:
		s.Category = e.name
	case byType:
		s.Types = []string{e.name}
	case byTag:
		s.Tags = []string{e.name}
	}
	all := []event.Selection{s, s, s, s}
	all[1].Backward = true
	all[2].After = 250
	all[3].Backward, all[3].After = true, 300
	if e.kind == byStream {
		s.FromVersion = 100
		all = append(all, s)
	}
	if e.kind == byType {
		s.Types = []string{"contract."}
		all = append(all, s)
	}
	return all
}

// outcome reads everything that the entry is needed for. The results are right
// or errors, or something was hidden.
func outcome(t *testing.T, s *Store, e entry) (results []string) {
	t.Helper()
	for _, sel := range selections(e) {
		page, err := s.ReadPage(t.Context(), sel, event.PageOptions{MaxBytes: 1 << 24})
		results = append(results, result(t, page.Records, err))
	}
	v, err := s.snapshot(true)
	if err != nil {
		t.Fatal(err)
	}
	defer v.close()
	version, err := v.index.version(e.name)
	if e.kind == byStream {
		results = append(results, result(t, fmt.Append(nil, version), err))
	}
	return results
}

const corrupt = "corrupt"

func result(t *testing.T, content []byte, err error) string {
	t.Helper()
	switch {
	case errors.As(err, new(*event.CorruptError)):
		return corrupt
	case err != nil:
		t.Fatal(err)
	}
	return string(content)
}

// TestFlippedIndexIsNeverTrusted flips every byte of entries of the index, keys
// and values, in the file, where they are: nothing that is wrong is read, and
// nothing is missing unnoticed. For some reads an entry does not matter; at
// least one has to notice.
func TestFlippedIndexIsNeverTrusted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	filled(t, dir)
	if err := os.RemoveAll(filepath.Join(dir, indexDir)); err != nil {
		t.Fatal(err)
	}
	s := openFaulty(t, dir, Options{hooks: hooks{run: 100}})
	file, err := os.OpenFile(filepath.Join(dir, indexDir, lmdbenv.DataFile), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	content, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries(t, s.index) {
		node := append(bytes.Clone(e.key), e.value...)
		at := bytes.Index(content, node)
		if at < 0 || bytes.Contains(content[at+1:], node) {
			t.Fatalf("%q is not there once", e.key)
		}
		want := outcome(t, s, e)
		for i, good := range node {
			if i > len(e.key)+20 && i%7 != 0 && !testing.Short() {
				continue // somewhere in the deltas
			}
			write(t, file, at+i, good^1<<(i%8))
			noticed := false
			for n, got := range outcome(t, s, e) {
				if noticed = noticed || got == corrupt; got != corrupt && got != want[n] {
					t.Errorf("byte %d of %q flipped, read %d: %d bytes, want %d", i, e.key, n, len(got), len(want[n]))
				}
			}
			if !noticed {
				t.Errorf("byte %d of %q flipped: nothing notices", i, e.key)
			}
			write(t, file, at+i, good)
		}
	}
}

func write(t *testing.T, file *os.File, at int, b byte) {
	t.Helper()
	if _, err := file.WriteAt([]byte{b}, int64(at)); err != nil {
		t.Fatal(err)
	}
}

// TestMissingRunIsNoticed takes entries out of the index. When a list of a
// single run is gone there is nothing left to notice it by, but for Verify.
func TestMissingRunIsNoticed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	filled(t, dir)
	if err := os.RemoveAll(filepath.Join(dir, indexDir)); err != nil {
		t.Fatal(err)
	}
	s := openFaulty(t, dir, Options{hooks: hooks{run: 30}})
	for _, e := range entries(t, s.index) {
		want := outcome(t, s, e)
		db := s.index.lists[e.kind]
		if err := s.index.env.Update(func(txn *lmdbenv.Txn) error { return txn.Del(db, e.key, nil) }); err != nil {
			t.Fatal(err)
		}
		got := outcome(t, s, e)
		if got[0] != corrupt || got[1] != corrupt {
			t.Errorf("without %q everything is read", e.key)
		}
		for n := range got {
			if got[n] != corrupt && got[n] != want[n] {
				t.Errorf("without %q, read %d: %d bytes, want %d", e.key, n, len(got[n]), len(want[n]))
			}
		}
		if report, err := s.Verify(t.Context()); err != nil || report.OK() {
			t.Errorf("without %q: %+v, %v", e.key, report, err)
		}
		overwrite(t, s.index.env, db, e.key, e.value)
	}
}

// TestIDsAreConfirmed changes the ids that the index has, each of which is
// checked against the record.
func TestIDsAreConfirmed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	filled(t, dir)
	s := openFaulty(t, dir, Options{})
	key := make([]byte, 8)
	var good []byte
	if err := s.index.env.View(func(txn *lmdbenv.Txn) error {
		value, err := txn.Get(s.index.ids, key)
		good = bytes.Clone(value)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for at := 99 * 16; at < 100*16; at++ {
		bad := bytes.Clone(good)
		bad[at] ^= 1 << (at % 8)
		overwrite(t, s.index.env, s.index.ids, key, bad)
		var corrupt *event.CorruptError
		sel := event.Selection{Types: []string{eventstoretest.StruckType}, After: 99}
		if _, err := s.ReadPage(t.Context(), sel, event.PageOptions{}); !errors.As(err, &corrupt) || corrupt.Position != 100 {
			t.Errorf("byte %d: %v", at, err)
		}
	}
	overwrite(t, s.index.env, s.index.ids, key, good)
}

// TestKeysWhileTheIndexIsMadeAgain asks a reader for a key while the writer's
// index is empty.
func TestKeysWhileTheIndexIsMadeAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	filled(t, dir)
	writer := openFaulty(t, dir, Options{hooks: hooks{interval: time.Hour}})
	reader, err := Open(dir, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := reader.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := writer.index.reset(writer.log.store); err != nil {
		t.Fatal(err)
	}
	if receipt, ok, err := reader.AppendByKey(t.Context(), "k17"); !errors.Is(err, event.ErrUnavailable) {
		t.Errorf("without an index: %+v, %v, %v", receipt, ok, err)
	}
	if err := writer.follow(0, writer.recent.snapshot().head); err != nil {
		t.Fatal(err)
	}
	if receipt, ok, err := reader.AppendByKey(t.Context(), "k17"); err != nil || !ok || receipt.First != 35 {
		t.Errorf("with it: %+v, %v, %v", receipt, ok, err)
	}
}

// TestCatchingUpIsBounded in bytes of memory, whatever the events.
func TestCatchingUpIsBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	filled(t, dir)
	s := openFaulty(t, dir, Options{hooks: hooks{interval: time.Hour}})
	c := newChunk(0)
	c.bytes = catchUpBytes - 100
	if err := s.log.env.View(func(txn *lmdbenv.Txn) error { return logView{s.log, txn}.gather(c, 1, 600) }); err != nil {
		t.Fatal(err)
	}
	if c.len() != 1 || !c.large() {
		t.Errorf("%d events were taken", c.len())
	}
}

// TestFlippedCheckpointIsNeverTrusted flips every byte of the index's checkpoint:
// an index that seemed further than it is would hide what is in the tail.
func TestFlippedCheckpointIsNeverTrusted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	filled(t, dir)
	s := openFaulty(t, dir, Options{hooks: hooks{interval: time.Hour}})
	mustAppend(t, s, struck("ledger-1")) // in the tail
	var good []byte
	if err := s.index.env.View(func(txn *lmdbenv.Txn) error {
		value, err := txn.Get(s.index.env.Meta(), []byte(checkpointKey))
		good = bytes.Clone(value)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	sel := event.Selection{Stream: "ledger-1"}
	for at := range good {
		bad := bytes.Clone(good)
		bad[at] ^= 1 << (at % 8)
		overwrite(t, s.index.env, s.index.env.Meta(), []byte(checkpointKey), bad)
		if page, err := s.ReadPage(t.Context(), sel, event.PageOptions{}); !errors.As(err, new(*event.CorruptError)) {
			t.Errorf("byte %d: %d events, %v", at, page.Count, err)
		}
	}
	overwrite(t, s.index.env, s.index.env.Meta(), []byte(checkpointKey), good)
	if page, err := s.ReadPage(t.Context(), sel, event.PageOptions{}); err != nil || page.Count != 301 {
		t.Errorf("%d events, %v", page.Count, err)
	}
}

// TestListsOfAnotherKindAreNoticed has the index find the lists of one kind where
// those of another are. None of them has the name sought, and all are whole.
func TestListsOfAnotherKindAreNoticed(t *testing.T) {
	t.Parallel()
	selections := [listKinds]event.Selection{
		byStream: {Stream: "ledger-1"}, byCategory: {Category: "ledger"}, byType: {Types: []string{eventstoretest.StruckType}}, byTag: {Tags: []string{"text:n1"}},
	}
	made := t.TempDir()
	filled(t, made)
	for kind := range listKinds {
		for other := range listKinds {
			if kind == other {
				continue
			}
			dir := filepath.Join(t.TempDir(), "store")
			if err := os.CopyFS(dir, os.DirFS(made)); err != nil {
				t.Fatal(err)
			}
			index, err := openIndex(filepath.Join(dir, indexDir), lmdbenv.Options{})
			if err != nil {
				t.Fatal(err)
			}
			var known [listKinds][]byte
			err = index.env.View(func(txn *lmdbenv.Txn) error {
				for kind, name := range listNames {
					b, err := txn.Get(index.env.Main(), []byte(name))
					if err != nil {
						return err
					}
					known[kind] = bytes.Clone(b)
				}
				return nil
			})
			if err := errors.Join(err, index.env.Close()); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, indexDir, lmdbenv.DataFile)
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Equal(known[kind], known[other]) || !bytes.Contains(data, known[kind]) {
				t.Fatalf("LMDB knows of %q %x", listNames[kind], known[kind])
			}
			if err := os.WriteFile(file, bytes.ReplaceAll(data, known[kind], known[other]), 0o600); err != nil {
				t.Fatal(err)
			}
			s := openFaulty(t, dir, Options{})
			if page, err := s.ReadPage(t.Context(), selections[kind], event.PageOptions{}); !errors.As(err, new(*event.CorruptError)) {
				t.Errorf("%s in the place of %s: %d events, %v", listNames[other], listNames[kind], page.Count, err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
