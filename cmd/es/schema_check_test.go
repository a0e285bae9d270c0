package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestSchemaCheck(t *testing.T) {
	t.Parallel()
	pair := func(dir, name string) string {
		return filepath.Join("..", "..", "schema", "compat", "testdata", "pairs", dir, name)
	}
	first, again := pair("field-deleted", "old.bfbs"), pair("append-again", "new.fbs")
	between := pair("append-again", "old.fbs")
	const rule = ": t.T.b: field-retyped: "
	for name, c := range map[string]struct {
		args   []string
		status int
		lines  int
	}{
		"findings":         {[]string{first, between, again}, 1, 1},
		"only the last":    {[]string{first, between, again, "--mode", "full"}, 0, 0},
		"one direction":    {[]string{first, again, "--mode=BACKWARD"}, 1, 1},
		"nothing asked":    {[]string{first, again, "--mode", "NONE"}, 0, 0},
		"nothing to find":  {[]string{between, again}, 0, 0},
		"no second schema": {[]string{again}, 2, 0},
		"no such mode":     {[]string{first, again, "--mode", "most"}, 2, 0},
		"no such file":     {[]string{first, "nowhere.fbs"}, 1, 0},
		"no schema":        {[]string{"main.go", again}, 1, 0},
	} {
		status, stdout, stderr := es(t, append([]string{"schema", "check"}, c.args...)...)
		lines := strings.Count(stdout, "\n")
		if status != c.status || lines != c.lines {
			t.Errorf("%s: status %d, want %d; %d lines, want %d\n%s%s", name, status, c.status, lines, c.lines, stdout, stderr)
		}
		if lines == 1 && (!strings.HasPrefix(stdout, again+rule) || !strings.Contains(stdout, "; against "+first+")\n")) {
			t.Errorf("%s: %s", name, stdout)
		}
		if (status != 0) != strings.HasPrefix(stderr, "es: ") {
			t.Errorf("%s: status %d, stderr %q", name, status, stderr)
		}
	}
}

func TestSchemaCheckNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"syntax.fbs":   "table",
		"ids.fbs":      "table T { a:int; }",
		"role.fbs":     `include "es.fbs"; table Opened (event) {}`,
		"include.fbs":  `include "nowhere.fbs";`,
		"cycle.fbs":    `include "cycle.fbs"; table T { a:int (id: 0); b:Missing (id: 1); }`,
		"short.bfbs":   "\x10\x00\x00\x00BFBS",
		"endless.bfbs": strings.Repeat("\x10\x00\x00\x00BFBS", 1<<20),
		"huge.fbs":     "",
		"huge.bfbs":    "",
		"utf16.fbs":    "\xff\xfet\x00",
		"latin1.fbs":   "namespace x; // caf\xe9",
		"braces.fbs":   strings.Repeat("{", 1<<20),
		"sines.fbs":    "table T { x:double = " + strings.Repeat("sin(", 1<<19) + "1 (id: 0); }",
		"tables.fbs":   strings.Repeat("table T {}\n", 100_000),
		"outside.fbs":  `include "../../../../etc/passwd";`,
		"device.fbs":   `include "/dev/zero";`,
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(name, "huge") {
			if err := os.Truncate(path, 100<<20); err != nil {
				t.Fatal(err)
			}
		}
		status, stdout, stderr := es(t, "schema", "check", path, path)
		if status != 1 || stdout != "" || strings.Count(stderr, path) == 0 || len(stderr) > 64<<10 {
			t.Errorf("%s: status %d\n%s%.1000s", name, status, stdout, stderr)
		}
		t.Logf("%.300s", stderr)
	}
	if status, _, stderr := es(t, "schema", "check", "/dev/zero", "/dev/zero"); status != 1 || !strings.Contains(stderr, "/dev/zero: not a file") {
		t.Errorf("a device: status %d\n%s", status, stderr)
	}
}

// Not parallel: what others allocate would count, too.
func TestHugeSchemasTakeBoundedMemory(t *testing.T) {
	p := newProject(t)
	p.declare("n:long (id: 0);", "")
	p.generate()
	huge := filepath.Join(p.dir, "huge.bfbs")
	p.write("huge.bfbs", "\x10\x00\x00\x00BFBS")
	kept := filepath.Join(p.dir, "x", "history", "0123456789abcdef.bfbs")
	p.write(filepath.Join("x", "history", filepath.Base(kept)), "")
	for _, path := range []string{huge, kept} {
		if err := os.Truncate(path, 100<<20); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"schema", "check", huge, huge}, {"schema", "register", t.TempDir(), huge}, {"generate", p.schema}} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		status, _, stderr := es(t, args...)
		runtime.ReadMemStats(&after)
		if status != 1 {
			t.Errorf("%q: status %d\n%s", args, status, stderr)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 50<<20 {
			t.Errorf("%q took %d bytes for a file of 100 MiB", args, took)
		} else {
			t.Logf("%q: %d bytes, %s", args, took, stderr)
		}
	}
}

// What es generate takes, es schema check takes, and the other way round.
func TestSchemaCheckTakesCyclicIncludes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a.fbs")
	for name, text := range map[string]string{
		"a.fbs": `include "b.fbs"; table T { a:int (id: 0); }`,
		"b.fbs": `include "a.fbs"; include "b.fbs";`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if status, stdout, stderr := es(t, "schema", "check", path, path); status != 0 || stdout+stderr != "" {
		t.Errorf("status %d\n%s%s", status, stdout, stderr)
	}
}
