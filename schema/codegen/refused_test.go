package codegen_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/verbatim-es/verbatim/schema/codegen"
	"github.com/verbatim-es/verbatim/schema/flatc"
)

// Every schema in testdata/refused is refused with the messages in the .txt
// beside it, each with its file and line.
func TestRefused(t *testing.T) {
	t.Parallel()
	schemas, err := filepath.Glob("testdata/refused/*.fbs")
	if err != nil || len(schemas) == 0 {
		t.Fatal(err, len(schemas))
	}
	for _, path := range schemas {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".fbs"), func(t *testing.T) {
			t.Parallel()
			files, err := generate(t, codegen.Options{}, path)
			if err == nil {
				t.Fatalf("accepted, and would write %d files", len(files))
			}
			got := err.Error() + "\n"
			golden := strings.TrimSuffix(path, ".fbs") + ".txt"
			if *update {
				writeFile(t, golden, got)
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("refused with\n%swant\n%s", got, want)
			}
		})
	}
}

// A message begins with a place that editors jump to, whichever stage it comes
// from.
func TestRefusalsNameFileAndLine(t *testing.T) {
	t.Parallel()
	goldens, err := filepath.Glob("testdata/refused/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	place := regexp.MustCompile(`^testdata/refused/[a-z_/]+\.fbs(:[0-9]+)*: .`)
	for _, golden := range goldens {
		text, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if !place.MatchString(line) {
				t.Errorf("%s: %q does not begin with file and line", golden, line)
			}
		}
	}
}

func TestRefusedByStage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "x.fbs")
	for name, c := range map[string]struct {
		text string
		is   any // what errors.As finds
	}{
		"syntax": {"table {", new(*flatc.Error)},
		"lint":   {"include \"es.fbs\"; namespace a.b; union U { A } table A { x:int (id: 0); }", new(codegen.Problems)},
		"binary": {"table A { x:int; }\x00", new(codegen.Problems)},
		"utf-16": {"\xff\xfet\x00a\x00", new(codegen.Problems)},
		"huge":   {strings.Repeat("// nothing\n", 1<<19), new(codegen.Problems)},
	} {
		writeFile(t, path, c.text)
		_, err := generate(t, codegen.Options{}, path)
		if !errors.As(err, c.is) {
			t.Errorf("%s: %T %v", name, err, err)
			continue
		}
		if !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %q does not name the file", name, err)
		}
	}
	if _, err := generate(t, codegen.Options{}, filepath.Join(dir, "missing.fbs")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing schema: %v", err)
	}
}

// Schemas that include each other end, and one that is included may declare
// what attributes need.
func TestIncludes(t *testing.T) {
	t.Parallel()
	dir := module(t, "example.test/shop")
	writeFile(t, filepath.Join(dir, "shop.fbs"), `include "common/more.fbs";`+"\n"+small)
	writeFile(t, filepath.Join(dir, "common", "more.fbs"), `include "es.fbs"; include "../common/more.fbs"; attribute "mine";`)
	if _, err := generate(t, codegen.Options{}, filepath.Join(dir, "shop.fbs")); err != nil {
		t.Error(err)
	}
	writeFile(t, filepath.Join(dir, "es.fbs"), "namespace es;")
	_, err := generate(t, codegen.Options{}, filepath.Join(dir, "shop.fbs"))
	if err == nil || !strings.Contains(err.Error(), "differs from the es.fbs of this version") {
		t.Errorf("another es.fbs beside the schema: %v", err)
	}
}

// One run over several schemas reports what is wrong with each.
func TestProblemsOfAllSchemas(t *testing.T) {
	t.Parallel()
	dir := module(t, "example.test/shop")
	var paths []string
	for _, name := range []string{"a.fbs", "b.fbs"} {
		paths = append(paths, filepath.Join(dir, name))
		writeFile(t, paths[len(paths)-1], small)
	}
	if _, err := generate(t, codegen.Options{}, paths...); err == nil || !strings.Contains(err.Error(), "generates the same package as") {
		t.Errorf("two schemas of one namespace: %v", err)
	}
	for _, path := range paths {
		writeFile(t, path, "nonsense")
	}
	_, err := generate(t, codegen.Options{}, paths...)
	for _, path := range paths {
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%v does not name %s", err, path)
		}
	}
}
