package codegen

import (
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/verbatim-es/verbatim/schema"
)

// goFile returns the finished file: header, package clause and the imports that
// are used before what was written. imports maps paths to names, "" for a
// path's own and "_" for one that is always wanted.
func (e *emitter) goFile(doc string, imports map[string]string) ([]byte, error) {
	body := e.String()
	used, err := usedPackages(body)
	if err != nil {
		return nil, err
	}
	var w writer
	w.p(header, e.file, schema.API, e.flatcVersion)
	w.doc(nil, "%s", doc)
	name := e.name
	if e.isView {
		name += "view"
	}
	w.p("package %s\n", name)
	w.p("import (")
	for _, std := range []bool{true, false} { // the standard library, then the rest
		for _, p := range slices.Sorted(maps.Keys(imports)) {
			name := imports[p]
			if std == strings.Contains(strings.Split(p, "/")[0], ".") || name != "_" && !used[orOwn(name, p)] {
				continue
			}
			w.p("%s %q", name, p)
		}
		w.p("")
	}
	w.p(")\n")
	w.WriteString(body)
	return w.source()
}

func orOwn(name, p string) string {
	if name != "" {
		return name
	}
	return path.Base(p)
}

// usedPackages returns the names that nothing in the text declares: packages,
// and what the language declares.
func usedPackages(body string) (map[string]bool, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+body, 0)
	if err != nil {
		return nil, fmt.Errorf("generated Go does not parse, which is a fault of es generate, please report it with the schema: %w", err)
	}
	used := map[string]bool{}
	for _, id := range file.Unresolved {
		used[id.Name] = true
	}
	return used, nil
}
