package interop

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// patience bounds every program that is run here.
const patience = 60 * time.Second

// need skips the test when what it needs is not there, and fails it where
// nothing may be missing.
func need(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s, and CI=true allows nothing to be missing", what)
	}
	t.Skip(what)
}

// program returns the path of a program, or skips.
func program(t *testing.T, name string) string {
	t.Helper()
	watch(t)
	path, err := exec.LookPath(name)
	if err != nil {
		need(t, name+" is not installed")
	}
	return path
}

// installed returns the path of something "make interop-deps" puts here, or skips.
func installed(t *testing.T, elements ...string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(elements...))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		need(t, filepath.Join(elements...)+" is missing: run \"make interop-deps\"")
	}
	return path
}

// watch opens the scripts' directories. The go command keeps the result of a
// test until a file changes that the test itself has opened.
func watch(t *testing.T) {
	t.Helper()
	for _, dir := range []string{".", "../docs/clients"} {
		if _, err := os.ReadDir(dir); err != nil {
			t.Fatal(err)
		}
	}
}

// output runs a program to its end and returns what it printed.
func output(t *testing.T, input []byte, name string, args ...string) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = bytes.NewReader(input)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil && problems.Len() > 0 {
		t.Logf("%s %q: %s", name, args, problems.Bytes())
	}
	return out, err
}
