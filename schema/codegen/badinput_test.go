package codegen_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/verbatim-es/verbatim/schema/codegen"
)

// Whatever a file holds, the answer comes soon and names the file.
func TestBadInput(t *testing.T) {
	t.Parallel()
	const ours = "include \"es.fbs\";\nnamespace bad.thing;\ntable A (aggregate: \"a\") { n:int (id: 0); }\n"
	many := func(n int, part string, args ...any) string {
		return strings.Repeat(fmt.Sprintf(part, args...), n)
	}
	numbered := func(n int, part string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(strings.ReplaceAll(part, "#", fmt.Sprint(i)))
		}
		return b.String()
	}
	for name, text := range map[string]string{
		"utf-16":           "\xff\xfe" + many(100, "t\x00"),
		"utf-16 big":       "\xfe\xff" + many(100, "\x00t"),
		"latin 1":          ours + "// caf\xe9\n",
		"zero byte":        ours + "\x00",
		"empty":            "",
		"mark only":        "\xef\xbb\xbf",
		"braces":           many(1<<20, "{"),
		"brackets":         ours + "table T { x:" + many(1<<20, "["),
		"parentheses":      ours + "table T { x:int = " + many(1<<20, "("),
		"functions":        ours + "table T (event) { x:double = " + many(1<<19, "sin(") + "1" + many(1<<19, ")") + " (id: 0); }",
		"objects":          ours + "table T { x:int (id: 0); }\nroot_type T;\n" + many(1<<19, `{"x":`),
		"attributes":       ours + "table T (event, " + many(1<<14, "event,") + "event) { x:int (id: 0); }",
		"namespace":        "namespace a" + many(1<<20, ".a") + ";",
		"type":             ours + "table T (event) { x:a" + many(1<<20, ".a") + " (id: 0); }",
		"endless comment":  ours + "/*" + many(1<<20, "* "),
		"endless string":   ours + "table T (name: \"" + many(1<<20, "x"),
		"one name":         ours + "table " + many(3<<20, "T") + " (event) { x:int (id: 0); }",
		"deep tables":      ours + numbered(1900, "table T# { t:T# (id: 0, required); }\n"),
		"many tables":      ours + numbered(100_000, "table T# {}\n"),
		"many fields":      ours + "table T (event) {\n" + numbered(60_000, "f#:int (id: #);\n") + "}",
		"many values":      ours + "enum E : uint {\n" + numbered(200_000, "V#,\n") + "V }",
		"missing ids":      ours + "table T (event) {\n" + numbered(15_000, "f#:int;\n") + "}",
		"huge id":          ours + "table T (event) { x:int (id: 4294967295); }",
		"huge number":      ours + "table T (event) { x:int = " + many(1<<16, "9") + " (id: 0); }",
		"huge enum":        ours + "enum E : ulong { A = 18446744073709551615, B }\n",
		"structs in turns": ours + "struct S { t:T; }\nstruct T { s:S; }\n",
		"many includes":    numbered(300, "include \"#.fbs\";\n") + ours,
		"include itself":   "include \"x.fbs\";\n" + many(1000, "include \"./x.fbs\";\n") + "nonsense",
		"include device":   "include \"/dev/zero\";\n" + ours,
		"include outside":  "include \"../../../../etc/passwd\";\n" + ours,
		"include dir":      "include \"sub\";\n" + ours,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "x.fbs")
			writeFile(t, path, text)
			writeFile(t, filepath.Join(dir, "sub", "y.fbs"), "")
			if name == "many includes" {
				for i := range 300 {
					writeFile(t, filepath.Join(dir, fmt.Sprintf("%d.fbs", i)), "")
				}
			}
			start := time.Now()
			_, err := generate(t, codegen.Options{}, path)
			took := time.Since(start)
			if err == nil {
				t.Fatal("accepted")
			}
			message := err.Error()
			if !strings.Contains(message, path) && !strings.Contains(message, dir) {
				t.Errorf("does not name the file: %.300s", message)
			}
			if took > time.Minute {
				t.Errorf("took %v", took)
			}
			// The same without what is refused on account of Go.
			start = time.Now()
			if _, err := compileOnly(t, path); err != nil && !strings.Contains(err.Error(), dir) {
				t.Errorf("Compile does not name the file: %.300s", err)
			}
			if also := time.Since(start); also > time.Minute {
				t.Errorf("Compile took %v", also)
			}
			t.Logf("%v: %.200s", took.Round(time.Millisecond), strings.TrimPrefix(message, dir))
		})
	}
}

func TestUnreadableInput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	huge := filepath.Join(dir, "huge.fbs")
	writeFile(t, huge, "")
	if err := os.Truncate(huge, 100<<20); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "dir.fbs"), 0o755); err != nil {
		t.Fatal(err)
	}
	closed := filepath.Join(dir, "closed.fbs")
	writeFile(t, closed, small)
	if err := os.Chmod(closed, 0); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"huge.fbs":    "larger than 4 MiB",
		"dir.fbs":     "not a file, but a directory",
		"missing.fbs": "no such file",
		"closed.fbs":  "permission denied",
	} {
		path := filepath.Join(dir, name)
		if f, err := os.Open(path); err == nil && name == "closed.fbs" {
			f.Close()
			continue // the superuser reads everything
		}
		_, err := generate(t, codegen.Options{}, path)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want …%s…", name, err, want)
		}
	}
}

// Schemas may include each other.
func TestCyclicIncludes(t *testing.T) {
	t.Parallel()
	dir := module(t, "example.test/shop")
	writeFile(t, filepath.Join(dir, "a.fbs"), "include \"b.fbs\";\n"+small)
	writeFile(t, filepath.Join(dir, "b.fbs"), "include \"a.fbs\";\ninclude \"b.fbs\";\n")
	if _, err := generate(t, codegen.Options{}, filepath.Join(dir, "a.fbs")); err != nil {
		t.Error(err)
	}
}
