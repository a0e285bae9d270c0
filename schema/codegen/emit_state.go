package codegen

import "github.com/verbatim-es/verbatim/schema"

// declarePacking writes how a state is packed, read back and copied.
func (e *emitter) declarePacking(a *aggregate) {
	t := a.state
	name := base(t.Name)
	packed := "packed" + name
	e.p("func pack%s(s *%s) []byte {", name, name)
	e.p("b := flat.Get()")
	e.p("return flat.Finish(b, write%s(b, s))", name)
	e.p("}\n")
	e.declareWrite(t)
	e.declarePlan(t)
	e.p("func unpack%s(data []byte) (%s, error) {", name, name)
	e.p("plan, err := plan%s()", name)
	e.p("if err == nil {")
	e.p("err = plan.Verify(data)")
	e.p("}")
	e.p("if err != nil {")
	e.p("return %s{}, err", name)
	e.p("}")
	e.p("var r %s", packed)
	e.p("r.t.Init(data, flatbuffers.GetUOffsetT(data))")
	e.p("return plain%s(r), nil", name)
	e.p("}\n")
	e.doc(nil, "%s is a packed %s, read in place.", packed, name)
	e.p("type %s struct{ t fb.%s }\n", packed, name)
	e.accessors(packed, t, "the packed state")
	e.plainTable(t, name, packed)
	if e.shares(t, nil) {
		e.copyTable(t)
	}
}

// stateParts writes the same for what states are made of.
func (e *emitter) stateParts() {
	var states []*schema.Table
	for _, a := range e.aggregates {
		states = append(states, a.state)
	}
	tables, unions := e.partsOf(states)
	for _, t := range tables {
		e.plainTable(t, base(t.Name), base(t.Name)+"Ref")
		if e.shares(t, nil) {
			e.copyTable(t)
		}
	}
	for _, u := range unions {
		e.copyUnion(u)
	}
}

// partsOf returns the tables and unions that the roots hold, at any depth.
func (e *emitter) partsOf(roots []*schema.Table) (tables []*schema.Table, unions []*schema.Enum) {
	inUse := map[string]bool{}
	var use func(t *schema.Table)
	add := func(name string) {
		if !inUse[name] {
			inUse[name] = true
			use(e.partOf(name))
		}
	}
	use = func(t *schema.Table) {
		for _, f := range t.Fields {
			switch shapeOf(f) {
			case part, parts, nested:
				add(f.Type.Object)
			case choice:
				inUse[f.Type.Enum] = true
				for _, m := range members(e.unionOf(f.Type.Enum)) {
					add(m.Object)
				}
			}
		}
	}
	for _, t := range roots {
		use(t)
	}
	for _, t := range e.parts {
		if inUse[t.Name] {
			tables = append(tables, t)
		}
	}
	for _, u := range e.unions {
		if inUse[u.Name] {
			unions = append(unions, u)
		}
	}
	return tables, unions
}

func (u *unit) partOf(name string) *schema.Table {
	for _, t := range u.parts {
		if t.Name == name {
			return t
		}
	}
	panic("codegen: no table " + name)
}

// plainTable writes the function that makes a plain struct, of type to, of what
// type from reads.
func (e *emitter) plainTable(t *schema.Table, to, from string) {
	e.p("func plain%s(r %s) (v %s) {", base(t.Name), from, to)
	for _, f := range t.Fields {
		e.plainField(f)
	}
	e.p("return v\n}\n")
}

func (e *emitter) plainField(f *schema.Field) {
	field := camel(f.Name)
	switch s := shapeOf(f); {
	case s == parts:
		e.p("if n := r.%sLen(); n > 0 {", field)
		e.p("v.%s = make(%s, n)", field, e.plain(f))
		e.p("for i := range n {")
		e.p("v.%s[i] = plain%s(r.%sAt(i))", field, base(f.Type.Object), field)
		e.p("}\n}")
	case s > octets:
		e.p("v.%s = slices.Collect(r.%s())", field, field)
	case s == choice:
		union := e.elem(f)
		e.p("switch r.%sKind() {", field)
		for _, m := range members(e.unionOf(f.Type.Enum)) {
			e.p("case %sKind%s:", union, memberName(m.Name))
			e.p("if ref, ok := r.%s%s(); ok {", field, memberName(m.Name))
			e.p("x := plain%s(ref)", base(m.Object))
			e.p("v.%s = &x", field)
			e.p("}")
		}
		e.p("}")
	case (s == part || s == nested) && f.Required:
		e.p("v.%s = plain%s(r.%s())", field, base(f.Type.Object), field)
	case s == part || s == nested:
		e.p("if ref, ok := r.%s(); ok {", field)
		e.p("x := plain%s(ref)", base(f.Type.Object))
		e.p("v.%s = &x", field)
		e.p("}")
	case nullable(f), s == structure && !f.Required:
		e.p("if x, ok := r.%s(); ok {", field)
		e.p("v.%s = &x", field)
		e.p("}")
	default:
		e.p("v.%s = r.%s()", field, field)
	}
}

// shares tells whether two plain structs of the table share something that can
// change, after one was assigned to the other. seen are the tables that were
// asked about already.
func (e *emitter) shares(t *schema.Table, seen []string) bool {
	for _, name := range seen {
		if name == t.Name {
			return false
		}
	}
	seen = append(seen, t.Name)
	for _, f := range t.Fields {
		switch s := shapeOf(f); {
		case s >= octets, s == choice, nullable(f), s.object() && !f.Required:
			return true
		case (s == part || s == nested) && e.shares(e.partOf(f.Type.Object), seen):
			return true
		}
	}
	return false
}

// copyTable writes the function that copies a plain struct and all it holds.
func (e *emitter) copyTable(t *schema.Table) {
	name := base(t.Name)
	e.p("func copy%s(v *%s) %s {", name, name, name)
	e.p("c := *v")
	for _, f := range t.Fields {
		e.copyField(f)
	}
	e.p("return c\n}\n")
}

func (e *emitter) copyField(f *schema.Field) {
	field := camel(f.Name)
	deep := func(from string) string { return "*" + from }
	s := shapeOf(f)
	if (s == part || s == nested || s == parts) && e.shares(e.partOf(f.Type.Object), nil) {
		deep = func(from string) string { return "copy" + base(f.Type.Object) + "(" + from + ")" }
	}
	switch {
	case s == choice:
		e.p("c.%s = copy%s(v.%s)", field, base(f.Type.Enum), field)
	case s >= octets:
		e.p("c.%s = slices.Clone(v.%s)", field, field)
		if s == parts && deep("") != "*" {
			e.p("for i := range c.%s {", field)
			e.p("c.%s[i] = %s", field, deep("&v."+field+"[i]"))
			e.p("}")
		}
	case nullable(f), s.object() && !f.Required:
		e.p("if v.%s != nil {", field)
		e.p("x := %s", deep("v."+field))
		e.p("c.%s = &x", field)
		e.p("}")
	case (s == part || s == nested) && deep("") != "*":
		e.p("c.%s = %s", field, deep("&v."+field))
	}
}

// copyUnion writes the function that copies whichever member there is.
func (e *emitter) copyUnion(u *schema.Enum) {
	name := base(u.Name)
	e.p("func copy%s(v %s) %s {", name, name, name)
	e.p("switch v := v.(type) {")
	for _, m := range members(u) {
		e.p("case *%s:", base(m.Object))
		e.p("if v != nil {")
		if e.shares(e.partOf(m.Object), nil) {
			e.p("c := copy%s(v)", base(m.Object))
		} else {
			e.p("c := *v")
		}
		e.p("return &c")
		e.p("}")
	}
	e.p("}")
	e.p("return nil")
	e.p("}\n")
}
