package codegen

import "github.com/verbatim-es/verbatim/schema"

// nestedAccessors writes how a table in a buffer of its own is read: typed, and
// as the bytes that can be handed on as they are.
func (e *emitter) nestedAccessors(typ string, f *schema.Field, alias string) {
	name, ref := camel(f.Name), e.elem(f)+"Ref"
	if f.Required {
		e.doc(f.Doc, "%s is read in place.", name)
		e.p("func (r %s) %s() (v %s) {", typ, name, ref)
		e.p("data := r.t.%sBytes()", name)
		e.p("v.t.Init(data, flatbuffers.GetUOffsetT(data))")
		e.p("return v\n}\n")
	} else {
		e.doc(f.Doc, "%s is read in place, and false where it is absent.", name)
		e.p("func (r %s) %s() (v %s, ok bool) {", typ, name, ref)
		e.p("data := r.t.%sBytes()", name)
		e.p("if data == nil {")
		e.p("return v, false")
		e.p("}")
		e.p("v.t.Init(data, flatbuffers.GetUOffsetT(data))")
		e.p("return v, true\n}\n")
	}
	e.doc(nil, "%sBytes is %s as a finished FlatBuffer of %s; it aliases %s.", name, name, f.Type.Object, alias)
	e.p("func (r %s) %sBytes() []byte { return flat.Bytes(r.t.%sBytes()) }\n", typ, name, name)
}

// nestedWriters writes the functions that build tables in buffers of their own.
func (e *emitter) nestedWriters(tables []*schema.Table) {
	done := map[string]bool{}
	for _, t := range tables {
		for _, f := range t.Fields {
			if shapeOf(f) != nested || done[f.Type.Object] {
				continue
			}
			done[f.Type.Object] = true
			name := base(f.Type.Object)
			e.p("func nested%s(b *flatbuffers.Builder, v *%s) flatbuffers.UOffsetT {", name, e.qualifier+name)
			e.p("inner := flat.Get()")
			e.p("return flat.Nested(b, inner, write%s(inner, v))", name)
			e.p("}\n")
		}
	}
}
