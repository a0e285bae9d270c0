package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/eventstoretest"
)

// small options make a store with a small journal, which is faster to make.
func small() eventstore.Options {
	return eventstore.Options{Schemas: eventstoretest.Schema, MaxJournal: 2 << 20, MaxAppend: 512 << 10}
}

// open opens a store that is verified and closed at the end of the test,
// whatever the test did with it.
func open(t *testing.T, dir string) *eventstore.Store {
	t.Helper()
	store, err := eventstore.Open(dir, small())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { verifyAndClose(t, store) })
	return store
}

func verifyAndClose(t *testing.T, store *eventstore.Store) {
	t.Helper()
	report, err := store.Verify(context.Background())
	if errors.Is(err, event.ErrUnavailable) { // the test closed it
		return
	}
	if err != nil {
		t.Errorf("verify: %v", err)
	}
	for _, p := range report.Problems {
		t.Errorf("verify: %v", p)
	}
	if stats := store.Stats(); report.Head < stats.Head || report.IndexPosition < stats.Head {
		t.Errorf("verified up to %d, the index up to %d of %d", report.Head, report.IndexPosition, stats.Head)
	}
	if err := store.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func appendTo(t *testing.T, store *eventstore.Store, stream string, n int) event.Receipt {
	t.Helper()
	a := event.Append{Stream: stream}
	for i := range n {
		a.Events = append(a.Events, eventstoretest.Noted(fmt.Sprintf("t%d", i%3), int64(i)))
	}
	receipt, err := store.Append(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return receipt
}

func read(t *testing.T, store *eventstore.Store, s event.Selection) (records []string) {
	t.Helper()
	for e, err := range store.Read(t.Context(), s) {
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, string(e.Record()))
	}
	return records
}

func TestReopenFindsEverything(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "deep", "store")
	store := open(t, dir)
	id := store.StoreID()
	keyed := event.Append{Stream: "ledger-1", Events: []event.Proposed{eventstoretest.Struck(1)}, Key: "k"}
	first, err := store.Append(t.Context(), keyed)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		appendTo(t, store, fmt.Sprintf("ledger-%d", i%4), 30)
	}
	want := read(t, store, event.Selection{})
	wantStream := read(t, store, event.Selection{Stream: "ledger-3"})
	verifyAndClose(t, store)

	// Without schemas in the options: the store keeps them.
	again, err := eventstore.Open(dir, eventstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { verifyAndClose(t, again) })
	if again.StoreID() != id {
		t.Error("the store's id changed")
	}
	if got := read(t, again, event.Selection{}); fmt.Sprint(got) != fmt.Sprint(want) || len(got) != 1201 {
		t.Errorf("read %d events, want %d", len(got), len(want))
	}
	if got := read(t, again, event.Selection{Stream: "ledger-3"}); fmt.Sprint(got) != fmt.Sprint(wantStream) {
		t.Errorf("read %d events of the stream, want %d", len(got), len(wantStream))
	}
	repeated, err := again.Append(t.Context(), keyed)
	if err != nil || !repeated.Repeated || repeated.First != first.First || repeated.IDs[0] != first.IDs[0] {
		t.Errorf("the key after reopening: %+v, %v", repeated, err)
	}
	keyed.Events[0] = eventstoretest.Struck(2)
	var reused *event.KeyReusedError
	if _, err := again.Append(t.Context(), keyed); !errors.As(err, &reused) || reused.Position != 1 {
		t.Errorf("the key with other content: %v", err)
	}
	if next := appendTo(t, again, "ledger-3", 1); next.First != 1202 || next.Version != 301 {
		t.Errorf("the append after reopening: %+v", next)
	}
	if first.IDs[0].Time() != repeated.IDs[0].Time() {
		t.Error("the id changed")
	}
}

func TestNotAStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "letter.txt"), []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := eventstore.Open(dir, eventstore.Options{}); !errors.Is(err, eventstore.ErrNotStore) {
		t.Errorf("a directory with a letter in it: %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("it was written to: %v", entries)
	}
	if _, err := eventstore.Open(filepath.Join(dir, "letter.txt"), eventstore.Options{}); err == nil {
		t.Error("a file was opened as a store")
	}
	log := filepath.Join(t.TempDir(), "var")
	if err := os.MkdirAll(filepath.Join(log, "log", "apt"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(log, "log", "syslog"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := eventstore.Open(log, eventstore.Options{}); !errors.Is(err, eventstore.ErrNotStore) {
		t.Errorf("a directory with another log in it: %v", err)
	}
}

func TestSecondOpenIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := open(t, dir)
	appendTo(t, store, "ledger-1", 1)
	if _, err := eventstore.Open(dir, eventstore.Options{}); !errors.Is(err, eventstore.ErrInUse) {
		t.Errorf("the same process: %v", err)
	}
	if got := runChild(t, "open", dir); got.err == nil || !contains(got.output, fmt.Sprintf("in use by process %d", os.Getpid())) {
		t.Errorf("another process: %q, %v", got.output, got.err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir) // and now it is free
}

func TestClosedStore(t *testing.T) {
	t.Parallel()
	store := open(t, t.TempDir())
	appendTo(t, store, "ledger-1", 1)
	waiting := make(chan error)
	go func() {
		_, err := store.ReadPage(context.Background(), event.Selection{After: 1, Stream: "ledger-9"}, event.PageOptions{Wait: 1 << 40})
		waiting <- err
	}()
	for store.Stats().Waiters == 0 {
		runtime.Gosched() // the test's deadline bounds it
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; !errors.Is(err, event.ErrUnavailable) {
		t.Errorf("a read that waited: %v", err)
	}
	_, err := store.Append(t.Context(), event.Append{Stream: "a", Events: []event.Proposed{eventstoretest.Struck(1)}})
	if !errors.Is(err, event.ErrUnavailable) || errors.Is(err, event.ErrOutcomeUnknown) {
		t.Errorf("append: %v", err)
	}
	if _, err := store.ReadPage(t.Context(), event.Selection{}, event.PageOptions{}); !errors.Is(err, event.ErrUnavailable) {
		t.Errorf("read: %v", err)
	}
	if _, err := store.Head(t.Context()); !errors.Is(err, event.ErrUnavailable) {
		t.Errorf("head: %v", err)
	}
	if _, _, err := store.AppendByKey(t.Context(), "k"); !errors.Is(err, event.ErrUnavailable) {
		t.Errorf("by key: %v", err)
	}
	if store.Stats().Head != 1 || store.Close() != nil {
		t.Error("a closed store forgot its numbers, or does not close twice")
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, err := eventstore.Open(dir, eventstore.Options{Schemas: eventstoretest.Schema, MaxRecord: 1024, MaxAppend: 2048, MaxAppendEvents: 16})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { verifyAndClose(t, store) })
	tagged := func(n int) event.Proposed {
		p := eventstoretest.Struck(1)
		p.Metadata = []event.Meta{{Key: "pad", Value: string(make([]byte, n))}}
		return p
	}
	many := make([]event.Proposed, 17)
	for i := range many {
		many[i] = eventstoretest.Struck(1)
	}
	for name, events := range map[string][]event.Proposed{
		"record": {tagged(2000)},
		"append": {tagged(700), tagged(700), tagged(700)},
		"events": many,
	} {
		var large *event.TooLargeError
		if _, err := store.Append(t.Context(), event.Append{Stream: "a", Events: events}); !errors.As(err, &large) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := eventstore.Open(t.TempDir(), eventstore.Options{MaxRecord: 16 << 20}); err == nil {
		t.Error("records of 16 MiB were accepted")
	}
	if _, err := eventstore.Open(t.TempDir(), eventstore.Options{MaxTail: -1}); err == nil {
		t.Error("a negative tail was accepted")
	}
}

func TestStats(t *testing.T) {
	t.Parallel()
	store := open(t, t.TempDir())
	appendTo(t, store, "ledger-1", 3)
	appendTo(t, store, "ledger-1", 1)
	_, err := store.Append(t.Context(), event.Append{
		Stream: "ledger-1", Events: []event.Proposed{eventstoretest.Struck(1)},
		Conditions: []event.Condition{event.StreamAbsent{Stream: "ledger-1"}},
	})
	if !errors.Is(err, event.ErrConflict) {
		t.Fatal(err)
	}
	s := store.Stats()
	if s.Head != 4 || s.Events != 4 || s.Appends != 2 || s.Commits != 2 || s.Conflicts != 1 || s.RecordBytes == 0 || s.LogBytes == 0 || s.ReadOnly != "" {
		t.Errorf("stats: %+v", s)
	}
	if s.BatchEvents[0] != 1 || s.BatchEvents[2] != 1 {
		t.Errorf("batches of 3 and 1: %v", s.BatchEvents)
	}
	commits := uint64(0)
	for _, n := range s.CommitDurations {
		commits += n
	}
	if commits != 2 {
		t.Errorf("durations: %v", s.CommitDurations)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	s = store.Stats()
	if s.LogPosition != 4 || s.IndexPosition != 4 || s.Folds.Sum == 0 || s.IndexFlushes.Sum == 0 || s.JournalFrames != 2 || s.JournalBytes < s.RecordBytes {
		t.Errorf("stats of a closed store: %+v", s)
	}
}
