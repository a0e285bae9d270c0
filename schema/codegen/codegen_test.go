package codegen_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/verbatim-es/verbatim/schema/codegen"
	"github.com/verbatim-es/verbatim/schema/flatc"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing them")

// compiler is the real flatc, from the user's cache; the first run on a machine
// builds it.
var compiler = sync.OnceValues(func() (*flatc.Compiler, error) {
	return flatc.Find(context.Background(), flatc.Options{Progress: os.Stderr})
})

func generate(t *testing.T, o codegen.Options, paths ...string) ([]codegen.File, error) {
	t.Helper()
	c, err := compiler()
	if err != nil {
		t.Fatal(err)
	}
	return codegen.Generate(t.Context(), c, o, paths...)
}

func compileOnly(t *testing.T, path string) ([]byte, error) {
	t.Helper()
	c, err := compiler()
	if err != nil {
		t.Fatal(err)
	}
	return codegen.Compile(t.Context(), c, nil, path)
}

// The committed output is what the generator writes now: for the schemas with
// every feature, and for the example.
func TestGolden(t *testing.T) {
	t.Parallel()
	files, err := generate(t, codegen.Options{}, "testdata/features/shop.fbs", "testdata/features/ledger.fbs", "testdata/features/sale.fbs", "../../examples/bank/bank.fbs", "../../examples/course/course.fbs")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		changed, err := codegen.Write(files)
		t.Logf("wrote %d files: %v", len(changed), err)
		return
	}
	changed, err := codegen.Changed(files)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range changed {
		t.Errorf("%s is not what is generated now: go test ./schema/codegen -update", f.Path)
	}
}

// Where it runs, how the schema is given and what lies around does not show in
// the output.
func TestOutputIsReproducible(t *testing.T) {
	t.Parallel()
	want, err := generate(t, codegen.Options{}, "testdata/features/shop.fbs")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("testdata/features/shop.fbs")
	if err != nil {
		t.Fatal(err)
	}
	dir := module(t, "github.com/verbatim-es/verbatim/schema/codegen/testdata/features")
	elsewhere := filepath.Join(dir, "shop.fbs")
	writeFile(t, elsewhere, string(text))
	got, err := generate(t, codegen.Options{}, elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d files, and %d elsewhere", len(want), len(got))
	}
	for i := range want {
		if !bytes.Equal(want[i].Content, got[i].Content) {
			t.Errorf("%s differs from %s", got[i].Path, want[i].Path)
		}
	}
}

// The generated code is compiled and run as a user's: in another module, and
// without cgo as far as it promises that.
func TestGeneratedCodeWorksInAnotherModule(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a module")
	}
	t.Parallel()
	dir := module(t, "example.test/shop")
	var schemas []string
	for _, name := range []string{
		"features/shop.fbs", "features/ledger.fbs", "features/sale.fbs",
		"features/common/money.fbs", "features/common/currency.fbs", "features/common/prices.fbs", "features/common/parties.fbs",
		"program/order/order_test.go", "program/ledger/ledger_test.go", "program/sale/sale_test.go", "program/states/states_test.go", "program/mutants/mutants_test.go", "program/saleview/rows_test.go", "program/orderview/lookups_test.go",
	} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(dir, "program", filepath.Base(filepath.Dir(name)), filepath.Base(name))
		switch name { // of the packages' own
		case "program/saleview/rows_test.go":
			target = filepath.Join(dir, "sale", "saleview", "rows_test.go")
		case "program/orderview/lookups_test.go":
			target = filepath.Join(dir, "order", "orderview", "lookups_test.go")
		}
		if below, ok := strings.CutPrefix(name, "features/"); ok {
			target = filepath.Join(dir, below)
			if !strings.Contains(below, "/") {
				schemas = append(schemas, target)
			}
		}
		writeFile(t, target, string(text))
	}
	files, err := generate(t, codegen.Options{}, schemas...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := codegen.Write(files); err != nil {
		t.Fatal(err)
	}
	goCommand(t, dir, []string{"CGO_ENABLED=0"}, "vet", "./order", "./ledger", "./sale", "./program/...")
	goCommand(t, dir, []string{"CGO_ENABLED=0"}, "test", "./program/...")
	goCommand(t, dir, nil, "build", "./...")
	goCommand(t, dir, nil, "test", "./sale/saleview", "./order/orderview")
}

// What people may think of that nobody here did: the schemas compile, an
// aggregate of each takes commands, and their events are shown.
func TestStrangeSchemasWork(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a module")
	}
	t.Parallel()
	dir := module(t, "example.test/strange")
	if err := os.CopyFS(dir, os.DirFS("testdata/strange")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "program"), os.DirFS("testdata/program/strange")); err != nil {
		t.Fatal(err)
	}
	schemas, err := filepath.Glob(filepath.Join(dir, "*.fbs"))
	if err != nil || len(schemas) < 13 {
		t.Fatalf("%d schemas, %v", len(schemas), err)
	}
	files, err := generate(t, codegen.Options{}, schemas...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := codegen.Write(files); err != nil {
		t.Fatal(err)
	}
	goCommand(t, dir, []string{"CGO_ENABLED=0"}, "test", "./program")
	goCommand(t, dir, nil, "vet", "./...")
}

// Code of another generator than the module's does not compile, and the error
// says what to do.
func TestStaleCodeDoesNotCompile(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a module")
	}
	t.Parallel()
	dir := module(t, "example.test/shop")
	path := filepath.Join(dir, "shop.fbs")
	writeFile(t, path, small)
	files, err := generate(t, codegen.Options{}, path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range files {
		files[i].Content = bytes.ReplaceAll(files[i].Content, []byte("GeneratedForAPI1"), []byte("GeneratedForAPI0"))
	}
	if _, err := codegen.Write(files); err != nil {
		t.Fatal(err)
	}
	out, err := goRun(t, dir, []string{"CGO_ENABLED=0"}, "build", "./thing")
	if err == nil || !strings.Contains(string(out), "flat.GeneratedForAPI0ElseRunEsGenerate") {
		t.Errorf("built with %v:\n%s", err, out)
	}
}

// Running the generator again changes nothing, and a view that is gone from the
// schema leaves no package behind.
func TestWriteChangesOnlyWhatDiffers(t *testing.T) {
	t.Parallel()
	dir := module(t, "example.test/shop")
	path := filepath.Join(dir, "shop.fbs")
	writeFile(t, path, small+"table Row (view: \"rows\") { n:long (id: 0, pk); }\n")
	write := func() []string {
		files, err := generate(t, codegen.Options{}, path)
		if err != nil {
			t.Fatal(err)
		}
		changed, err := codegen.Write(files)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, f := range changed {
			name, _ := filepath.Rel(dir, f.Path)
			if filepath.Base(filepath.Dir(name)) == "history" { // its name is the fingerprint
				name = filepath.Join(filepath.Dir(name), "x.bfbs")
			}
			names = append(names, filepath.ToSlash(name))
		}
		return names
	}
	all := []string{"thing/history/x.bfbs", "thing/internal/fb/fb.go", "thing/thing.bfbs", "thing/thing.es.go", "thing/thingview/thingview.es.go"}
	if got := write(); !slices.Equal(got, all) {
		t.Errorf("first run wrote %q, want %q", got, all)
	}
	if got := write(); got != nil {
		t.Errorf("second run wrote %q", got)
	}
	writeFile(t, path, small)
	if got := write(); !slices.Equal(got, all) {
		t.Errorf("without the view it changed %q, want %q", got, all)
	}
	if _, err := os.Stat(filepath.Join(dir, "thing", "thingview", "thingview.es.go")); !os.IsNotExist(err) {
		t.Errorf("the view's package is still there (%v)", err)
	}
}

// Nor does a file that is no longer included.
func TestWriteRemovesWhatIsNoLongerIncluded(t *testing.T) {
	t.Parallel()
	dir := module(t, "example.test/shop")
	path := filepath.Join(dir, "shop.fbs")
	writeFile(t, filepath.Join(dir, "parts", "speed.fbs"), "namespace shop.thing; enum Speed : ubyte { Slow, Fast }")
	low := filepath.Join(dir, "thing", "internal", "fb", "fb_parts_speed.go")
	for _, c := range []struct {
		text  string
		there bool
	}{{`include "parts/speed.fbs";` + "\n" + small, true}, {small, false}} {
		writeFile(t, path, c.text)
		files, err := generate(t, codegen.Options{}, path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := codegen.Write(files); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(low); (err == nil) != c.there {
			t.Errorf("%s: %v, want it there: %v", low, err, c.there)
		}
		goCommand(t, dir, []string{"CGO_ENABLED=0"}, "vet", "./thing/...")
	}
}

// Comments are for readers: they reach the Go code, and do not change what
// events are marked with.
func TestCommentsDoNotChangeTheBinarySchema(t *testing.T) {
	t.Parallel()
	dir := module(t, "example.test/shop")
	path := filepath.Join(dir, "shop.fbs")
	var bfbs, code [2]string
	for i, text := range []string{small, strings.ReplaceAll(small, "table", "\n/// Said of it.\ntable")} {
		writeFile(t, path, text)
		files, err := generate(t, codegen.Options{}, path)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			switch filepath.Base(f.Path) {
			case "thing.bfbs":
				bfbs[i] = string(f.Content)
			case "thing.es.go":
				code[i] = string(f.Content)
			}
		}
	}
	if bfbs[0] != bfbs[1] {
		t.Error("the binary schema depends on comments")
	}
	if !strings.Contains(code[1], "// Said of it.") || code[0] == code[1] {
		t.Error("the comments are not in the Go code")
	}
}

const small = `include "es.fbs";
namespace shop.thing;
table Thing (aggregate: "thing") { n:long (id: 0); }
table Made (event) { n:long (id: 0); }
`

// module returns the directory of a new module that uses this one.
func module(t *testing.T, path string) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	gomod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	// The requirements are this module's own, so that nothing is to be resolved.
	_, requirements, _ := strings.Cut(string(gomod), "\n")
	text := "module " + path + "\n" + requirements +
		"\nrequire github.com/verbatim-es/verbatim v0.0.0\nreplace github.com/verbatim-es/verbatim => " + root + "\n"
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "go.mod"), text)
	writeFile(t, filepath.Join(dir, "go.sum"), string(sums))
	return dir
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// goCommand runs the go command offline, and fails the test with it.
func goCommand(t *testing.T, dir string, env []string, args ...string) {
	t.Helper()
	if out, err := goRun(t, dir, env, args...); err != nil {
		t.Errorf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func goRun(t *testing.T, dir string, env []string, args ...string) ([]byte, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
	cmd.Env = append(cmd.Env, env...)
	return cmd.CombinedOutput()
}
