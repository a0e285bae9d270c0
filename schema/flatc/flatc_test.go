package flatc

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// compiler is the real one, from the user's cache; the first run on a machine
// builds it.
var compiler = sync.OnceValues(func() (*Compiler, error) {
	return Find(context.Background(), Options{Progress: os.Stderr})
})

// The slim program writes the bytes that the complete one of the same version
// wrote for upstream's tests.
func TestOutputIsUpstreams(t *testing.T) {
	c, err := compiler()
	if err != nil {
		t.Fatal(err)
	}
	tests, dir := filepath.Join(c.Module, "tests"), t.TempDir()
	include := []string{"-I", filepath.Join(tests, "include_test"), "-o", dir}
	run := func(args ...string) {
		t.Helper()
		if err := c.Run(t.Context(), dir, nil, append(append([]string(nil), include...), args...)...); err != nil {
			t.Fatal(err)
		}
	}
	schema := filepath.Join(tests, "monster_test.fbs")
	run("--schema", "-b", "--bfbs-comments", "--bfbs-builtins", "--bfbs-filenames", tests, schema)
	run("--go", "--gen-object-api", "--go-import", "github.com/google/flatbuffers/go", schema)
	run("--json", "--raw-binary", schema, "--", filepath.Join(tests, "monsterdata_test.mon"))

	same(t, filepath.Join(dir, "monster_test.bfbs"), filepath.Join(tests, "monster_test.bfbs"))
	example := filepath.Join("MyGame", "Example")
	written, err := filepath.Glob(filepath.Join(dir, example, "*.go"))
	if err != nil || len(written) < 10 {
		t.Fatalf("%d Go files, %v", len(written), err)
	}
	for _, path := range written {
		same(t, path, filepath.Join(tests, example, filepath.Base(path)))
	}
	json, err := os.ReadFile(filepath.Join(dir, "monsterdata_test.json"))
	if err != nil || !strings.Contains(string(json), `name: "MyMonster"`) {
		t.Errorf("JSON of the monster: %v\n%.300s", err, json)
	}
}

func same(t *testing.T, got, want string) {
	t.Helper()
	g, err := os.ReadFile(got)
	if err != nil {
		t.Error(err)
		return
	}
	w, err := os.ReadFile(want)
	if err != nil {
		t.Error(err)
		return
	}
	if string(g) != string(w) {
		t.Errorf("%s is not what upstream has", filepath.Base(got))
	}
}

func TestRefusedSchema(t *testing.T) {
	c, err := compiler()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x.fbs"), []byte("table T {\n  x:int\n}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	err = c.Run(t.Context(), dir, nil, "--schema", "-b", "x.fbs")
	refused := (*Error)(nil)
	if !errors.As(err, &refused) || !strings.HasSuffix(refused.Message, "x.fbs:3: 1: error: expecting: ; instead got: }") || strings.Contains(refused.Message, "\n") {
		t.Errorf("%T %v", err, err)
	}
}
