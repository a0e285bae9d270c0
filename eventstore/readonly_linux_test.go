package eventstore_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
)

// TestReadOnlyFileSystem opens a store through a mount that can't be written to.
// While it is open a writer is kept out, and it is not opened beside one.
func TestReadOnlyFileSystem(t *testing.T) {
	t.Parallel()
	dir, mount := t.TempDir(), t.TempDir()
	writer, err := eventstore.Open(dir, small())
	if err != nil {
		t.Fatal(err)
	}
	appendTo(t, writer, "ledger-1", 3)
	if err := errors.Join(syscall.Mount(dir, mount, "", syscall.MS_BIND, ""), syscall.Mount("", mount, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, "")); err != nil {
		if err := writer.Close(); err != nil {
			t.Error(err)
		}
		t.Skipf("nothing can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(mount, 0); err != nil {
			t.Error(err)
		}
	})
	if _, err := eventstore.Open(mount, eventstore.Options{ReadOnly: true}); !errors.Is(err, eventstore.ErrInUse) {
		t.Errorf("beside a writer that can't know of it: %v", err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	reader, err := eventstore.Open(mount, eventstore.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, reader, event.Selection{Stream: "ledger-1"}); len(got) != 3 {
		t.Errorf("%d events", len(got))
	}
	if _, err := eventstore.Open(dir, small()); !errors.Is(err, eventstore.ErrInUse) {
		t.Errorf("a writer beside a reader that it can't know of: %v", err)
	}
	if err := reader.Close(); err != nil {
		t.Error(err)
	}
	open(t, dir)
}

// TestReadOnlyUser opens a store as a user who may read it and not more.
func TestReadOnlyUser(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	dir, err := os.MkdirTemp("/dev/shm", "eventstore-test-")
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	writer, err := eventstore.Open(dir, small())
	if err != nil {
		t.Fatal(err)
	}
	appendTo(t, writer, "ledger-1", 3)
	if output, err := exec.Command("chmod", "-R", "a+rX", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	asNobody := func() childResult {
		command := childCommand("read", dir)
		command.Path = "/proc/self/exe" // the test binary is where nobody may look
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		output, err := command.CombinedOutput()
		return childResult{string(output), err}
	}
	if got := asNobody(); got.err == nil || !strings.Contains(got.output, "in use by process") {
		t.Errorf("beside a writer that can't know of it: %v, %s", got.err, got.output)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	if got := asNobody(); got.err != nil || got.output != "3\n" {
		t.Errorf("without a writer: %v, %s", got.err, got.output)
	}
}
