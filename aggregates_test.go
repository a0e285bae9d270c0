package verbatim_test

import (
	"regexp"
	"strings"
	"testing"
)

// What docs/AGGREGATES.md has the reader write is generated from, tested and run
// as the reader would, and it is not much.
func TestAggregatesPage(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds a program")
	}
	dir, lines := t.TempDir(), 0
	for _, file := range regexp.MustCompile("(?s)<!-- file: (\\S+) -->\n```(go)?\n(.*?)```").FindAllStringSubmatch(read(t, "docs/AGGREGATES.md"), -1) {
		write(t, dir, file[1], file[3])
		if file[2] == "go" {
			lines += ownLines(file[3])
		}
	}
	if lines == 0 || lines > 100 {
		t.Errorf("the page has the reader write %d lines of Go", lines)
	}
	write(t, dir, "go.mod", strings.Replace(dependentModule(t), "module example.com/readme", "module example.com/club", 1))
	write(t, dir, "go.sum", read(t, "go.sum"))
	run(t, dir, "go", "run", "-mod=mod", "github.com/verbatim-es/verbatim/cmd/es", "generate", "poll.fbs")
	run(t, dir, "go", "vet", "-mod=mod", "./...")
	run(t, dir, "go", "test", "-mod=mod", "./...")
	for range 2 {
		if got := run(t, dir, "go", "run", "-mod=mod", "."); got != "Tea? 1 0 <nil>\n" {
			t.Errorf("the program printed %q", got)
		}
	}
}

// ownLines counts those of a file that are neither blank nor imports.
func ownLines(text string) (n int) {
	_, body, _ := strings.Cut(text, "\n)\n")
	for line := range strings.Lines(body) {
		if strings.TrimSpace(line) != "" {
			n++
		}
	}
	return n
}
