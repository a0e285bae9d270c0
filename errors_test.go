package verbatim_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Whoever keeps a store alive finds every error that this module exports in
// docs/OPERATIONS.md, with what to do about it, and none that there is not.
func TestOperationsNamesEveryError(t *testing.T) {
	t.Parallel()
	exported := exportedErrors(t)
	if len(exported) < 30 {
		t.Fatalf("only %d errors were found: %v", len(exported), exported)
	}
	_, section, _ := strings.Cut(read(t, "docs/OPERATIONS.md"), "## Errors that a program gets\n")
	section, _, _ = strings.Cut(section, "\n## ")
	named := make(map[string]bool)
	for _, cell := range regexp.MustCompile(`(?m)^\| (.*?) \|`).FindAllStringSubmatch(section, -1) {
		pkg := ""
		for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell[1], -1) {
			if p, _, qualified := strings.Cut(name[1], "."); qualified {
				pkg = p
				named[name[1]] = true
			} else {
				named[pkg+"."+name[1]] = true
			}
		}
	}
	for name := range exported {
		if !named[name] {
			t.Errorf("docs/OPERATIONS.md says nothing of %s", name)
		}
	}
	for name := range named {
		if !exported[name] {
			t.Errorf("docs/OPERATIONS.md names %s, which there is not", name)
		}
	}
}

// exportedErrors are the variables named Err… and the types with a method Error
// of all public packages, as package.Name.
func exportedErrors(t *testing.T) map[string]bool {
	found := make(map[string]bool)
	skip := regexp.MustCompile(`^(internal|testdata|cmd|bench|tools|examples|interop|docs|bin|\..+)$`)
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && skip.MatchString(entry.Name()):
			return filepath.SkipDir
		case entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, declaration := range file.Decls {
			for _, name := range errorsOf(declaration) {
				if ast.IsExported(name) {
					found[file.Name.Name+"."+name] = true
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func errorsOf(declaration ast.Decl) (names []string) {
	switch d := declaration.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil || d.Name.Name != "Error" {
			return nil
		}
		receiver := d.Recv.List[0].Type
		if pointer, ok := receiver.(*ast.StarExpr); ok {
			receiver = pointer.X
		}
		if name, ok := receiver.(*ast.Ident); ok {
			names = append(names, name.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			values, ok := spec.(*ast.ValueSpec)
			if !ok || d.Tok != token.VAR {
				continue
			}
			for _, name := range values.Names {
				if strings.HasPrefix(name.Name, "Err") {
					names = append(names, name.Name)
				}
			}
		}
	}
	return names
}
