package flatc

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

// DuplicateError says that flatc's Go declares something twice, which does not
// compile. flatc itself does not notice.
type DuplicateError struct {
	Names []string // "Function" or "Type.Method", in the order of the code
}

func (e *DuplicateError) Error() string {
	return "flatc's Go declares twice: " + strings.Join(e.Names, ", ")
}

// TidyGo prepares the Go that flatc wrote into one file for a package that
// people build: mutators and imports that are not used go, since they break
// the promise that bytes do not change and the build; comments get Go's form,
// and all of it gofmt's. What it takes from the packages of other namespaces is
// taken from the package itself, where all namespaces are to be. What is
// declared twice is a [*DuplicateError].
func TidyGo(code []byte) ([]byte, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "", code, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("flatc wrote Go that does not parse: %w", err)
	}
	var cuts []span
	var duplicates []string
	seen := map[string]bool{}
	used := map[string]bool{}
	foreign := namespaces(file)
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			if mutates(f) {
				cuts = append(cuts, spanOf(fset, f.Doc, f))
				continue
			}
			name := declaredName(f)
			if seen[name] {
				duplicates = append(duplicates, name)
			}
			seen[name] = true
		}
		ast.Inspect(d, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				x, ok := s.X.(*ast.Ident)
				if ok && foreign[x.Name] {
					cuts = append(cuts, span{fset.Position(x.Pos()).Offset, fset.Position(s.Sel.Pos()).Offset})
				} else if ok {
					used[x.Name] = true
				}
			}
			return true
		})
	}
	if duplicates != nil {
		return nil, &DuplicateError{Names: duplicates}
	}
	for _, i := range file.Imports {
		name, _ := strconv.Unquote(i.Path.Value)
		if i.Name != nil {
			name = i.Name.Name
		}
		if !used[name] {
			cuts = append(cuts, spanOf(fset, nil, i))
		}
	}
	return format.Source(goComments(cutOut(code, cuts)))
}

// namespaces returns the names of the imports that are other namespaces.
func namespaces(file *ast.File) map[string]bool {
	names := map[string]bool{}
	for _, i := range file.Imports {
		// flatc gives them, and the runtime, a name.
		if i.Name != nil && !strings.Contains(i.Path.Value, "google/flatbuffers") {
			names[i.Name.Name] = true
		}
	}
	return names
}

// declaredName is "Type.Method" or "Function".
func declaredName(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	typ := f.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if id, ok := typ.(*ast.Ident); ok {
		return id.Name + "." + f.Name.Name
	}
	return f.Name.Name
}

// mutates tells a mutator from the accessor of a field that is called so.
func mutates(f *ast.FuncDecl) bool {
	if f.Recv == nil || !strings.HasPrefix(f.Name.Name, "Mutate") {
		return false
	}
	found := false
	ast.Inspect(f.Body, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && strings.HasPrefix(s.Sel.Name, "Mutate") {
			found = true
		}
		return !found
	})
	return found
}

// span is a range of bytes.
type span struct{ from, to int }

func spanOf(fset *token.FileSet, doc *ast.CommentGroup, n ast.Node) span {
	s := span{fset.Position(n.Pos()).Offset, fset.Position(n.End()).Offset}
	if doc != nil {
		s.from = fset.Position(doc.Pos()).Offset
	}
	return s
}

func cutOut(code []byte, cuts []span) []byte {
	slices.SortFunc(cuts, func(a, b span) int { return a.from - b.from })
	var out bytes.Buffer
	at := 0
	for _, c := range cuts {
		out.Write(code[at:c.from])
		at = c.to
	}
	out.Write(code[at:])
	return out.Bytes()
}

// goComments turns flatc's /// comments into Go's.
func goComments(code []byte) []byte {
	var out bytes.Buffer
	for line := range bytes.Lines(code) {
		trimmed := bytes.TrimLeft(line, "\t ")
		if rest, ok := bytes.CutPrefix(trimmed, []byte("///")); ok {
			out.Write(line[:len(line)-len(trimmed)])
			out.WriteString("//")
			line = rest
		}
		out.Write(line)
	}
	return out.Bytes()
}
