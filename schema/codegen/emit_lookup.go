package codegen

import (
	"fmt"
	"strings"

	"github.com/verbatim-es/verbatim/schema"
)

// declareLookup writes a view's typed lookups in a snapshot.
func (e *emitter) declareLookup(t *schema.Table) {
	view := camel(t.View)
	e.doc(nil, "%sView reads view %s in a snapshot, and is valid as long as that.", view, t.View)
	e.p("type %sView struct {\nview *projection.View\nerr error\n}\n", view)
	e.doc(nil, "%sIn returns the view as of the snapshot. Where the snapshot's engine does not\nkeep it, every lookup returns the error that says so.", view)
	e.p("func %sIn(s *projection.Snapshot) %sView {", view, view)
	e.p("view, err := s.View(%q)", t.View)
	e.p("return %sView{view, err}", view)
	e.p("}\n")

	key := e.viewParameter(t.Key)
	e.doc(nil, "Get returns the row of that key.")
	e.p("func (v %sView) Get(%s %s) (%s, bool, error) {", view, key, e.elem(t.Key), e.row(t))
	e.p("if v.err != nil {")
	e.p("return %s{}, false, v.err", e.row(t))
	e.p("}")
	e.p("row, ok, err := v.view.Get(%s)", e.columnValue(t.Key, key))
	e.p("if !ok || err != nil {")
	e.p("return %s{}, false, err", e.row(t))
	e.p("}")
	e.p("return %s(row), true, nil", e.trusted(t))
	e.p("}\n")

	e.doc(nil, "Scan yields the rows of a range, in its order. The sequence ends with at most\none error.")
	e.p("func (v %sView) Scan(r projection.Range) iter.Seq2[%s, error] {", view, e.row(t))
	e.p("return func(yield func(%s, error) bool) {", e.row(t))
	e.p("if v.err != nil {")
	e.p("yield(%s{}, v.err)", e.row(t))
	e.p("return")
	e.p("}")
	e.p("for row, err := range v.view.Scan(r) {")
	e.p("if err != nil {")
	e.p("yield(%s{}, err)", e.row(t))
	e.p("return")
	e.p("}")
	e.p("if !yield(%s(row), nil) {\nreturn\n}", e.trusted(t))
	e.p("}\n}\n}\n")

	e.doc(nil, "Rows is Scan for those who need cursors, see [projection.Range]: each row's bytes\nare for %s.", e.trusted(t))
	e.p("func (v %sView) Rows(r projection.Range) iter.Seq2[projection.Row, error] {", view)
	e.p("if v.err != nil {")
	e.p("return func(yield func(projection.Row, error) bool) { yield(projection.Row{}, v.err) }")
	e.p("}")
	e.p("return v.view.Rows(r)")
	e.p("}\n")

	e.doc(nil, "All yields every row in the order of the primary key.")
	e.p("func (v %sView) All(options ...projection.RangeOption) iter.Seq2[%s, error] {", view, e.row(t))
	e.p("return v.Scan(projection.Range{}.With(options...))")
	e.p("}\n")
	for _, index := range t.Indexes {
		e.declareIndex(t, index)
	}
}

// declareIndex writes the lookups by an index: of equal values, of a range of
// the last column's, and of the one row where the index is unique.
func (e *emitter) declareIndex(t *schema.Table, index schema.Index) {
	view := camel(t.View)
	by := "By"
	var params, names, values, words []string
	for _, f := range index.Fields {
		by += camel(f.Name)
		param := e.viewParameter(f)
		params = append(params, param+" "+e.elem(f))
		names = append(names, param)
		values = append(values, e.columnValue(f, param))
		words = append(words, f.Name)
	}
	e.doc(nil, "%s yields the rows of that %s, in the order of the primary key.", by, strings.Join(words, " and "))
	e.p("func (v %sView) %s(%s, options ...projection.RangeOption) iter.Seq2[%s, error] {", view, by, strings.Join(params, ", "), e.row(t))
	e.p("return v.Scan(projection.Range{Index: %q, Equal: []projection.Value{%s}}.With(options...))", index.Name, strings.Join(values, ", "))
	e.p("}\n")
	e.declareRange(t, index, by, params, values)
	if !index.Unique {
		return
	}
	e.doc(nil, "One%s returns the row of that %s. There is one at most, unless it is absent.", by, strings.Join(words, " and "))
	e.p("func (v %sView) One%s(%s) (%s, bool, error) {", view, by, strings.Join(params, ", "), e.row(t))
	e.p("for row, err := range v.%s(%s) {", by, strings.Join(names, ", "))
	e.p("return row, err == nil, err")
	e.p("}")
	e.p("return %s{}, false, nil", e.row(t))
	e.p("}\n")
}

func (e *emitter) declareRange(t *schema.Table, index schema.Index, by string, params, values []string) {
	last := len(index.Fields) - 1
	f := index.Fields[last]
	from, to, of := "from", "to", ""
	for _, fixed := range index.Fields[:last] {
		of += fixed.Name + " and "
		if name := e.viewParameter(fixed); name == from || name == to {
			from, to = "from_", "to_"
		}
	}
	if of != "" {
		of = "of that " + strings.TrimSuffix(of, " and ") + ", "
	}
	e.doc(nil, "%sRange yields the rows %swhose %s is at least %s and below %s,\nin its order. Open ends are for Scan.", by, of, f.Name, from, to)
	bounds := fmt.Sprintf("%s, %s %s", from, to, e.elem(f))
	e.p("func (v %sView) %sRange(%s, options ...projection.RangeOption) iter.Seq2[%s, error] {",
		camel(t.View), by, strings.Join(append(params[:last:last], bounds), ", "), e.row(t))
	e.p("return v.Scan(projection.Range{Index: %q, From: []projection.Value{%s}, To: []projection.Value{%s}}.With(options...))", index.Name,
		strings.Join(append(values[:last:last], e.columnValue(f, from)), ", "),
		strings.Join(append(values[:last:last], e.columnValue(f, to)), ", "))
	e.p("}\n")
}

// columnValue converts a plain value to the projection's.
func (e *emitter) columnValue(f *schema.Field, v string) string {
	switch b := f.Type.Base; {
	case b == schema.String && !f.Required:
		e.absentText = true
		return fmt.Sprintf("textOrAbsent(%s)", v)
	case b == schema.String:
		return fmt.Sprintf("projection.StringValue(%s)", v)
	case b == schema.Bool:
		return fmt.Sprintf("projection.BoolValue(%s)", v)
	case b.Signed():
		return fmt.Sprintf("projection.IntValue(%s)", converted("int64", e.elem(f), v))
	case b.Real():
		return fmt.Sprintf("projection.FloatValue(%s)", converted("float64", e.elem(f), v))
	default:
		return fmt.Sprintf("projection.UintValue(%s)", converted("uint64", e.elem(f), v))
	}
}

func converted(to, from, v string) string {
	if to == from {
		return v
	}
	return to + "(" + v + ")"
}

// textHelper writes what columnValue needs for optional strings.
func (e *emitter) textHelper() {
	if !e.absentText {
		return
	}
	e.doc(nil, "textOrAbsent is the value of an optional string: an empty one is not stored.")
	e.p("func textOrAbsent(s string) projection.Value {")
	e.p("if s == \"\" {")
	e.p("return projection.Value{}")
	e.p("}")
	e.p("return projection.StringValue(s)")
	e.p("}\n")
}
