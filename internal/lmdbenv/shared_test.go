//go:build cgo

package lmdbenv_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

func readOnly() lmdbenv.Options {
	o := options
	o.ReadOnly = true
	return o
}

// TestReaderBesideWriter opens an environment twice in this process: LMDB itself
// must see it once, also when the one that opened it closes first.
func TestReaderBesideWriter(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writer, err := lmdbenv.Open(dir, options)
	if err != nil {
		t.Fatal(err)
	}
	put(t, writer, "a", "1")
	reader := open(t, dir, readOnly())
	if got := get(t, reader, "a"); got != "1" {
		t.Errorf("a is %q", got)
	}
	if err := reader.Update(func(*lmdbenv.Txn) error { return nil }); !errors.Is(err, lmdbenv.ErrReadOnly) {
		t.Errorf("update: %v", err)
	}
	if _, err := reader.OpenDB("new"); !lmdbenv.IsNotFound(err) {
		t.Errorf("a database that is not there: %v", err)
	}
	before, err := reader.Transaction()
	if err != nil {
		t.Fatal(err)
	}
	put(t, writer, "a", "2")
	if after, err := reader.Transaction(); err != nil || after != before+1 {
		t.Errorf("transaction %d after %d, %v", after, before, err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	if got := get(t, reader, "a"); got != "2" {
		t.Errorf("a is %q", got)
	}
	again := open(t, dir, options)
	put(t, again, "a", "3")
	if got := get(t, reader, "a"); got != "3" {
		t.Errorf("a is %q", got)
	}
}

func TestWriterAfterReaderIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writer, err := lmdbenv.Open(dir, options)
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir, readOnly())
	if _, err := lmdbenv.Open(dir, options); err == nil || !strings.Contains(err.Error(), "close that first") {
		t.Errorf("a writer: %v", err)
	}
}

func TestReplacedIsNoticed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	env := open(t, dir, options)
	if env.Replaced() {
		t.Error("it is replaced at once")
	}
	file := filepath.Join(dir, lmdbenv.DataFile)
	content, err := os.ReadFile(file)
	if err := errors.Join(err, os.Rename(file, file+".old"), os.WriteFile(file, content, 0o600)); err != nil {
		t.Fatal(err)
	}
	if !env.Replaced() {
		t.Error("it is not replaced")
	}
}

// TestSlotsOfTheDeadAreCleared kills a process that reads.
func TestSlotsOfTheDeadAreCleared(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := options
	o.ReaderCheck = 10 * time.Millisecond
	env := open(t, dir, o)
	child := reading(t, dir, 1)
	if n := lmdbenv.Readers(env); n != 1 {
		t.Errorf("%d readers while the child reads", n)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // killed
	deadline := time.After(10 * time.Second)
	for lmdbenv.Readers(env) > 0 {
		select {
		case <-deadline:
			t.Fatal("the slot is still taken")
		case <-time.After(time.Millisecond):
		}
	}
}

// reading starts a process that has so many readers.
func reading(t *testing.T, dir string, n int) *exec.Cmd {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), "LMDBENV_TEST_READ="+dir, "LMDBENV_TEST_READERS="+strconv.Itoa(n))
	stdout, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "reading\n" {
		t.Fatalf("the child said %q, %v", line, err)
	}
	return child
}

// read holds readers until the process is killed.
func read(dir string, n int) {
	env, err := lmdbenv.Open(dir, readOnly())
	for ; err == nil && n > 0; n-- {
		_, err = env.Begin()
	}
	if err != nil {
		os.Stdout.WriteString(err.Error())
		return
	}
	os.Stdout.WriteString("reading\n")
	select {}
}

// TestBusyProcessesHaveSlots has two processes with as many readers as one takes.
func TestBusyProcessesHaveSlots(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	env := open(t, dir, options)
	child := reading(t, dir, lmdbenv.OwnReaders)
	t.Cleanup(func() {
		_ = child.Process.Kill()
		_ = child.Wait() // killed
	})
	for range lmdbenv.OwnReaders {
		r, err := env.Begin()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
	}
}

// TestReadersJoinANewWriter opens a new environment while others wait for its
// file: they find what the writer puts into it.
func TestReadersJoinANewWriter(t *testing.T) {
	t.Parallel()
	const rounds, readers = 20, 4
	for range rounds {
		dir := t.TempDir()
		joined := make(chan error)
		for range readers {
			go func() { joined <- join(t.Context(), dir) }()
		}
		writer, err := lmdbenv.Open(dir, options)
		if err != nil {
			t.Error(err)
		}
		for range readers {
			if err := <-joined; err != nil {
				t.Error(err)
			}
		}
		if err := writer.Close(); err != nil {
			t.Error(err)
		}
	}
}

// join opens an environment for reading as soon as it has a file.
func join(ctx context.Context, dir string) error {
	for {
		env, err := lmdbenv.Open(dir, readOnly())
		switch {
		case err == nil:
			return env.Close()
		case !errors.Is(err, os.ErrNotExist) || ctx.Err() != nil:
			return err
		}
	}
}

func TestSharedLockKeepsWritersOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 2 { // without the file, and with it
		a, err := lmdbenv.LockShared(dir)
		if err != nil {
			t.Fatal(err)
		}
		b, err := lmdbenv.LockShared(dir)
		if err != nil {
			t.Fatal(err)
		}
		var locked *lmdbenv.LockedError
		if _, err := lmdbenv.LockDir(dir); !errors.As(err, &locked) {
			t.Errorf("a writer: %v", err)
		}
		if err := errors.Join(a.Unlock(), b.Unlock()); err != nil {
			t.Fatal(err)
		}
		writer, err := lmdbenv.LockDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := lmdbenv.LockShared(dir); !errors.As(err, &locked) || !locked.Same {
			t.Errorf("beside a writer: %v", err)
		}
		if err := writer.Unlock(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCopy(t *testing.T) {
	t.Parallel()
	env := open(t, t.TempDir(), options)
	for _, key := range []string{"a", "b", "c"} {
		put(t, env, key, strings.Repeat(key, 100_000))
	}
	dir := t.TempDir()
	var file bytes.Buffer
	if err := env.Copy(t.Context(), &file); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, lmdbenv.DataFile), file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := get(t, open(t, dir, readOnly()), "b"); got != strings.Repeat("b", 100_000) {
		t.Errorf("b has %d bytes in the copy", len(got))
	}
	full := errors.New("full")
	if err := env.Copy(t.Context(), writerFunc(func([]byte) (int, error) { return 0, full })); !errors.Is(err, full) {
		t.Errorf("nowhere to write: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := env.Copy(ctx, writerFunc(func(b []byte) (int, error) { cancel(); return len(b), nil })); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := env.Copy(t.Context(), io.Discard); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
