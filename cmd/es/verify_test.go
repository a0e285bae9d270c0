package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/eventstoretest"
)

// asTool has the test binary be es.
const asTool = "ES_TEST_AS_TOOL"

func TestMain(m *testing.M) {
	if os.Getenv(asTool) != "" {
		main()
	}
	if err := os.Setenv(asTool, "1"); err != nil { // for children
		panic(err)
	}
	os.Exit(m.Run())
}

func smallStore() eventstore.Options {
	return eventstore.Options{Schemas: eventstoretest.Schema, MaxJournal: 1 << 20, MaxAppend: 256 << 10}
}

// makeStore makes a store of n appends of two events, and closes it.
func makeStore(t *testing.T, n int) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "store")
	store, err := eventstore.Open(dir, smallStore())
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		fill(t, store, int64(i))
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func fill(t *testing.T, store *eventstore.Store, n int64) {
	t.Helper()
	a := event.Append{Stream: "ledger-1", Events: []event.Proposed{eventstoretest.Noted("x", n), eventstoretest.Struck(n)}}
	if _, err := store.Append(t.Context(), a); err != nil {
		t.Fatal(err)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	dir := makeStore(t, 20)
	status, stdout, stderr := es(t, "verify", dir)
	if status != 0 || !strings.Contains(stdout, "position 40, index 40: 40 events of 20 appends in 1 streams") || !strings.Contains(stdout, "no damage found") || stderr != "" {
		t.Errorf("a good store: status %d\n%s%s", status, stdout, stderr)
	}
	store, err := eventstore.Open(dir, smallStore())
	if err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr = es(t, "verify", "--json", dir)
	var report eventstore.Report
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || status != 0 || report.Head != 40 || len(report.Notes) != 1 {
		t.Errorf("beside a writer: status %d, %v\n%s%s", status, err, stdout, stderr)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "index", "data.mdb"), 9000); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr = es(t, "verify", dir)
	if status != 1 || !strings.Contains(stdout, "damage: the index can't be opened") || !strings.Contains(stderr, "1 problems") {
		t.Errorf("a damaged index: status %d\n%s%s", status, stdout, stderr)
	}
	status, stdout, stderr = es(t, "verify", t.TempDir())
	if status != 2 || stdout != "" || !strings.Contains(stderr, "not an event store") {
		t.Errorf("no store: status %d\n%s%s", status, stdout, stderr)
	}
}

// TestVerifySurvivesACrash damages pages until LMDB, or what reads its map, ends
// the process.
func TestVerifySurvivesACrash(t *testing.T) {
	t.Parallel()
	dir := makeStore(t, 200)
	file := filepath.Join(dir, "log", "data.mdb")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const page, lower = 4096, 12
	crashed := 0
	for number := 2; number < len(good)/page && crashed == 0; number++ {
		bad := append([]byte(nil), good...)
		for at := range 100 { // numbers of nodes far out
			bad[number*page+lower+4+at] = 0xff
		}
		if err := os.WriteFile(file, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		status, stdout, stderr := es(t, "verify", dir)
		if status != 1 && status != 0 {
			t.Errorf("page %d: status %d\n%s%s", number, status, stdout, stderr)
		}
		if strings.Contains(stdout, "ended the process") {
			crashed++
			if status != 1 || strings.Contains(stdout, "no damage") {
				t.Errorf("page %d: status %d\n%s%s", number, status, stdout, stderr)
			}
		}
	}
	if crashed == 0 {
		t.Error("no page could end the process: the test shows nothing")
	}
}

func TestVerifyIsInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("interrupted by the test"))
	c := verifyCommand{Dir: makeStore(t, 1)}
	var status interface{ ExitStatus() int }
	if err := c.Run(&console{ctx: ctx, stdout: os.Stderr, stderr: os.Stderr}); !errors.As(err, &status) || status.ExitStatus() != 2 {
		t.Errorf("interrupted: %v", err)
	}
}
