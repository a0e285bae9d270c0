package verbatim_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The program in the README is built and run as a stranger would: in a module
// of its own, outside this repository. The second run shows the idempotency
// keys at work.
func TestReadmeProgram(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds a program")
	}
	dir := t.TempDir()
	write(t, dir, "main.go", readmeProgram(t))
	write(t, dir, "go.mod", dependentModule(t))
	write(t, dir, "go.sum", read(t, "go.sum"))
	run(t, dir, "go", "build", "-mod=mod", "-o", "program", ".")
	for range 2 {
		if got := run(t, dir, "./program"); got != "42 100\n" {
			t.Fatalf("the program printed %q, want %q", got, "42 100\n")
		}
	}
}

// readmeProgram returns the README's one Go block that is a program.
func readmeProgram(t *testing.T) string {
	for _, block := range regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(read(t, "README.md"), -1) {
		if strings.HasPrefix(block[1], "package main") {
			return block[1]
		}
	}
	t.Fatal("README.md shows no program")
	return ""
}

// dependentModule is the go.mod of a module that requires this one, with the
// same versions of everything, so that nothing is looked up.
func dependentModule(t *testing.T) string {
	root, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	const path = "github.com/verbatim-es/verbatim"
	mod := strings.Replace(read(t, "go.mod"), "module "+path, "module example.com/readme", 1)
	return mod + "\nrequire " + path + " v0.0.0\n\nreplace " + path + " => " + root + "\n"
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, stderr.String())
	}
	return string(out)
}
