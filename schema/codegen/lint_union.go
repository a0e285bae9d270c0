package codegen

import "fmt"

// union reports members that have no Go type of their own.
func (l *linter) union(d *decl) {
	if d.base != "" {
		l.report(d.line, fmt.Sprintf("union %s has an underlying type", d.name), "FlatBuffers for Go has unions of 255 members at most: leave it out")
	}
	before := map[*decl]string{}
	for _, f := range d.fields {
		of, ok := l.find(d, f.typ)
		member := fmt.Sprintf("member %s of union %s", f.name, d.name)
		switch {
		case !ok && f.typ == "string" || ok && of.kind == "struct":
			l.report(f.line, fmt.Sprintf("%s is %s", member, article(kindOf(of))), "only tables can be members: wrap it in one")
		case !ok:
			l.report(f.line, fmt.Sprintf("%s is %s, which is not declared in this file", member, article(f.typ)), "declare it here, or in a file of yours that is included")
		case of.kind != "table":
			l.report(f.line, fmt.Sprintf("%s is %s", member, article(of.kind)), "only tables can be members: wrap it in one")
		case hasRole(of):
			l.report(f.line, fmt.Sprintf("%s is %s of its own", member, roleOf(of)), "declare a table without attribute for what they share")
		case before[of] != "":
			l.report(f.line, fmt.Sprintf("%s is the same table as %s", member, before[of]), "Go tells members apart by their types: declare a table for each")
		default:
			before[of] = f.name
		}
	}
}

func kindOf(d *decl) string {
	if d == nil {
		return "string"
	}
	return d.kind
}

// unionField reports where a union can't be held.
func (l *linter) unionField(d *decl, f *fieldDecl) {
	if f.vector {
		l.report(f.line, fmt.Sprintf("field %s.%s is a vector of unions", d.name, f.name), "make it a vector of tables that hold the union")
	}
}

// unionsBelow reports unions that are used above their declaration. flatc takes
// them for tables, and its message is about ids.
func unionsBelow(src *source) Problems {
	var problems Problems
	for _, d := range src.decls {
		for _, f := range d.fields {
			if of, ok := src.find(d, f.typ); ok && of.kind == "union" && d.kind == "table" && of.file == d.file && of.line > d.line {
				problems = append(problems, Problem{src.file, f.line, fmt.Sprintf("field %s.%s is a union that is declared below it (line %d)", d.name, f.name, of.line),
					"unions come before the tables that hold them, their members may come later"})
			}
		}
	}
	return problems.sorted()
}

// nested reports buffers in a field that are not of a part of this file.
func (l *linter) nested(d *decl, f *fieldDecl) {
	table, ok := f.attrs["nested_flatbuffer"]
	if !ok {
		return
	}
	name := d.name + "." + f.name
	if !f.vector || f.typ != "ubyte" && f.typ != "uint8" {
		l.report(f.line, fmt.Sprintf("field %s holds a nested buffer and is no [ubyte]", name), "declare it as [ubyte]")
		return
	}
	switch of, ok := l.find(d, table); {
	case !ok:
		l.report(f.line, fmt.Sprintf("field %s holds %s, which is not declared in this file", name, article(table)), "declare it here, or in a file of yours that is included")
	case of.kind != "table" || hasRole(of):
		what := of.kind
		if hasRole(of) {
			what = roleOf(of) + " of its own"
		} else {
			what = article(what)
		}
		l.report(f.line, fmt.Sprintf("field %s holds %s, which is %s", name, article(of.name), what), "name a table without attribute, or leave nested_flatbuffer out")
	default:
		l.endless(d, f, of)
	}
}

// aggregatePrefixes are what the names of generated aggregates begin with: ""
// where there is one, their own names where there are several.
func (l *linter) aggregatePrefixes() []string {
	var names []string
	for _, d := range l.decls {
		if roleOf(d) == "an aggregate" {
			names = append(names, d.name)
		}
	}
	if len(names) < 2 {
		return []string{""}
	}
	return names
}
