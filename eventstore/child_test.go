package eventstore_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
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
	childRole  = "EVENTSTORE_TEST_ROLE"
	childDir   = "EVENTSTORE_TEST_DIR"
	childPoint = "EVENTSTORE_TEST_POINT"
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
	if role == "flips" {
		return flips(dir, os.Getenv(childPoint))
	}
	if role == "read" {
		return readAll(dir)
	}
	store, err := eventstore.OpenToDie(dir, os.Getenv(childPoint))
	if err != nil || role == "open" {
		return err
	}
	if role == "brief" {
		time.AfterFunc(50*time.Millisecond, func() { _ = store.Close() })
	}
	return load(store)
}

// readAll prints how many events a store has, and what went wrong.
func readAll(dir string) error {
	store, err := eventstore.Open(dir, eventstore.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	events := 0
	for _, err := range store.Read(context.Background(), event.Selection{Category: "ledger"}) {
		if err != nil {
			return err
		}
		events++
	}
	fmt.Println(events)
	return store.Close()
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

// TestSecondWriterIsKeptOut removes the file that is locked: the directory is,
// too.
func TestSecondWriterIsKeptOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := open(t, dir)
	appendTo(t, store, "ledger-1", 1)
	if err := os.Remove(filepath.Join(dir, "lock")); err != nil {
		t.Fatal(err)
	}
	if got := runChild(t, "open", dir); got.err == nil || !contains(got.output, "in use") {
		t.Errorf("a second writer: %v, %s", got.err, got.output)
	}
	if _, err := eventstore.Open(dir, small()); !errors.Is(err, eventstore.ErrInUse) {
		t.Errorf("a second writer in this process: %v", err)
	}
	appendTo(t, store, "ledger-1", 1)
}

// TestKilled kills a process that appends, again and again on one store: at
// random, and at each point on an event's way to the disk, recovery and close
// included. Everything it acknowledged must be there, appends must be whole, and
// index and log must agree.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var witness []acknowledged
	// A tenth of the states: each takes a process and real syncs.
	for round := range max(len(eventstore.FailPoints)+4, eventstore.CrashStates()/10) {
		at, role := "", "load"
		if n := round % (len(eventstore.FailPoints) + 4); n < len(eventstore.FailPoints) {
			at = fmt.Sprintf("%s:%d", eventstore.FailPoints[n], 1+rand.IntN(8))
			switch eventstore.FailPoints[n] {
			case "opened", "caught":
				at = eventstore.FailPoints[n] + ":1"
			case "emptied":
				at, role = "emptied:1", "brief"
			}
		}
		witness = append(witness, killed(t, dir, role, at, time.Duration(20+rand.IntN(200))*time.Millisecond)...)
		store, err := eventstore.Open(dir, eventstore.Options{MaxAppend: 64 << 10, MaxJournal: 512 << 10})
		if err != nil {
			t.Fatalf("round %d, killed at %q: %v", round, at, err)
		}
		check(t, store, witness[max(0, len(witness)-500):])
		verifyAndClose(t, store)
		if t.Failed() {
			t.Fatalf("round %d, killed at %q", round, at)
		}
	}
	if len(witness) < 50 {
		t.Errorf("only %d appends were acknowledged", len(witness))
	}
}

// killed runs a child, which dies at a point or is killed some time after its
// first acknowledgement.
func killed(t *testing.T, dir, role, at string, after time.Duration) (witness []acknowledged) {
	t.Helper()
	command := childCommand(role, dir)
	command.Env = append(command.Env, childPoint+"="+at)
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
