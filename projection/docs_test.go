package projection_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// What docs/PROJECTIONS.md shows is part of the examples, which are run.
func TestDocumentedCodeIsRun(t *testing.T) {
	t.Parallel()
	read := func(name string) string {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	examples := read("example_test.go")
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(read("../docs/PROJECTIONS.md"), -1)
	if len(blocks) == 0 {
		t.Fatal("there is no code")
	}
	for _, block := range blocks {
		if !strings.Contains(examples, block[1]) {
			t.Errorf("no example has this:\n%s", block[1])
		}
	}
}
