package eventstore_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/eventstoretest"
)

// flipStep is the distance of the bytes that are flipped, and of the bits of
// separators a part of it; make flips has 1.
var flipStep = flag.Int("flip-step", 211, "flip every so many-th byte of log and index")

// flipPatience is how long one flipped byte may keep a process busy.
const flipPatience = 20 * time.Second

// flippable makes a small store with lists of several runs.
func flippable(t *testing.T, dir string) {
	t.Helper()
	store, err := eventstore.Open(dir, eventstore.WithShortRuns(flipOptions()))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		a := event.Append{Stream: fmt.Sprintf("ledger-%d", i%3), Key: flipKey(i), Events: []event.Proposed{eventstoretest.Noted(fmt.Sprintf("n%d", i%2), int64(i))}}
		if i%4 == 0 {
			a.Events = append(a.Events, eventstoretest.Struck(1))
		}
		if _, err := store.Append(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

func flipKey(i int) string { return fmt.Sprintf("key-%02d", i) }

func flipOptions() eventstore.Options {
	return eventstore.Options{Schemas: eventstoretest.Schema, MaxJournal: 64 << 10, MaxAppend: 8 << 10}
}

// TestFlippedFiles flips a bit in bytes of the data files of log and index, and
// opens the store and reads it in a child process. A read fails, or returns what
// is stored; LMDB may end the child.
func TestFlippedFiles(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/shm"); err != nil {
		t.Skip("the test wants a file system in memory: ", err)
	}
	dir, err := os.MkdirTemp("/dev/shm", "eventstore-flips-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	flippable(t, filepath.Join(dir, "made"))
	step := *flipStep
	if testing.Short() {
		step *= 5
	}
	for _, file := range []string{"log", "index"} {
		info, err := os.Stat(filepath.Join(dir, "made", file, "data.mdb"))
		if err != nil {
			t.Fatal(err)
		}
		outcomes := map[string]int{}
		for at := 0; at < int(info.Size()); {
			at = flipFrom(t, dir, file, at, step, outcomes)
		}
		t.Logf("%s: %d bytes, every %d: %v", file, info.Size(), step, outcomes)
		if outcomes["refused"] == 0 || outcomes["whole"] == 0 {
			t.Errorf("%s: %v: the test shows nothing", file, outcomes)
		}
	}
}

// flipFrom runs a child from an offset on, and returns where the next one has to
// begin.
func flipFrom(t *testing.T, dir, file string, at, step int, outcomes map[string]int) (next int) {
	t.Helper()
	command := childCommand("flips", dir)
	command.Env = append(command.Env, fmt.Sprintf("%s=%s %d %d", childPoint, file, at, step))
	stdout, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	hung := time.AfterFunc(flipPatience, func() { _ = command.Process.Kill() })
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		var outcome string
		if n, _ := fmt.Sscanf(lines.Text(), "flip %d %s", &at, &outcome); n != 2 {
			continue // a crash's last words, which go to stdout or nowhere
		}
		hung.Reset(flipPatience)
		if outcome == "begun" {
			continue
		}
		if outcomes[outcome]++; outcome == "wrong" {
			t.Errorf("%s: byte %d flipped: %s", file, at, lines.Text())
		}
	}
	err = command.Wait()
	if late := !hung.Stop(); late {
		t.Errorf("%s: byte %d flipped: nothing for %v", file, at, flipPatience)
	}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if err != nil {
		outcomes["ended"]++
		return at + step
	}
	return int(^uint(0) >> 1)
}

// flips is the child of TestFlippedFiles.
func flips(dir, args string) error {
	var file string
	var at, step int
	if _, err := fmt.Sscanf(args, "%s %d %d", &file, &at, &step); err != nil {
		return err
	}
	made, copied := filepath.Join(dir, "made"), filepath.Join(dir, "copied")
	want, _, err := flipRead(made, eventstore.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	good, err := os.ReadFile(filepath.Join(made, file, "data.mdb"))
	if err != nil {
		return err
	}
	for ; at < len(good); at += step {
		fmt.Println("flip", at, "begun")
		bad := bytes.Clone(good)
		bad[at] ^= 1 << (at % 8)
		if err := errors.Join(os.RemoveAll(copied), os.CopyFS(copied, os.DirFS(made)), os.WriteFile(filepath.Join(copied, file, "data.mdb"), bad, 0o600)); err != nil {
			return err
		}
		outcome := "whole"
		for _, o := range []eventstore.Options{{ReadOnly: true}, flipOptions()} {
			got, wrong, err := flipRead(copied, o)
			for i := range got {
				if got[i] != nil && !slices.Equal(got[i], want[i]) {
					wrong = fmt.Sprintf("read %d: %d of %d events, the other reads: %v", i, len(got[i]), len(want[i]), err)
				}
			}
			if wrong != "" {
				outcome = fmt.Sprintf("wrong, read-only %v: %s", o.ReadOnly, wrong)
				break
			}
			if err != nil {
				outcome = "refused"
			}
		}
		fmt.Println("flip", at, strings.Replace(outcome, "wrong,", "wrong", 1))
	}
	return nil
}

// flipRead opens a store and reads it in several ways. A read that fails is nil.
// wrong says which key was not found, or led to the wrong append.
func flipRead(dir string, o eventstore.Options) (got [][]string, wrong string, err error) {
	store, err := eventstore.Open(dir, o)
	if err != nil {
		return nil, "", err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	var failed error
	for _, sel := range []event.Selection{
		{}, {Backward: true}, {Stream: "ledger-1"}, {Stream: "ledger-2", Backward: true}, {Stream: "ledger-0", FromVersion: 5}, {Category: "ledger", After: 20},
		{Types: []string{eventstoretest.StruckType}}, {Types: []string{"contract."}}, {Tags: []string{"text:n0"}},
		{Query: event.Query{{Types: []string{eventstoretest.NotedType}, Tags: []string{"text:n1"}}}},
	} {
		records := []string{}
		for e, err := range store.Read(context.Background(), sel) {
			if err != nil {
				failed, records = errors.Join(failed, err), nil
				break
			}
			records = append(records, string(e.Record()))
		}
		got = append(got, records)
	}
	first := uint64(1)
	for i := range 40 {
		receipt, ok, err := store.AppendByKey(context.Background(), flipKey(i))
		failed = errors.Join(failed, err)
		if err == nil && (!ok || receipt.First != first) {
			wrong = fmt.Sprintf("key %s: %v, position %d", flipKey(i), ok, receipt.First)
		}
		if first++; i%4 == 0 {
			first++
		}
	}
	return got, wrong, failed
}
