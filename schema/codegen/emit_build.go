package codegen

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/verbatim-es/verbatim/schema"
)

// writeTable writes the statements that build table t with builder b, and
// return its offset; value is the Go expression of a field's plain value.
func (e *emitter) writeTable(t *schema.Table, value func(*schema.Field) string) {
	for _, f := range t.Fields {
		if !shapeOf(f).inline() {
			e.writeOffset(f, value(f))
		}
	}
	name := base(t.Name)
	e.p("fb.%sStart(b)", name)
	for _, f := range bySize(t.Fields) {
		add := "fb." + name + "Add" + camel(f.Name)
		v := value(f)
		switch shapeOf(f) {
		case scalar, enum:
			if nullable(f) {
				e.p("if %s != nil {", v)
				e.p("%s(b, %s)", add, e.lowValue(f, "*"+v))
				e.p("}")
			} else {
				e.p("%s(b, %s)", add, e.lowValue(f, v))
			}
		case structure:
			write := "write" + base(f.Type.Object)
			if f.Required {
				e.p("%s(b, %s(b, %s))", add, write, v)
			} else {
				e.p("if %s != nil {", v)
				e.p("%s(b, %s(b, *%s))", add, write, v)
				e.p("}")
			}
		case choice:
			e.p("%sType(b, kind%d)", add, f.ID)
			e.p("%s(b, off%d)", add, f.ID)
		default:
			e.p("%s(b, off%d)", add, f.ID)
		}
	}
	e.p("return fb.%sEnd(b)", name)
}

// lowValue converts a plain value to flatc's type.
func (e *emitter) lowValue(f *schema.Field, v string) string {
	if shapeOf(f) == enum {
		return "fb." + base(f.Type.Enum) + "(" + v + ")"
	}
	return v
}

// bySize orders fields so that the builder pads least: wide ones first.
func bySize(fields []*schema.Field) []*schema.Field {
	width := func(f *schema.Field) int {
		switch shapeOf(f) {
		case scalar, enum:
			return size(f.Type.Base)
		case structure:
			return 8
		}
		return 4
	}
	return slices.SortedStableFunc(slices.Values(fields), func(a, b *schema.Field) int {
		return cmp.Compare(width(b), width(a))
	})
}

// writeOffset writes what is built before the table: off<id> is its offset, 0
// for something optional that is empty.
func (e *emitter) writeOffset(f *schema.Field, v string) {
	var build, present string
	switch s := shapeOf(f); s {
	case text:
		build, present = "b.CreateString("+v+")", v+` != ""`
	case part, nested:
		pointer := v
		if f.Required {
			pointer = "&" + v
		}
		build, present = "write"+base(f.Type.Object)+"(b, "+pointer+")", v+" != nil"
		if s == nested {
			build = "nested" + base(f.Type.Object) + "(b, " + pointer + ")"
		}
	case choice:
		e.p("kind%d, off%d := write%s(b, %s)", f.ID, f.ID, base(f.Type.Enum), v)
		if f.Required {
			e.p("if off%d == 0 {", f.ID)
			e.p("panic(%q)", fmt.Sprintf("%s: %s is required: give one of its members", e.name, v))
			e.p("}")
		}
		return
	case octets:
		build, present = "b.CreateByteVector("+v+")", "len("+v+") > 0"
	case scalars, enums:
		build, present = "flat.Scalars(b, "+v+")", "len("+v+") > 0"
	case texts:
		build, present = "flat.Strings(b, "+v+")", "len("+v+") > 0"
	default: // structures, parts
		build, present = "write"+base(f.Type.Object)+"Vector(b, "+v+")", "len("+v+") > 0"
	}
	if f.Required {
		e.p("off%d := %s", f.ID, build)
		return
	}
	e.p("var off%d flatbuffers.UOffsetT", f.ID)
	e.p("if %s {", present)
	e.p("off%d = %s", f.ID, build)
	e.p("}")
}

// vectorWriters writes the functions that build vectors of objects.
func (e *emitter) vectorWriters(tables []*schema.Table) {
	done := map[string]bool{}
	for _, t := range tables {
		for _, f := range t.Fields {
			s := shapeOf(f)
			if s != structures && s != parts || done[f.Type.Object] {
				continue
			}
			done[f.Type.Object] = true
			name := base(f.Type.Object)
			e.p("func write%sVector(b *flatbuffers.Builder, v []%s) flatbuffers.UOffsetT {", name, e.qualifier+name)
			if s == structures {
				st := e.structOf(f.Type.Object)
				e.p("b.StartVector(%d, len(v), %d)", st.Size, st.Align)
				e.p("for i := len(v) - 1; i >= 0; i-- {")
				e.p("write%s(b, v[i])", name)
				e.p("}")
				e.p("return b.EndVector(len(v))")
			} else {
				e.p("var few [16]flatbuffers.UOffsetT // enough for most without allocating")
				e.p("offsets := few[:0]")
				e.p("for i := range v {")
				e.p("offsets = append(offsets, write%s(b, &v[i]))", name)
				e.p("}")
				e.p("return b.CreateVectorOfTables(offsets)")
			}
			e.p("}\n")
		}
	}
}

// declareWrite writes how the plain struct of a table is written.
func (e *emitter) declareWrite(t *schema.Table) {
	name := base(t.Name)
	e.p("func write%s(b *flatbuffers.Builder, v *%s) flatbuffers.UOffsetT {", name, name)
	e.writeTable(t, func(f *schema.Field) string { return "v." + camel(f.Name) })
	e.p("}\n")
}
