package eventstore_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/eventstoretest"
)

func openBeside(t *testing.T, dir string) *eventstore.Store {
	t.Helper()
	store, err := eventstore.Open(dir, eventstore.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return store
}

// reached waits until a store shows a position.
func reached(t *testing.T, store *eventstore.Store, position uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for e, err := range store.Subscribe(ctx, event.Selection{}, event.SubscribeOptions{}) {
		if err != nil {
			t.Fatalf("waiting for position %d: %v", position, err)
		}
		if e.Position() >= position {
			return
		}
	}
}

// TestReadOnlyBesideTheWriter opens the store a second time, in the process that
// writes to it, and reads the same from both.
func TestReadOnlyBesideTheWriter(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writer := open(t, dir)
	reader := openBeside(t, dir)
	if head, err := reader.Head(t.Context()); err != nil || head.Store != writer.StoreID() || head.Position != 0 {
		t.Errorf("head of an empty store: %+v, %v", head, err)
	}
	last := uint64(0)
	for range 3 {
		for range 50 {
			last = appendTo(t, writer, "ledger-1", 3).Last
		}
		reached(t, reader, last)
		for _, sel := range []event.Selection{
			{}, {Backward: true}, {Stream: "ledger-1", After: 20}, {Stream: "ledger-1", FromVersion: 30}, {Category: "ledger"},
			{Types: []string{eventstoretest.NotedType}, Backward: true}, {Tags: []string{"text:t1"}}, {Limit: 7},
		} {
			if got, want := read(t, reader, sel), read(t, writer, sel); strings.Join(got, "") != strings.Join(want, "") {
				t.Errorf("%+v: %d events beside the writer, %d from it", sel, len(got), len(want))
			}
		}
	}
	if head, err := reader.Head(t.Context()); err != nil || head.Position != last {
		t.Errorf("head: %+v, %v", head, err)
	}
	report, err := reader.Verify(t.Context())
	if err != nil || !report.OK() || report.Head != last {
		t.Errorf("verify: %+v, %v", report, err)
	}
	if stats := reader.Stats(); stats.Head != last || stats.LogPosition != last || stats.ReadOnly == "" || stats.LogBytes == 0 {
		t.Errorf("stats: %+v", stats)
	}
}

func TestReadOnlyRefusesToWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writer := open(t, dir)
	appendTo(t, writer, "ledger-1", 1)
	reader := openBeside(t, dir)
	if _, err := reader.Append(t.Context(), event.Append{Stream: "a", Events: []event.Proposed{eventstoretest.Struck(1)}}); !errors.Is(err, eventstore.ErrReadOnly) || !errors.Is(err, event.ErrUnavailable) || errors.Is(err, event.ErrOutcomeUnknown) {
		t.Errorf("append: %v", err)
	}
	if _, err := reader.Register(t.Context(), eventstoretest.Schema[0].BFBS); !errors.Is(err, eventstore.ErrReadOnly) {
		t.Errorf("register: %v", err)
	}
}

// TestReadOnlyTakesNoSchemas opens with schemas that the store knows, and that it
// does not.
func TestReadOnlyTakesNoSchemas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, known := range []bool{false, true} {
		o := eventstore.Options{MaxJournal: 2 << 20, MaxAppend: 512 << 10}
		if known {
			o.Schemas = eventstoretest.Schema
		}
		writer, err := eventstore.Open(dir, o)
		if err != nil {
			t.Fatal(err)
		}
		reader, err := eventstore.Open(dir, eventstore.Options{ReadOnly: true, Schemas: eventstoretest.Schema})
		switch {
		case !known && !errors.Is(err, eventstore.ErrReadOnly):
			t.Errorf("schemas that the store has not: %v", err)
		case known && err != nil:
			t.Errorf("schemas that the store has: %v", err)
		case known:
			err = reader.Close()
		default:
			err = nil
		}
		if err := errors.Join(err, writer.Close()); err != nil {
			t.Error(err)
		}
	}
}

// TestReadOnlyOutlivesItsWriter closes the writer and opens another one, in the
// same process.
func TestReadOnlyOutlivesItsWriter(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writer, err := eventstore.Open(dir, small())
	if err != nil {
		t.Fatal(err)
	}
	appendTo(t, writer, "ledger-1", 2)
	reader := openBeside(t, dir)
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	reached(t, reader, 2)
	next := open(t, dir)
	appendTo(t, next, "ledger-1", 1)
	reached(t, reader, 3)
	if got := read(t, reader, event.Selection{Stream: "ledger-1"}); len(got) != 3 {
		t.Errorf("%d events", len(got))
	}
}

func TestReadOnlyNeedsAStore(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	for _, dir := range []string{empty, filepath.Join(empty, "nowhere")} {
		if _, err := eventstore.Open(dir, eventstore.Options{ReadOnly: true}); !errors.Is(err, eventstore.ErrNotStore) {
			t.Errorf("%q: %v", dir, err)
		}
	}
	if entries, err := os.ReadDir(empty); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// TestReadOnlyAfterAKill reads a store whose writer was killed before its log
// took everything up, and changes nothing.
func TestReadOnlyAfterAKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	witness := killed(t, dir, "load", "fold:4", time.Minute)
	if len(witness) == 0 {
		t.Fatal("nothing was acknowledged")
	}
	before := files(t, dir)
	var said bytes.Buffer
	reader, err := eventstore.Open(dir, eventstore.Options{ReadOnly: true, Logger: slog.New(slog.NewTextHandler(&said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	head, err := reader.Head(t.Context())
	if err != nil || uint64(len(read(t, reader, event.Selection{Category: "ledger"}))) != head.Position {
		t.Errorf("head %+v, %v", head, err)
	}
	if !strings.Contains(said.String(), "not seen before the log has them") {
		t.Errorf("it said %s", said.String())
	}
	if err := reader.Close(); err != nil {
		t.Error(err)
	}
	after := files(t, dir)
	for name, content := range before {
		if !strings.HasSuffix(name, "lock.mdb") && after[name] != content {
			t.Errorf("%s was changed", name)
		}
	}
	store := open(t, dir)
	if all, err := store.Head(t.Context()); err != nil || all.Position <= head.Position {
		t.Errorf("recovered up to %d, %d was seen before, %v", all.Position, head.Position, err)
	}
	check(t, store, witness)
}

// files maps what is below a directory to what is in it.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		found[path] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestReadOnlySeesNewSchemas registers a schema while the reader is open.
func TestReadOnlySeesNewSchemas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writer, err := eventstore.Open(dir, eventstore.Options{MaxJournal: 2 << 20, MaxAppend: 512 << 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { verifyAndClose(t, writer) })
	reader := openBeside(t, dir)
	if _, err := writer.Register(t.Context(), eventstoretest.Schema[0].BFBS); err != nil {
		t.Fatal(err)
	}
	last := appendTo(t, writer, "ledger-1", 1).Last
	reached(t, reader, last)
	for e, err := range reader.Read(t.Context(), event.Selection{}) {
		if err != nil {
			t.Fatal(err)
		}
		if err := reader.Schemas().Verify(e.Type(), e.Schema(), e.Data()); err != nil {
			t.Error(err)
		}
	}
}
