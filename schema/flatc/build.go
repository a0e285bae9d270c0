package flatc

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

//go:embed program/main.cpp
var mainCPP []byte

// sources are the module's files that the program consists of beside main.cpp,
// the slowest to compile first.
var sources = []string{
	"src/idl_parser.cpp",
	"src/flatc.cpp",
	"src/idl_gen_go.cpp",
	"src/binary_annotator.cpp",
	"src/reflection.cpp",
	"src/annotated_binary_text_gen.cpp",
	"src/util.cpp",
	"src/idl_gen_text.cpp",
	"src/code_generators.cpp",
	"src/idl_gen_binary.cpp",
	"src/file_manager.cpp",
}

// edition is which generators a program has, beside Go's, those of binary
// schemas and JSON: the languages that were asked for, sorted.
type edition []string

// files are the module's files of the edition's generators, then the others.
func (e edition) files() []string {
	var files []string
	for _, name := range e {
		files = append(files, languages[name]...)
	}
	return append(files, sources...)
}

// flags tell main.cpp which generators there are.
func (e edition) flags() []string {
	var flags []string
	for _, name := range e {
		flags = append(flags, "-DES_LANGUAGE_"+strings.ToUpper(name))
	}
	return flags
}

// seconds is about how long two idle cores take to build it.
func (e edition) seconds() int { return 20 + 6*len(e) }

func (e edition) String() string {
	if len(e) == 0 {
		return "flatc"
	}
	return "flatc for " + strings.Join(e, ", ")
}

// flags are the same for every file. Without optimization the build is a fifth
// faster, and no schema is large enough to notice.
var flags = []string{"-std=c++17", "-O0", "-w"}

// build returns the path of mod's flatc in cache, compiling it where it is
// missing. The program's name covers everything that it is made of, so it is
// never stale; it appears there by rename, so it is never half-written.
func build(ctx context.Context, mod *module, e edition, cache string, progress io.Writer) (string, error) {
	name := programName(mod, e)
	path := filepath.Join(cache, name)
	if isProgram(path) {
		return path, nil
	}
	cxx, err := findCXX() // before waiting: without one there is nothing to wait for
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("keep flatc in the user's cache: %w", err)
	}
	unlock, err := lock(ctx, path+".lock", func() {
		fmt.Fprintf(progress, "waiting for another process to build %s, version %s…\n", e, mod.number())
	})
	if err != nil {
		return "", err
	}
	defer unlock()
	if isProgram(path) { // built while this process waited
		return path, nil
	}
	start := time.Now()
	fmt.Fprintf(progress, "building %s, version %s, with %s, once, about %d s…\n", e, mod.number(), cxx[0], e.seconds())
	if err := compile(ctx, mod, e, cxx, cache, path); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", fmt.Errorf("build %s, version %s, from %s: %w", e, mod.number(), mod.Dir, err)
	}
	fmt.Fprintf(progress, "built %s in %.1f s\n", path, time.Since(start).Seconds())
	return path, nil
}

// programName is unique for the sources, the flags and the platform.
func programName(mod *module, e edition) string {
	h := sha256.New()
	fmt.Fprintln(h, mod.Path, mod.Version, mod.Sum, e.files(), e.flags(), flags, runtime.GOOS, runtime.GOARCH)
	h.Write(mainCPP)
	name := strings.Join(slices.Concat([]string{"flatc", mod.number()}, e, []string{fmt.Sprintf("%x", h.Sum(nil)[:6])}), "-")
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return name
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// compile builds in a directory of its own below cache, checks that the result
// is what it should be, and moves it to path.
func compile(ctx context.Context, mod *module, e edition, cxx []string, cache, path string) error {
	dir, err := os.MkdirTemp(cache, "build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	entry := filepath.Join(dir, "main.cpp")
	if err := os.WriteFile(entry, mainCPP, 0o644); err != nil {
		return err
	}

	files := []string{entry}
	for _, source := range e.files() {
		file := filepath.Join(mod.Dir, filepath.FromSlash(source))
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the module has no %s: this version of flatbuffers is not supported, use v25.12.19", source)
		}
		files = append(files, file)
	}
	objects, err := compileAll(ctx, mod, slices.Concat(cxx, e.flags()), dir, files)
	if err != nil {
		return err
	}

	program := filepath.Join(dir, "flatc")
	link := slices.Concat(cxx[1:], []string{"-o", program}, objects)
	if err := runTool(ctx, dir, cxx[0], link); err != nil {
		return err
	}
	version, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return fmt.Errorf("the program that was built does not run: %w", err)
	}
	if want := "flatc version " + mod.number(); strings.TrimSpace(string(version)) != want {
		return fmt.Errorf("the program that was built says %q instead of %q", bytes.TrimSpace(version), want)
	}
	return os.Rename(program, path)
}

// compileAll compiles the files, as many at a time as there are cores, and
// returns their objects in the order of files. The first error stops the rest.
func compileAll(ctx context.Context, mod *module, cxx []string, dir string, files []string) ([]string, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	include := []string{"-I", filepath.Join(mod.Dir, "include"), "-I", filepath.Join(mod.Dir, "src"), "-I", mod.Dir}

	objects := make([]string, len(files))
	next := make(chan int, len(files))
	for i := range files {
		objects[i] = filepath.Join(dir, fmt.Sprintf("%02d.o", i))
		next <- i
	}
	close(next)

	var workers sync.WaitGroup
	for range min(runtime.NumCPU(), len(files)) {
		workers.Go(func() {
			for i := range next {
				args := slices.Concat(cxx[1:], flags, include, []string{"-c", files[i], "-o", objects[i]})
				if err := runTool(ctx, dir, cxx[0], args); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	workers.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return objects, nil
}

// runTool runs one command of the build; its error ends in the first lines of
// what the command printed.
func runTool(ctx context.Context, dir, name string, args []string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	lines := strings.SplitAfter(string(bytes.TrimSpace(out)), "\n")
	const shown = 12
	if len(lines) > shown {
		lines = append(lines[:shown], "…")
	}
	return fmt.Errorf("%s: %w\n%s", cmd, err, strings.Join(lines, ""))
}
