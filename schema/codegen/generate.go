package codegen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/flatc"
)

// Options for [Generate].
type Options struct {
	// Out is the directory below which the packages are written; "" is each
	// schema's own.
	Out string

	// Warn is told what flatc warns of; nil is silence.
	Warn io.Writer
}

// File is one file of generated output.
type File struct {
	Path    string
	Content []byte // nil: there must be no such file

	// Of a binary schema that stands for its package; not of those in the history.
	source      *source
	fingerprint uint64
}

// unit is one schema on its way to becoming packages.
type unit struct {
	file         string // its base name
	source       *source
	name         string // of the package
	namespace    string
	importPath   string
	flatcVersion string
	bfbs         []byte // without comments: what is embedded and fingerprinted
	fingerprint  uint64
	low          []File // flatc's Go, by file name

	aggregates                     []*aggregate
	parts, events, commands, views []*schema.Table
	structs                        []*schema.Struct
	enums, unions                  []*schema.Enum
}

// Generate compiles the schemas at paths and returns the files of their
// packages, sorted by path; it writes nothing outside a temporary directory.
// See the package's documentation for what is in them.
//
// What is wrong with the schemas is the error: [Problems] where the generator
// refuses something, a [*flatc.Error] where flatc does, several joined.
func Generate(ctx context.Context, compiler *flatc.Compiler, o Options, paths ...string) ([]File, error) {
	var files []File
	var errs []error
	from := map[string]string{}
	for _, path := range paths {
		made, err := generate(ctx, compiler, o, path)
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			errs = append(errs, err)
			continue
		}
		for _, f := range made {
			if other, ok := from[f.Path]; ok && other != path {
				errs = append(errs, Problems{{File: path, Message: fmt.Sprintf("generates the same package as %s (%s)", other, filepath.Dir(f.Path)), Hint: "one namespace, one file"}})
				break
			}
			from[f.Path] = path
		}
		files = append(files, made...)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	slices.SortFunc(files, func(a, b File) int { return bytes.Compare([]byte(a.Path), []byte(b.Path)) })
	return files, nil
}

func generate(ctx context.Context, compiler *flatc.Compiler, o Options, path string) ([]File, error) {
	dir, err := stagingDir()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	stage, err := newStage(filepath.Join(dir, "schema"), path)
	if err != nil {
		return nil, err
	}
	u, err := compile(ctx, compiler, o, stage, dir)
	if err != nil {
		return nil, err
	}
	out := o.Out
	if out == "" {
		out = filepath.Dir(path)
	}
	out = filepath.Join(out, u.name)
	if u.importPath, err = importPath(ctx, out); err != nil {
		return nil, err
	}
	return u.emit(out)
}

// compile runs flatc and builds the model of what it made.
func compile(ctx context.Context, compiler *flatc.Compiler, o Options, stage *stage, dir string) (*unit, error) {
	bfbs, err := stage.binary(ctx, compiler, o.Warn, filepath.Join(dir, "plain"))
	if err != nil {
		return nil, err
	}
	if problems := lint(stage.main); problems != nil {
		return nil, problems
	}
	commented, err := stage.binary(ctx, compiler, nil, filepath.Join(dir, "commented"), "--bfbs-comments")
	if err != nil {
		return nil, err
	}
	low, err := lowLevel(ctx, compiler, stage, filepath.Join(dir, "go"))
	if err != nil {
		return nil, err
	}
	plain, err := schema.Parse(bfbs)
	if err != nil {
		return nil, stage.main.inModelError(err)
	}
	model, err := schema.Parse(commented)
	if err != nil {
		return nil, stage.main.inModelError(err)
	}
	if problems := lintModel(stage.main, model); problems != nil {
		return nil, problems
	}
	u := newUnit(stage.main, model)
	u.file, u.flatcVersion = stage.name, compiler.Version
	u.bfbs, u.fingerprint, u.low = bfbs, plain.Fingerprint, low
	return u, nil
}

// lowLevel returns flatc's Go: fb.go of the schema, and a file for each included
// one that it uses something of. All of it is one package, whatever namespaces
// there are: flatc's packages could not import each other in a circle.
func lowLevel(ctx context.Context, compiler *flatc.Compiler, stage *stage, dir string) ([]File, error) {
	var files []File
	add := func(name, goName string) error {
		// Each in a directory of its own: their base names may be the same.
		out := filepath.Join(dir, goName)
		if err := stage.runOn(ctx, compiler, nil, name, "--go", "--gen-onefile", "--go-namespace", "fb", "-o", out); err != nil {
			return err
		}
		code, err := os.ReadFile(filepath.Join(out, trimExt(path.Base(name))+"_generated.go"))
		if err != nil {
			return err
		}
		if code, err = flatc.TidyGo(code); err != nil {
			return stage.main.inDuplicates(err)
		}
		files = append(files, File{Path: goName, Content: code})
		return nil
	}
	if err := add(stage.name, "fb.go"); err != nil {
		return nil, err
	}
	for _, included := range stage.includes {
		if !slices.ContainsFunc(stage.main.shared, func(d *decl) bool { return d.file == included.source.file }) {
			continue
		}
		if err := add(included.name, "fb_"+strings.ReplaceAll(trimExt(included.name), "/", "_")+".go"); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// newUnit sorts the model by what things are for, each kind in the order of the
// file, which is the order a reader of the schema expects.
func newUnit(src *source, model *schema.Schema) *unit {
	u := &unit{source: src, namespace: src.namespace, name: base(src.namespace)}
	for _, d := range slices.Concat(src.decls, src.shared) {
		switch d.kind {
		case "table":
			t := tableOf(model, d.fullName())
			if t == nil {
				continue
			}
			adopt(t, d, src)
			switch t.Role {
			case schema.RoleAggregate:
				u.aggregates = append(u.aggregates, &aggregate{state: t})
			case schema.RoleEvent:
				u.events = append(u.events, t)
			case schema.RoleCommand:
				u.commands = append(u.commands, t)
			case schema.RoleView:
				u.views = append(u.views, t)
			default:
				u.parts = append(u.parts, t)
			}
		case "struct":
			for _, s := range model.Structs {
				if s.Name == d.fullName() {
					u.structs = append(u.structs, s)
				}
			}
		case "enum", "union":
			for _, e := range model.Enums {
				if e.Name != d.fullName() {
					continue
				}
				if e.Union {
					u.unions = append(u.unions, e)
				} else {
					u.enums = append(u.enums, e)
				}
			}
		}
	}
	u.sortAggregates()
	return u
}

// tableOf returns the table of that name, of whatever file; nil if there is none.
func tableOf(model *schema.Schema, name string) *schema.Table {
	for _, t := range slices.Concat(model.Tables, model.Included) {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// adopt makes a table of the model, which is the generator's own copy, what the
// emitter works on: a union is one field, without the tag that flatc puts before
// it, and bytes that are a nested buffer name their table.
func adopt(t *schema.Table, d *decl, src *source) {
	t.Fields = slices.DeleteFunc(t.Fields, func(f *schema.Field) bool { return f.Type.Base == schema.UType })
	for _, f := range t.Fields {
		for _, written := range d.fields {
			if table, ok := written.attrs["nested_flatbuffer"]; ok && written.name == f.Name {
				of, _ := src.find(d, table) // lint has looked
				f.Type.Object = of.fullName()
			}
		}
	}
}

// emit returns the files of the packages in directory out.
func (u *unit) emit(out string) ([]File, error) {
	typed, err := u.emitPackage()
	if err != nil {
		return nil, err
	}
	binary := filepath.Join(out, u.name+".bfbs")
	files := []File{
		{Path: binary, Content: u.bfbs, source: u.source, fingerprint: u.fingerprint},
		{Path: historyPath(binary, u.fingerprint), Content: u.bfbs},
		{Path: filepath.Join(out, u.name+".es.go"), Content: typed},
	}
	for _, low := range u.low {
		files = append(files, File{Path: filepath.Join(out, "internal", "fb", low.Path), Content: low.Content})
	}
	// What was made of a file that is no longer included goes.
	made, err := matching(filepath.Join(out, "internal", "fb"), "fb_", ".go")
	if err != nil {
		return nil, err
	}
	for _, old := range made {
		if !slices.ContainsFunc(files, func(f File) bool { return f.Path == old }) {
			files = append(files, File{Path: old})
		}
	}
	// Without views, what an earlier version of the schema left behind goes.
	var views []byte
	if len(u.views) > 0 {
		if views, err = u.emitViews(); err != nil {
			return nil, err
		}
	}
	return append(files, File{Path: filepath.Join(out, u.name+"view", u.name+"view.es.go"), Content: views}), nil
}

func trimExt(name string) string { return name[:len(name)-len(filepath.Ext(name))] }
