// Command generate writes the packages next to it from their schemas, with the
// flatc that go.mod selects. It is run by go generate in those packages:
//
//	generate es            from schema/es.fbs
//	generate reflection    from the flatbuffers module's reflection.fbs
//
// The working directory is the package's. Users' schemas are compiled by
// es generate; these two come before it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/verbatim-es/verbatim/schema/flatc"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: generate es|reflection")
		os.Exit(2)
	}
	if err := generate(ctx, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func generate(ctx context.Context, name string) error {
	compiler, err := flatc.Find(ctx, flatc.Options{Progress: os.Stderr})
	if err != nil {
		return err
	}
	var source string
	var strict []string
	switch name {
	case "es":
		source, strict = filepath.Join("..", "..", "..", "schema", "es.fbs"), []string{"--require-explicit-ids"}
	case "reflection": // upstream's ids are implicit
		source = filepath.Join(compiler.Module, "reflection", "reflection.fbs")
	default:
		return fmt.Errorf("no schema %q: es or reflection", name)
	}

	// A copy in a directory of its own: the binary schema names its files
	// relative to it, whatever machine this is.
	dir, err := os.MkdirTemp("", "verbatim-fb-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	text, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	file := name + ".fbs"
	if err := os.WriteFile(filepath.Join(dir, file), text, 0o644); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"--go", "--gen-onefile", "--go-namespace", name},
		{"--schema", "-b", "--bfbs-builtins", "--bfbs-filenames", "."},
	} {
		if err := compiler.Run(ctx, dir, os.Stderr, append(append(args, strict...), file)...); err != nil {
			return err
		}
	}

	code, err := os.ReadFile(filepath.Join(dir, name+"_generated.go"))
	if err != nil {
		return err
	}
	if code, err = flatc.TidyGo(code); err != nil {
		return err
	}
	bfbs, err := os.ReadFile(filepath.Join(dir, name+".bfbs"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(name+"_generated.go", code, 0o644); err != nil {
		return err
	}
	return os.WriteFile(name+".bfbs", bfbs, 0o644)
}
