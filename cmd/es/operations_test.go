package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestOperations runs the commands of docs/OPERATIONS.md, in their order, beside
// a store "data".
func TestOperations(t *testing.T) {
	text, err := os.ReadFile("../../docs/OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	made := makeStore(t, 3)
	t.Chdir(t.TempDir())
	if err := os.CopyFS("data", os.DirFS(made)); err != nil {
		t.Fatal(err)
	}
	commands := 0
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(block[1]) {
			command, file, redirected := strings.Cut(strings.TrimSpace(line), " > ")
			args := strings.Fields(command)
			if len(args) < 2 || args[0] != "es" {
				t.Fatalf("%q is no command of es", line)
			}
			if args[1] == "abandon-journal" { // it refuses while there is one
				if err := os.RemoveAll(args[2] + "/journal"); err != nil {
					t.Fatal(err)
				}
			}
			status, stdout, stderr := es(t, args[1:]...)
			if status != 0 || stdout == "" {
				t.Errorf("%s: status %d\n%s%s", line, status, stdout, stderr)
			}
			if redirected {
				if err := os.WriteFile(file, []byte(stdout), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			commands++
		}
	}
	if commands < 10 {
		t.Errorf("only %d commands were found", commands)
	}
	for _, dir := range []string{"data", "backup", "restored", "loaded", "moved"} {
		if status, stdout, stderr := es(t, "verify", dir); status != 0 || !strings.Contains(stdout, "position 6,") {
			t.Errorf("verify %s: status %d\n%s%s", dir, status, stdout, stderr)
		}
	}
}
