package eventstore_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/eventstoretest"
)

// A test that needs another process runs this binary with these set.
const (
	childRole = "EVENTSTORE_TEST_ROLE"
	childDir  = "EVENTSTORE_TEST_DIR"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(childRole); role != "" {
		if err := child(role, os.Getenv(childDir)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func child(role, dir string) error {
	store, err := eventstore.Open(dir, eventstore.Options{Schemas: eventstoretest.Schema})
	if err != nil || role == "open" {
		return err
	}
	if role == "append" {
		_, err := store.Append(context.Background(), event.Append{Stream: "ledger-1", Events: []event.Proposed{eventstoretest.Struck(1)}})
		return errors.Join(err, store.Close())
	}
	return load(store)
}

// acknowledged is what the child that appends prints for each append that
// returned.
type acknowledged struct {
	First uint64
	IDs   []string
	Key   string
}

// load appends from several goroutines until the process is killed.
func load(store *eventstore.Store) error {
	out := make(chan acknowledged)
	errs := make(chan error)
	run := os.Getpid()
	for g := range 6 {
		go func() {
			for i := 0; ; i++ {
				key := fmt.Sprintf("%d-%d-%d", run, g, i)
				a := event.Append{Stream: fmt.Sprintf("ledger-%d", g%3), Key: key}
				for j := range 1 + (i+g)%4 {
					a.Events = append(a.Events, eventstoretest.Noted(key, int64(j)))
				}
				receipt, err := store.Append(context.Background(), a)
				if err != nil {
					errs <- err
					return
				}
				line := acknowledged{First: receipt.First, Key: key}
				for _, id := range receipt.IDs {
					line.IDs = append(line.IDs, id.String())
				}
				out <- line
			}
		}()
	}
	encoder := json.NewEncoder(os.Stdout)
	for {
		select {
		case line := <-out:
			if err := encoder.Encode(line); err != nil {
				return err
			}
		case err := <-errs:
			return err
		}
	}
}

type childResult struct {
	output string
	err    error
}

func childCommand(role, dir string) *exec.Cmd {
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), childRole+"="+role, childDir+"="+dir)
	return command
}

func runChild(t *testing.T, role, dir string) childResult {
	t.Helper()
	output, err := childCommand(role, dir).CombinedOutput()
	return childResult{string(output), err}
}

func contains(s, part string) bool { return strings.Contains(s, part) }

// TestSecondWriterIsNoticed has two processes write, because somebody removed
// the file that keeps the second one out.
func TestSecondWriterIsNoticed(t *testing.T) {
	t.Parallel()
	for first := range 2 { // events before the second writer
		dir := t.TempDir()
		store, err := eventstore.Open(dir, eventstore.Options{Schemas: eventstoretest.Schema})
		if err != nil {
			t.Fatal(err)
		}
		a := event.Append{Stream: "ledger-1", Events: []event.Proposed{eventstoretest.Struck(1)}}
		for range first {
			if _, err := store.Append(t.Context(), a); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Remove(filepath.Join(dir, "lock")); err != nil {
			t.Fatal(err)
		}
		if got := runChild(t, "append", dir); got.err != nil {
			t.Fatalf("the second writer: %v, %s", got.err, got.output)
		}
		for range 2 {
			_, err := store.Append(t.Context(), a)
			if !errors.Is(err, event.ErrUnavailable) || errors.Is(err, event.ErrOutcomeUnknown) || !contains(err.Error(), "another writer") {
				t.Errorf("the first writer: %v", err)
			}
		}
		if reason := store.Stats().ReadOnly; !contains(reason, "another writer") {
			t.Errorf("read-only: %q", reason)
		}
		_ = store.Close() // its index may have met the other's
		again, err := eventstore.Open(dir, eventstore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if head, err := again.Head(t.Context()); err != nil || head.Position != uint64(first)+1 {
			t.Errorf("in the log: %+v, %v", head, err)
		}
		verifyAndClose(t, again)
	}
}

// TestKilledWhileAppending kills a process that appends, again and again on one
// store: everything it acknowledged must be there, appends must be whole, and
// index and log must agree.
func TestKilledWhileAppending(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var witness []acknowledged
	for round := range 8 {
		witness = append(witness, killed(t, dir, time.Duration(20+round*37)*time.Millisecond)...)
		store, err := eventstore.Open(dir, eventstore.Options{})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		check(t, store, witness)
		verifyAndClose(t, store)
	}
	if len(witness) < 50 {
		t.Errorf("only %d appends were acknowledged", len(witness))
	}
}

// killed runs a child and kills it some time after its first acknowledgement.
func killed(t *testing.T, dir string, after time.Duration) (witness []acknowledged) {
	t.Helper()
	command := childCommand("load", dir)
	command.Stderr = os.Stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		var line acknowledged
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			break // cut in the middle by the kill
		}
		if witness = append(witness, line); len(witness) == 1 {
			timer := time.AfterFunc(after, func() { _ = command.Process.Kill() })
			defer timer.Stop()
		}
	}
	_ = command.Wait() // killed
	return witness
}

func check(t *testing.T, store *eventstore.Store, witness []acknowledged) {
	t.Helper()
	for _, line := range witness {
		page, err := store.ReadPage(t.Context(), event.Selection{After: line.First - 1, Limit: len(line.IDs)}, event.PageOptions{})
		if err != nil || page.Count != len(line.IDs) {
			t.Fatalf("acknowledged append at %d: %d of %d events, %v", line.First, page.Count, len(line.IDs), err)
		}
		i := 0
		for e, err := range page.Events() {
			if err != nil || e.ID().String() != line.IDs[i] || e.BatchKey() != line.Key {
				t.Fatalf("acknowledged append at %d: event %d is %v, %v", line.First, i, e, err)
			}
			i++
		}
		receipt, ok, err := store.AppendByKey(t.Context(), line.Key)
		if err != nil || !ok || receipt.First != line.First {
			t.Fatalf("key %q: %+v, %v, %v", line.Key, receipt, ok, err)
		}
	}
}
