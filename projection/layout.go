package projection

import (
	"fmt"
	"slices"
	"strings"

	"github.com/verbatim-es/verbatim/internal/lmdbenv"
	"github.com/verbatim-es/verbatim/schema"
)

// readableAs reports what keeps code that was generated for one of two versions
// from reading the other's rows, which it does before and after a switch.
func (v *view) readableAs(other *view) error {
	for _, a := range v.fields {
		for _, b := range other.fields {
			if a.ID == b.ID && (typeName(a.Type) != typeName(b.Type) || a.Optional != b.Optional) {
				return fmt.Errorf("projection: view %q: field %d is %s %s in version %q and %s %s in version %q, so code that reads one can't read the other: give the new field another id, or the view another name",
					v.name, a.ID, a.Name, typeName(a.Type), v.version, b.Name, typeName(b.Type), other.version)
			}
		}
	}
	for _, a := range v.shapes {
		for _, b := range other.shapes {
			if a.part == b.part && a.read != b.read {
				return fmt.Errorf("projection: view %q: %s is %s in version %q and %s in version %q, so code that reads one can't read the other: give what is new another id or name",
					v.name, a.part, a.form, v.version, b.form, other.version)
			}
		}
	}
	return nil
}

// layoutOf describes what stored rows and index entries depend on, with the
// types that fields are of. A stored view is continued only when every line is
// still the same.
func layoutOf(t *schema.Table, shapes []shape) []string {
	lines := []string{tableLine + t.Name}
	for _, f := range t.Fields {
		lines = append(lines, fmt.Sprintf("field %d %s", f.ID, fieldForm(f)))
	}
	lines = append(lines, "primary key "+t.Key.Name)
	for _, index := range t.Indexes {
		names := make([]string, len(index.Fields))
		for i, f := range index.Fields {
			names[i] = f.Name
		}
		line := fmt.Sprintf("index %s on %s", index.Name, strings.Join(names, "+"))
		if index.Unique {
			line += " unique"
		}
		lines = append(lines, line)
	}
	for _, s := range shapes {
		lines = append(lines, s.part+" "+s.form)
	}
	return lines
}

// fieldForm is a field of a table as a layout has it.
func fieldForm(f *schema.Field) string {
	form := f.Name + ":" + typeName(f.Type)
	switch {
	case f.Required:
		form += " required"
	case f.Optional:
		form += " optional"
	case f.Type.Base.Real():
		form += fmt.Sprintf(" = %v", f.DefaultReal)
	case f.Type.Base.Scalar():
		form += fmt.Sprintf(" = %d", f.DefaultInt)
	}
	return form
}

func typeName(t schema.Type) string {
	name := t.Base.String()
	switch {
	case t.Enum != "":
		name = t.Enum + "(" + name + ")"
	case t.Object != "":
		name = t.Object
	case t.Element != schema.None:
		name = t.Element.String()
	}
	switch t.Base {
	case schema.Vector:
		return "[" + name + "]"
	case schema.Array:
		return fmt.Sprintf("[%s:%d]", name, t.Length)
	}
	return name
}

// shape is a part of a type that a row's fields are of: a struct, a field of a
// table, a value of an enum, a member of a union.
type shape struct {
	part string
	// form is what it is like, read as much of that as code which reads rows
	// depends on.
	form, read string
}

// shapesOf returns the shapes of every type that the fields of a table reach, a
// type behind those of the field that reaches it first.
func shapesOf(s *schema.Schema, t *schema.Table) []shape {
	r := reach{schema: s, seen: map[string]bool{t.Name: true}}
	r.fields(t.Fields)
	return r.shapes
}

// reach walks from fields to types, each once.
type reach struct {
	schema *schema.Schema
	seen   map[string]bool
	shapes []shape
}

func (r *reach) fields(fields []*schema.Field) {
	for _, f := range fields {
		r.object(f.Type.Object)
		r.enum(f.Type.Enum)
	}
}

func (r *reach) first(name string) bool {
	first := name != "" && !r.seen[name]
	r.seen[name] = true
	return first
}

func (r *reach) object(name string) {
	if !r.first(name) {
		return
	}
	for _, s := range r.schema.Structs {
		if s.Name == name {
			r.structure(s)
			return
		}
	}
	for _, t := range slices.Concat(r.schema.Tables, r.schema.Included) {
		if t.Name == name {
			r.table(t)
			return
		}
	}
}

func (r *reach) structure(s *schema.Struct) {
	fields := make([]string, len(s.Fields))
	for i, f := range s.Fields {
		fields[i] = fmt.Sprintf("%s:%s at %d", f.Name, typeName(f.Type), f.Offset)
	}
	form := fmt.Sprintf("{%s}, %d bytes", strings.Join(fields, ", "), s.Size)
	r.shapes = append(r.shapes, shape{part: "struct " + s.Name, form: form, read: form})
	r.fields(s.Fields)
}

func (r *reach) table(t *schema.Table) {
	for _, f := range t.Fields {
		r.shapes = append(r.shapes, shape{
			part: fmt.Sprintf("table %s field %d", t.Name, f.ID),
			form: fieldForm(f), read: fmt.Sprint(typeName(f.Type), f.Optional),
		})
	}
	r.fields(t.Fields)
}

func (r *reach) enum(name string) {
	if !r.first(name) {
		return
	}
	for _, e := range r.schema.Enums {
		if e.Name != name {
			continue
		}
		r.shapes = append(r.shapes, shape{part: "enum " + name, form: e.Base.String(), read: e.Base.String()})
		for _, v := range e.Values {
			r.shapes = append(r.shapes, shape{
				part: fmt.Sprintf("enum %s value %d", name, v.Value),
				form: strings.TrimSuffix(v.Name+":"+v.Object, ":"), read: v.Object,
			})
			r.object(v.Object)
		}
	}
}

// sameLayout refuses a version whose table is not what the build in a slot was
// made for. That is compared by the schema that is stored with it.
func (c catalog) sameLayout(txn *lmdbenv.Txn, v *view, slot byte, stored layout) error {
	bfbs, found, err := getKey(txn, c.db, slotKey(schemaPrefix, v.name, slot))
	if err != nil || !found {
		return catalogError(v.name, err)
	}
	parsed, err := schema.Parse(bfbs)
	if err != nil {
		return catalogError(v.name, err)
	}
	table, ok := parsed.Table(stored.Table())
	if !ok || table.Key == nil {
		return catalogError(v.name, fmt.Errorf("its schema has no view %q", stored.Table()))
	}
	lines := layoutOf(table, shapesOf(parsed, table))
	changed := &LayoutError{View: v.name, Version: v.version}
	for _, line := range lines {
		if !slices.Contains(v.layout, line) {
			changed.Gone = append(changed.Gone, line)
		}
	}
	for _, line := range v.layout {
		if !slices.Contains(lines, line) {
			changed.New = append(changed.New, line)
		}
	}
	if len(changed.Gone)+len(changed.New) > 0 {
		return changed
	}
	return nil
}
