package codegen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/verbatim-es/verbatim/schema/flatc"
)

// GenerateClients returns what flatc itself writes for other languages, which
// the compiler must have been found with: for each, the types of the schemas at
// paths, of all that they include, and of es.fbs, in directory <language> below
// o.Out (each schema's own by default). Nothing is written outside a temporary
// directory.
//
// What such code reads must have been verified, like Go's: stores and the bus
// have done so with whatever they hand out. Errors are those of [Generate];
// nothing is refused on account of Go.
func GenerateClients(ctx context.Context, compiler *flatc.Compiler, o Options, languages []string, paths ...string) ([]File, error) {
	var files []File
	var errs []error
	for _, path := range paths {
		made, err := generateClients(ctx, compiler, o, languages, path)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		errs = append(errs, err)
		files = append(files, made...)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	slices.SortFunc(files, func(a, b File) int { return bytes.Compare([]byte(a.Path), []byte(b.Path)) })
	// What one schema no longer has may be another's now.
	files = slices.DeleteFunc(files, func(f File) bool {
		return f.Content == nil && slices.ContainsFunc(files, func(other File) bool { return other.Path == f.Path && other.Content != nil })
	})
	// What several schemas include comes out of each of them.
	files = slices.CompactFunc(files, func(a, b File) bool { return a.Path == b.Path && bytes.Equal(a.Content, b.Content) })
	for i := range len(files) - 1 {
		if files[i].Path == files[i+1].Path {
			return nil, fmt.Errorf("the schemas need different files called %s: give them different directories", files[i].Path)
		}
	}
	return files, nil
}

func generateClients(ctx context.Context, compiler *flatc.Compiler, o Options, languages []string, path string) ([]File, error) {
	dir, err := stagingDir()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	stage, err := newStage(filepath.Join(dir, "schema"), path)
	if err != nil {
		return nil, err
	}
	out := o.Out
	if out == "" {
		out = filepath.Dir(path)
	}
	var files []File
	for i, language := range languages {
		if !slices.Contains(compiler.Languages, language) {
			return nil, fmt.Errorf("this flatc cannot write %q: find one with that language", language)
		}
		warn := o.Warn
		if i > 0 {
			warn = nil // it says the same for each language
		}
		target := filepath.Join(dir, language)
		if err := os.Mkdir(target, 0o755); err != nil {
			return nil, err
		}
		if err := stage.run(ctx, compiler, warn, "--"+language, "--gen-all", "-o", target); err != nil {
			return nil, err
		}
		made, err := filesIn(target, filepath.Join(out, language))
		if err != nil {
			return nil, err
		}
		list, err := manifest(filepath.Join(out, language), stage.name, made)
		if err != nil {
			return nil, err
		}
		gone, err := obsolete(list)
		if err != nil {
			return nil, err
		}
		files = slices.Concat(files, made, gone, []File{list})
	}
	return files, nil
}

// filesIn returns the files below dir as files below out.
func filesIn(dir, out string) ([]File, error) {
	var files []File
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		below, err := filepath.Rel(dir, path)
		if content == nil {
			content = []byte{} // an empty file, not the absence of one
		}
		files = append(files, File{Path: filepath.Join(out, below), Content: content})
		return err
	})
	return files, err
}

// stagingDir makes a temporary directory and returns its path without symbolic
// links, as flatc reports it.
func stagingDir() (string, error) {
	dir, err := os.MkdirTemp("", "es-generate-")
	if err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(dir)
	return real, err
}
