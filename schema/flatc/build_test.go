package flatc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// fakeCXX returns a C++ compiler that takes no time: every object is an empty
// file, and the program says version. It notes in log what it was asked for.
func fakeCXX(t *testing.T, version string) (cxx, log string) {
	t.Helper()
	dir := t.TempDir()
	cxx, log = filepath.Join(dir, "fake-c++"), filepath.Join(dir, "log")
	script := `#!/bin/sh
what=link
for arg; do
	case "$previous" in -o) out=$arg ;; esac
	case "$arg" in -c) what=compile ;; esac
	previous=$arg
done
echo $what >> ` + log + `
if [ $what = link ]; then
	printf '#!/bin/sh\necho "flatc version ` + version + `"\n' > $out
	chmod +x $out
else
	: > $out
fi
`
	if err := os.WriteFile(cxx, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return cxx, log
}

// calls counts what the fake compiler was asked for.
func calls(t *testing.T, log string) map[string]int {
	t.Helper()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	n := map[string]int{}
	for _, line := range strings.Fields(string(text)) {
		n[line]++
	}
	return n
}

// finderProcess makes this test's program a process that calls Find once, in
// the cache directory that the variable names.
const finderProcess = "VERBATIM_TEST_FIND_IN"

func TestMain(m *testing.M) {
	cache := os.Getenv(finderProcess)
	if cache == "" {
		os.Exit(m.Run())
	}
	c, err := Find(context.Background(), Options{CacheDir: cache, Progress: os.Stderr})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Print(c.Path)
}

func TestOneOfManyBuilds(t *testing.T) {
	cxx, log := fakeCXX(t, "25.12.19")
	t.Setenv("CXX", cxx)
	cache := t.TempDir()
	t.Setenv(finderProcess, cache)

	// Processes and goroutines, as a parallel make would.
	const each = 4
	paths := make([]string, 2*each)
	var all sync.WaitGroup
	for i := range each {
		all.Go(func() {
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			out, err := cmd.Output()
			if err != nil {
				t.Errorf("process: %v", err)
			}
			paths[i] = string(out)
		})
		all.Go(func() {
			c, err := Find(t.Context(), Options{CacheDir: cache})
			if err != nil {
				t.Error(err)
				return
			}
			paths[each+i] = c.Path
		})
	}
	all.Wait()

	if n := calls(t, log); n["link"] != 1 || n["compile"] != len(sources)+1 {
		t.Errorf("compiled %d files and linked %d times, want %d and 1", n["compile"], n["link"], len(sources)+1)
	}
	if slices.Sort(paths); paths[0] != paths[len(paths)-1] || filepath.Dir(paths[0]) != cache {
		t.Errorf("paths %q", paths)
	}
	left, err := filepath.Glob(filepath.Join(cache, "build-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q %v", left, err)
	}
}

func TestProgressIsSaidOnce(t *testing.T) {
	cxx, _ := fakeCXX(t, "25.12.19")
	t.Setenv("CXX", cxx)
	cache := t.TempDir()
	for i, want := range []string{"building flatc, version 25.12.19, with " + cxx + ", once, about 20 s…\nbuilt ", ""} {
		var said bytes.Buffer
		if _, err := Find(t.Context(), Options{CacheDir: cache, Progress: &said}); err != nil {
			t.Fatal(err)
		}
		if got := said.String(); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("call %d said %q, want %q…", i, got, want)
		}
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	cxx, _ := fakeCXX(t, "25.12.19")
	t.Setenv("CXX", cxx)
	cache := t.TempDir()
	mod, err := selectModule(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := lock(t.Context(), filepath.Join(cache, programName(mod, nil)+".lock"), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	said := writerFunc(func(p []byte) (int, error) {
		if strings.HasPrefix(string(p), "waiting for another process") {
			cancel()
		}
		return len(p), nil
	})
	if _, err := Find(ctx, Options{CacheDir: cache, Progress: said}); !errors.Is(err, ctx.Err()) || err == nil {
		t.Errorf("found %v while another process builds", err)
	}
	unlock()
	if _, err := Find(t.Context(), Options{CacheDir: cache}); err != nil {
		t.Errorf("after the other process: %v", err)
	}
}

func TestFailedBuildLeavesNothing(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken-c++")
	if err := os.WriteFile(broken, []byte("#!/bin/sh\necho 'fatal error: no such thing' >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	wrong, _ := fakeCXX(t, "1.2.3")
	for cxx, want := range map[string]string{
		broken: "fatal error: no such thing",
		wrong:  `says "flatc version 1.2.3" instead of "flatc version 25.12.19"`,
	} {
		t.Setenv("CXX", cxx)
		cache := t.TempDir()
		_, err := Find(t.Context(), Options{CacheDir: cache})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want …%s…", err, want)
		}
		entries, _ := os.ReadDir(cache)
		for _, e := range entries {
			if !strings.HasSuffix(e.Name(), ".lock") {
				t.Errorf("left %s behind", e.Name())
			}
		}
	}
}

func TestWithoutCompiler(t *testing.T) {
	goProgram, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(goProgram, filepath.Join(bin, "go")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	t.Setenv("GOROOT", goRoot(t, goProgram))
	for cxx, want := range map[string]string{
		"":             "tried c++, g++, clang++",
		"no-such-c++ ": "tried CXX=no-such-c++",
	} {
		t.Setenv("CXX", cxx)
		_, err := Find(t.Context(), Options{CacheDir: t.TempDir()})
		none := (*NoCompilerError)(nil)
		if !errors.As(err, &none) {
			t.Fatalf("CXX=%q: %v", cxx, err)
		}
		for _, want := range []string{want, "install", "CXX"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("CXX=%q: %q does not say %q", cxx, err, want)
			}
		}
	}
}

func goRoot(t *testing.T, goProgram string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), goProgram, "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func TestModuleSelection(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ gomod, want string }{
		"nothing required": {"module x\ngo 1.26.0\n", "which version of github.com/google/flatbuffers does this module select?"},
		"replaced by directory": {
			"module x\ngo 1.26.0\nrequire github.com/google/flatbuffers v25.12.19+incompatible\nreplace github.com/google/flatbuffers => ../flatbuffers\n",
			"is replaced by the directory ../flatbuffers",
		},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(c.gomod), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Find(t.Context(), Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want …%s…", name, err, c.want)
		}
	}
}

// A module whose bytes are not what go.sum says is never compiled.
func TestGoSumIsHeeded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for file, text := range map[string]string{
		"go.mod": "module x\ngo 1.26.0\nrequire github.com/google/flatbuffers v25.12.19+incompatible\n",
		"go.sum": "github.com/google/flatbuffers v25.12.19+incompatible h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n" +
			"github.com/google/flatbuffers v25.12.19+incompatible/go.mod h1:1AeVuKshWv4vARoZatz6mlQ0JxURH0Kv5+zNeJKJCa8=\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	_, err := Find(t.Context(), Options{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "checksum mismatch") {
		t.Errorf("found %v", err)
	}
}

func TestNamesDifferByWhatIsBuilt(t *testing.T) {
	t.Parallel()
	a := module{Path: modulePath, Version: "v25.12.19+incompatible", Sum: "h1:a"}
	b := a
	b.Sum = "h1:b"
	if programName(&a, nil) == programName(&b, nil) {
		t.Error("other sources have the same program")
	}
	if name := programName(&a, nil); !strings.HasPrefix(name, "flatc-25.12.19-") {
		t.Errorf("name %q", name)
	}
	if name := programName(&a, edition{"python", "ts"}); !strings.HasPrefix(name, "flatc-25.12.19-python-ts-") {
		t.Errorf("name %q", name)
	}
}

// Each set of languages is built once, whatever the order they are named in.
func TestLanguagesAreAProgramOfTheirOwn(t *testing.T) {
	cxx, log := fakeCXX(t, "25.12.19")
	t.Setenv("CXX", cxx)
	cache := t.TempDir()
	var said bytes.Buffer
	paths := map[string]bool{}
	for _, languages := range [][]string{{"ts", "python"}, {"python", "ts", "python"}, nil, {"ts"}} {
		c, err := Find(t.Context(), Options{CacheDir: cache, Languages: languages, Progress: &said})
		if err != nil {
			t.Fatal(err)
		}
		paths[c.Path] = true
	}
	if n := calls(t, log); len(paths) != 3 || n["link"] != 3 || n["compile"] != 3*(len(sources)+1)+4 {
		t.Errorf("%d programs of %d files, linked %d times", len(paths), n["compile"], n["link"])
	}
	if !strings.Contains(said.String(), "building flatc for python, ts, version 25.12.19, with "+cxx+", once, about 32 s…") {
		t.Errorf("said %q", &said)
	}
	if _, err := Find(t.Context(), Options{CacheDir: cache, Languages: []string{"cobol"}}); err == nil || !strings.Contains(err.Error(), `"cobol"`) || !strings.Contains(err.Error(), "python") {
		t.Errorf("an unknown language: %v", err)
	}
}
