package codegen

import (
	"fmt"
	"slices"
	"strings"

	"github.com/verbatim-es/verbatim/schema"
)

// shape is how a field is written and read in Go.
type shape int

const (
	scalar shape = iota
	enum
	text
	structure
	part   // a nested table
	choice // a union
	nested // a table in a buffer of its own, held as [ubyte]
	octets // [ubyte]
	scalars
	enums
	texts
	structures
	parts
)

func shapeOf(f *schema.Field) shape {
	t := f.Type
	switch {
	case t.Base == schema.String:
		return text
	case t.Base == schema.Obj && t.Struct:
		return structure
	case t.Base == schema.Obj:
		return part
	case t.Base == schema.Union:
		return choice
	case t.Base == schema.Vector:
		switch {
		case t.Element == schema.UByte && t.Object != "": // see unit.adopt
			return nested
		case t.Element == schema.String:
			return texts
		case t.Element == schema.Obj && t.Struct:
			return structures
		case t.Element == schema.Obj:
			return parts
		case t.Enum != "":
			return enums
		case t.Element == schema.UByte:
			return octets
		}
		return scalars
	case t.Enum != "":
		return enum
	}
	return scalar
}

// nullable tells whether a scalar is declared "= null": absent, or any value.
func nullable(f *schema.Field) bool { return f.Optional && f.Type.Base.Scalar() }

// inline tells whether a value lies in its table rather than behind an offset.
func (s shape) inline() bool { return s == scalar || s == enum || s == structure }

// object tells whether a value is a struct or table, and a pointer to it where
// it may be absent.
func (s shape) object() bool { return s == structure || s == part || s == nested }

// emitter writes one Go file of a package.
type emitter struct {
	writer
	*unit
	qualifier  string // of the types that package account declares: "" or "account."
	isView     bool
	absentText bool // an optional string is looked up
}

// elem is the Go type of one value: of the field, or of its vector's elements.
func (e *emitter) elem(f *schema.Field) string {
	switch t := f.Type; shapeOf(f) {
	case scalar:
		return goScalar(t.Base)
	case scalars:
		return goScalar(t.Element)
	case octets:
		return "byte"
	case text, texts:
		return "string"
	case enum, enums, choice:
		return e.qualifier + base(t.Enum)
	default:
		return e.qualifier + base(t.Object)
	}
}

// plain is the Go type of the field in structs for writing, in states and rows.
func (e *emitter) plain(f *schema.Field) string {
	switch s := shapeOf(f); {
	case s >= octets:
		return "[]" + e.elem(f)
	case nullable(f), s.object() && !f.Required:
		return "*" + e.elem(f)
	}
	return e.elem(f)
}

// note is what a struct's field needs said beside the schema's own words.
func note(f *schema.Field) string {
	switch s := shapeOf(f); {
	case nullable(f), (s.object() || s == choice) && !f.Required:
		return "nil: absent"
	case s == choice:
		return "required: nil panics where it is written"
	case f.Type.Base.Real() && f.DefaultReal != 0:
		return fmt.Sprintf("reads %v where it was never written", f.DefaultReal)
	case f.Type.Base == schema.Bool && f.DefaultInt != 0:
		return "reads true where it was never written"
	case f.Type.Base.Scalar() && f.DefaultInt != 0:
		return fmt.Sprintf("reads %d where it was never written", f.DefaultInt)
	}
	return ""
}

// plainStruct writes a plain Go struct of a table's or struct's fields.
func (e *emitter) plainStruct(name string, fields []*schema.Field) {
	e.p("type %s struct {", name)
	for _, f := range fields {
		e.doc(f.Doc, "")
		if n := note(f); n != "" {
			e.p("%s %s // %s", camel(f.Name), e.plain(f), n)
		} else {
			e.p("%s %s", camel(f.Name), e.plain(f))
		}
	}
	e.p("}\n")
}

// declareEnums writes the enums as Go types of their own.
func (e *emitter) declareEnums() {
	for _, en := range e.enums {
		name := base(en.Name)
		e.doc(en.Doc, "%s is the schema's enum %s.", name, en.Name)
		e.p("type %s %s\n", name, goScalar(en.Base))
		e.p("const (")
		for _, v := range en.Values {
			e.doc(v.Doc, "")
			e.p("%s%s %s = %s", name, v.Name, name, enumNumber(en.Base, v.Value))
		}
		e.p(")\n")
		e.p("// String returns the name in the schema, or a number that has none.")
		e.p("func (v %s) String() string { return fb.%s(v).String() }\n", name, name)
	}
}

// enumNumber writes a value, which the model holds in 64 signed bits.
func enumNumber(b schema.BaseType, v int64) string {
	if b == schema.ULong {
		return fmt.Sprint(uint64(v))
	}
	return fmt.Sprint(v)
}

// declareStructs writes the structs as plain Go.
func (e *emitter) declareStructs() {
	for _, s := range e.structs {
		e.doc(s.Doc, "%s is the schema's struct %s, a plain value.", base(s.Name), s.Name)
		// All fields of a struct are there: plain values, whatever they are.
		e.p("type %s struct {", base(s.Name))
		for _, f := range s.Fields {
			e.doc(f.Doc, "")
			e.p("%s %s", camel(f.Name), e.elem(f))
		}
		e.p("}\n")
	}
}

// structReaders writes what reads the structs that the tables hold.
func (e *emitter) structReaders(tables []*schema.Table) {
	for _, s := range e.structsOf(tables) {
		name := base(s.Name)
		e.p("func read%s(r *fb.%s) %s {", name, name, name)
		for _, f := range s.Fields {
			if f.Type.Struct {
				e.p("var off%d fb.%s", f.ID, base(f.Type.Object))
			}
		}
		e.p("return %s{", name)
		for _, f := range s.Fields {
			e.p("%s: %s,", camel(f.Name), e.readStructField(f))
		}
		e.p("}\n}\n")
	}
}

// structWriters writes what writes the structs that the tables hold.
func (e *emitter) structWriters(tables []*schema.Table) {
	for _, s := range e.structsOf(tables) {
		name := base(s.Name)
		e.p("func write%s(b *flatbuffers.Builder, v %s%s) flatbuffers.UOffsetT {", name, e.qualifier, name)
		e.p("return fb.Create%s(b%s)", name, e.structArguments(s, "v."))
		e.p("}\n")
	}
}

// structsOf returns the structs that the tables hold, those inside of others
// too.
func (e *emitter) structsOf(tables []*schema.Table) (structs []*schema.Struct) {
	inUse := map[string]bool{}
	var use func(f *schema.Field)
	use = func(f *schema.Field) {
		if !f.Type.Struct || inUse[f.Type.Object] {
			return
		}
		inUse[f.Type.Object] = true
		for _, inner := range e.structOf(f.Type.Object).Fields {
			use(inner)
		}
	}
	for _, t := range tables {
		for _, f := range t.Fields {
			use(f)
		}
	}
	for _, s := range e.structs {
		if inUse[s.Name] {
			structs = append(structs, s)
		}
	}
	return structs
}

func (e *emitter) readStructField(f *schema.Field) string {
	name := camel(f.Name)
	switch shapeOf(f) {
	case structure:
		return fmt.Sprintf("read%s(r.%s(&off%d))", base(f.Type.Object), name, f.ID)
	case enum:
		return fmt.Sprintf("%s(r.%s())", e.elem(f), name)
	}
	return fmt.Sprintf("r.%s()", name)
}

// structArguments are the flattened fields, as flatc's constructor takes them.
func (e *emitter) structArguments(s *schema.Struct, prefix string) string {
	var args strings.Builder
	for _, f := range s.Fields {
		switch name := prefix + camel(f.Name); shapeOf(f) {
		case structure:
			args.WriteString(e.structArguments(e.structOf(f.Type.Object), name+"."))
		case enum:
			fmt.Fprintf(&args, ", fb.%s(%s)", base(f.Type.Enum), name)
		default:
			args.WriteString(", " + name)
		}
	}
	return args.String()
}

func (u *unit) structOf(name string) *schema.Struct {
	i := slices.IndexFunc(u.structs, func(s *schema.Struct) bool { return s.Name == name })
	return u.structs[i]
}
