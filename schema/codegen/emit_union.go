package codegen

import (
	"strings"

	"github.com/verbatim-es/verbatim/schema"
)

// members are the tables that a union may hold, NONE left out.
func members(u *schema.Enum) []schema.EnumValue {
	var values []schema.EnumValue
	for _, v := range u.Values {
		if v.Object != "" {
			values = append(values, v)
		}
	}
	return values
}

// memberName is the part of Go names that stands for a member.
func memberName(name string) string { return strings.ToUpper(name[:1]) + name[1:] }

// declareUnions writes the unions: a sealed interface that the members'
// structs for writing implement, and a number for reading. tables are those
// that are built.
func (e *emitter) declareUnions(tables []*schema.Table) {
	held := map[string]bool{}
	for _, t := range tables {
		for _, f := range t.Fields {
			if shapeOf(f) == choice {
				held[f.Type.Enum] = true
			}
		}
	}
	for _, u := range e.unions {
		name := base(u.Name)
		var pointers []string
		for _, m := range members(u) {
			pointers = append(pointers, "*"+base(m.Object))
		}
		e.doc(u.Doc, "%s is the schema's union %s, as it is written: one of %s, or nil for none.", name, u.Name, strings.Join(pointers, ", "))
		e.p("type %s interface{ is%s() }\n", name, name)
		for _, pointer := range pointers {
			e.p("func (%s) is%s() {}", pointer, name)
		}
		e.p("")
		e.doc(nil, "%sKind tells which member of %s there is.", name, name)
		e.p("type %sKind uint8\n", name)
		e.p("const (")
		e.p("%sKindNONE %sKind = 0", name, name)
		for _, m := range members(u) {
			e.doc(m.Doc, "")
			e.p("%sKind%s %sKind = %d", name, memberName(m.Name), name, m.Value)
		}
		e.p(")\n")
		e.p("// String returns the member's name in the schema, or a number that has none.")
		e.p("func (k %sKind) String() string { return fb.%s(k).String() }\n", name, name)
		if held[u.Name] {
			e.writeUnion(u)
		}
	}
}

// writeUnion writes the function that builds a member. It tells the members
// apart by their types: a call through the interface would have them all
// allocated.
func (e *emitter) writeUnion(u *schema.Enum) {
	name := base(u.Name)
	e.p("func write%s(b *flatbuffers.Builder, v %s) (fb.%s, flatbuffers.UOffsetT) {", name, e.qualifier+name, name)
	e.p("switch v := v.(type) {")
	for _, m := range members(u) {
		e.p("case *%s:", e.qualifier+base(m.Object))
		e.p("if v != nil {")
		e.p("return fb.%s%s, write%s(b, v)", name, m.Name, base(m.Object))
		e.p("}")
	}
	e.p("}")
	e.p("return fb.%sNONE, 0", name)
	e.p("}\n")
}

// unionAccessors writes which member there is, and a method for each.
func (e *emitter) unionAccessors(typ string, f *schema.Field) {
	name, union := camel(f.Name), base(f.Type.Enum)
	e.doc(f.Doc, "%sKind tells which member %s is.", name, name)
	e.p("func (r %s) %sKind() %sKind { return %sKind(r.t.%sType()) }\n", typ, name, union, union, name)
	for _, m := range members(e.unionOf(f.Type.Enum)) {
		method, ref := name+memberName(m.Name), base(m.Object)+"Ref"
		e.doc(m.Doc, "%s is read in place, and false where %s is another member or none.", method, name)
		e.p("func (r %s) %s() (v %s, ok bool) {", typ, method, ref)
		e.p("var table flatbuffers.Table")
		e.p("if r.t.%sType() != fb.%s%s || !r.t.%s(&table) {", name, union, m.Name, name)
		e.p("return v, false")
		e.p("}")
		e.p("v.t.Init(table.Bytes, table.Pos)")
		e.p("return v, true\n}\n")
	}
}

func (u *unit) unionOf(name string) *schema.Enum {
	for _, union := range u.unions {
		if union.Name == name {
			return union
		}
	}
	panic("codegen: no union " + name)
}
