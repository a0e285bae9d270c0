package codegen

import "github.com/verbatim-es/verbatim/schema"

// accessors writes the methods that read table t in place, on type typ whose
// field t is flatc's table. alias names what the results live as long as.
func (e *emitter) accessors(typ string, t *schema.Table, alias string) {
	for _, f := range t.Fields {
		name := camel(f.Name)
		switch shapeOf(f) {
		case scalar, enum:
			e.scalarAccessor(typ, f)
		case text:
			if f.Required {
				e.doc(f.Doc, "%s aliases %s.", name, alias)
			} else {
				e.doc(f.Doc, "%s aliases %s; \"\" where it is absent.", name, alias)
			}
			e.p("func (r %s) %s() string { return flat.String(r.t.%s()) }\n", typ, name, name)
		case octets:
			e.doc(f.Doc, "%s aliases %s.", name, alias)
			e.p("func (r %s) %s() []byte { return flat.Bytes(r.t.%sBytes()) }\n", typ, name, name)
		case structure:
			e.objectAccessor(typ, f, e.elem(f), "a copy", "fb."+base(f.Type.Object), func(low string) string {
				return "read" + base(f.Type.Object) + "(&" + low + ")"
			})
		case choice:
			e.unionAccessors(typ, f)
		case nested:
			e.nestedAccessors(typ, f, alias)
		case part:
			ref := e.elem(f) + "Ref"
			e.objectAccessor(typ, f, ref, "read in place", ref, func(low string) string { return low })
		default:
			e.vectorAccessors(typ, f, alias)
		}
	}
}

func (e *emitter) scalarAccessor(typ string, f *schema.Field) {
	name := camel(f.Name)
	if !nullable(f) {
		e.doc(f.Doc, "%s reads in place.", name)
		value := "r.t." + name + "()"
		if shapeOf(f) == enum {
			value = e.elem(f) + "(" + value + ")"
		}
		e.p("func (r %s) %s() %s { return %s }\n", typ, name, e.elem(f), value)
		return
	}
	// flatc's accessor returns a pointer to a variable of its own, which
	// allocates.
	e.doc(f.Doc, "%s reads in place, and is false where it is absent.", name)
	e.p("func (r %s) %s() (%s, bool) {", typ, name, e.elem(f))
	e.p("table := r.t.Table()")
	e.p("at := flatbuffers.UOffsetT(table.Offset(%d))", f.Offset)
	e.p("if at == 0 {")
	if f.Type.Base == schema.Bool {
		e.p("return false, false")
	} else {
		e.p("return 0, false")
	}
	e.p("}")
	value := "table.Get" + camel(goScalar(f.Type.Base)) + "(at + table.Pos)"
	if shapeOf(f) == enum {
		value = e.elem(f) + "(" + value + ")"
	}
	e.p("return %s, true\n}\n", value)
}

// objectAccessor reads a nested struct or table: low is a variable of type
// variable that flatc's accessor fills, result makes the value of it.
func (e *emitter) objectAccessor(typ string, f *schema.Field, value, how, variable string, result func(low string) string) {
	name, target := camel(f.Name), "&v"
	if shapeOf(f) == part {
		target = "&v.t"
	}
	if f.Required {
		e.doc(f.Doc, "%s is %s.", name, how)
		e.p("func (r %s) %s() %s {", typ, name, value)
		e.p("var v %s", variable)
		e.p("r.t.%s(%s)", name, target)
		e.p("return %s\n}\n", result("v"))
		return
	}
	e.doc(f.Doc, "%s is %s, and false where it is absent.", name, how)
	e.p("func (r %s) %s() (%s, bool) {", typ, name, value)
	e.p("var v %s", variable)
	e.p("if r.t.%s(%s) == nil {", name, target)
	e.p("return %s{}, false", value)
	e.p("}")
	e.p("return %s, true\n}\n", result("v"))
}

// vectorAccessors writes a length, an element by index, and all in order.
func (e *emitter) vectorAccessors(typ string, f *schema.Field, alias string) {
	name, elem, value := camel(f.Name), e.elem(f), ""
	says := name + "At is the element at i, from 0."
	switch shapeOf(f) {
	case scalars:
		value = "return r.t." + name + "(i)"
	case enums:
		value = "return " + elem + "(r.t." + name + "(i))"
	case texts:
		says = name + "At is the element at i, from 0; it aliases " + alias + "."
		value = "return flat.String(r.t." + name + "(i))"
	case structures:
		value = "var v fb." + base(f.Type.Object) + "\nr.t." + name + "(&v, i)\nreturn read" + base(f.Type.Object) + "(&v)"
	case parts:
		elem += "Ref"
		says = name + "At is the element at i, from 0, read in place."
		value = "var v " + elem + "\nr.t." + name + "(&v.t, i)\nreturn v"
	}
	e.doc(nil, "%sLen is the number of elements of %s.", name, name)
	e.p("func (r %s) %sLen() int { return r.t.%sLength() }\n", typ, name, name)
	e.doc(nil, "%s\nIt panics where there is none.", says)
	e.p("func (r %s) %sAt(i int) %s {", typ, name, elem)
	e.p("if uint(i) >= uint(r.%sLen()) {", name)
	e.p("panic(\"%s.%s: index out of range\")", typ, name)
	e.p("}")
	e.p("%s\n}\n", value)
	e.doc(f.Doc, "%s yields the elements in order.", name)
	e.p("func (r %s) %s() iter.Seq[%s] {", typ, name, elem)
	e.p("return func(yield func(%s) bool) {", elem)
	e.p("for i := range r.%sLen() {", name)
	e.p("if !yield(r.%sAt(i)) {\nreturn\n}", name)
	e.p("}\n}\n}\n")
}

// declarePlan writes what bytes of a table are verified by before they are read.
func (e *emitter) declarePlan(t *schema.Table) {
	e.p("var plan%s = sync.OnceValues(func() (*verify.Plan, error) { return verify.CompileBFBS(bfbs, %q) })\n", base(t.Name), t.Name)
}
