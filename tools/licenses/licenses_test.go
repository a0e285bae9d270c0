package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const mit = `Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
`

// fake makes a module with one licence file.
func fake(t *testing.T, path, text string, shipped bool) module {
	t.Helper()
	root := t.TempDir()
	file := filepath.Join(root, "LICENSE")
	if err := os.WriteFile(file, []byte(text), 0o444); err != nil {
		t.Fatal(err)
	}
	return module{Path: path, Version: "v1.0.0", Shipped: shipped, Root: root, Texts: []string{file}}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	const document = "## Shipped\n\n| module | SPDX | used for |\n|---|---|---|\n| `a.example/a` | MIT | a thing |\n\n## Tests only\n\n| `b.example/b` | MIT | a test |\n"
	a, b := fake(t, "a.example/a", mit, true), fake(t, "b.example/b", mit, false)
	cases := []struct {
		name     string
		document string
		modules  []module
		want     string
	}{
		{"agreement", document, []module{a, b}, ""},
		{"a module that is not listed", document, []module{a, b, fake(t, "c.example/c", mit, true)}, "c.example/c (MIT) is not listed"},
		{"another licence", strings.Replace(document, "| MIT | a thing", "| Apache-2.0 | a thing", 1), []module{a, b}, `listed as "Apache-2.0", its files say "MIT"`},
		{"a test's module that is shipped", document, []module{a, {Path: b.Path, Shipped: true, Root: b.Root, Texts: b.Texts}}, `b.example/b belongs under "## Shipped"`},
		{"a module that is gone", document, []module{a}, "b.example/b is listed, but nothing imports it"},
		{"an unknown licence", document, []module{fake(t, a.Path, "Do what I say.\n", true), b}, "is no licence known"},
		{"no licence at all", document, []module{{Path: a.Path, Shipped: true}, b}, "has no licence file"},
		{"no purpose", strings.Replace(document, " a thing ", " ", 1), []module{a, b}, "say what it is used for"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			rows, err := parse(c.document)
			if err != nil {
				t.Fatal(err)
			}
			problems := compare(rows, c.modules)
			if c.want == "" && len(problems) > 0 {
				t.Fatalf("found %q where all agrees", problems)
			}
			if c.want != "" && !slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, c.want) }) {
				t.Fatalf("found %q, want one with %q", problems, c.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, document := range map[string]string{
		"an empty page":          "# Third-party software\n",
		"a row of two cells":     "## Shipped\n| `a` | MIT |\n",
		"a row under no heading": "| `a` | MIT | x |\n",
		"a module listed twice":  "## Shipped\n| `a` | MIT | x |\n| `a` | MIT | x |\n",
	} {
		if rows, err := parse(document); err == nil {
			t.Errorf("%s: parsed to %v, want an error", name, rows)
		}
	}
}

// TestGather copies only what is shipped, and nothing of an earlier release
// stays behind.
func TestGather(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stale := filepath.Join(dir, "old.example", "LICENSE")
	if err := os.MkdirAll(filepath.Dir(stale), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(stale, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	n, err := gather(dir, []module{fake(t, "a.example/a", mit, true), fake(t, "b.example/b", mit, false)})
	if err != nil || n != 1 {
		t.Fatalf("gathered %d files, error %v", n, err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "a.example", "a@v1.0.0", "LICENSE"))
	if err != nil || string(text) != mit {
		t.Fatalf("the text is %q, error %v", text, err)
	}
	if _, err := os.Stat(stale); !os.IsNotExist(err) {
		t.Fatalf("the old text is still there: %v", err)
	}
}

// TestNestedTexts sees the licence of code that a module has copied from
// elsewhere into one of its packages.
func TestNestedTexts(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := filepath.Join(root, "internal", "copied", "pkg")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{filepath.Join(root, "LICENSE"), filepath.Join(root, "NOTICE"), filepath.Join(root, "internal", "copied", "COPYING")} {
		if err := os.WriteFile(f, []byte(mit), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	found, err := texts(root, dir)
	if err != nil || len(found) != 3 {
		t.Fatalf("found %q, error %v", found, err)
	}
}
