package codegen

import (
	"fmt"
	"slices"

	"github.com/verbatim-es/verbatim/schema"
)

// emitViews writes the package of views.
func (u *unit) emitViews() ([]byte, error) {
	e := &emitter{unit: u, qualifier: u.name + ".", isView: true}
	e.doc(nil, "This line fails to compile where this file and the module's version do not fit.")
	e.p("const _ = flat.GeneratedForAPI%dElseRunEsGenerate\n", schema.API)
	for _, t := range u.views {
		e.declareWriting(t)
		e.declareTx(t)
		e.declareProjector(t)
		e.declareLookup(t)
	}
	e.rowParts()
	e.textHelper()
	doc := fmt.Sprintf("Package %sview is the views of namespace %s of %s: the projectors\n"+
		"that write them, and their lookups. It is apart from package %s because views\n"+
		"live in LMDB, which needs cgo.", u.name, u.namespace, u.file, u.name)
	return e.goFile(doc, map[string]string{
		"fmt": "", "iter": "", "slices": "",
		"github.com/google/flatbuffers/go":            "flatbuffers",
		"github.com/verbatim-es/verbatim/event":       "",
		"github.com/verbatim-es/verbatim/projection":  "",
		"github.com/verbatim-es/verbatim/schema/flat": "",
		u.importPath:                  "",
		u.importPath + "/internal/fb": "",
	})
}

// declareRow writes how a view's stored row is read: in the package without
// cgo, since rows travel.
func (e *emitter) declareRow(t *schema.Table) {
	name := base(t.Name)
	e.doc(t.Doc, "%sRow is a row of view %s, read in place. It and all that comes from it are\nvalid as long as the bytes it was read from.", name, t.View)
	e.p("type %sRow struct{ t fb.%s }\n", name, name)
	e.doc(nil, "As%s returns a row from anywhere, a size-prefixed FlatBuffer, once it is\nverified. What is wrong with it is a [*verify.Error].", name)
	e.p("func As%s(row []byte) (%sRow, error) {", name, name)
	e.p("plan, err := plan%s()", name)
	e.p("if err == nil {")
	e.p("err = plan.VerifySizePrefixed(row)")
	e.p("}")
	e.p("if err != nil {")
	e.p("return %sRow{}, err", name)
	e.p("}")
	e.p("return Trusted%s(row), nil", name)
	e.p("}\n")
	e.declarePlan(t)
	e.doc(nil, "Trusted%s returns a row that a projection engine in this process has stored.", name)
	e.p("func Trusted%s(row []byte) (r %sRow) {", name, name)
	e.p("r.t.Init(row, flatbuffers.SizeUint32+flatbuffers.GetUOffsetT(row[flatbuffers.SizeUint32:]))")
	e.p("return r\n}\n")
	e.doc(nil, "Bytes is the row as stored, a size-prefixed FlatBuffer.")
	e.p("func (r %sRow) Bytes() []byte { return flat.Bytes(r.t.Table().Bytes) }\n", name)
	e.accessors(name+"Row", t, "the row")
}

// declareWriting writes a view's row as a plain struct, and how it is packed.
func (e *emitter) declareWriting(t *schema.Table) {
	name := base(t.Name)
	e.doc(t.Doc, "%s is a row of view %s, as it is written.", name, t.View)
	e.plainStruct(name, t.Fields)
	e.declareWrite(t)
	e.plainTable(t, name, e.row(t))
}

// row is the type that a view's stored rows are read as.
func (e *emitter) row(t *schema.Table) string { return e.qualifier + base(t.Name) + "Row" }

// trusted is the function that makes one.
func (e *emitter) trusted(t *schema.Table) string { return e.qualifier + "Trusted" + base(t.Name) }

// rowParts writes how what rows are made of is written and taken apart: here,
// where flatc's layer is reached for writing.
func (e *emitter) rowParts() {
	tables, unions := e.partsOf(e.views)
	for _, t := range tables {
		name := base(t.Name)
		e.p("func write%s(b *flatbuffers.Builder, v *%s%s) flatbuffers.UOffsetT {", name, e.qualifier, name)
		e.writeTable(t, func(f *schema.Field) string { return "v." + camel(f.Name) })
		e.p("}\n")
		e.plainTable(t, e.qualifier+name, e.qualifier+name+"Ref")
	}
	for _, u := range unions {
		e.writeUnion(u)
	}
	written := slices.Concat(e.views, tables)
	e.structWriters(written)
	e.vectorWriters(written)
	e.nestedWriters(written)
}

func (e *emitter) declareTx(t *schema.Table) {
	name, view := base(t.Name), camel(t.View)
	key := t.Key
	param := e.viewParameter(key)
	keyed := param + " " + e.elem(key)
	e.doc(nil, "%sTx writes view %s for one event. It is valid while the projector's method\nruns.", view, t.View)
	e.p("type %sTx struct{ *projection.Tx }\n", view)
	e.doc(nil, "Get returns the row of that key, with what the transaction has changed so far.")
	e.p("func (tx %sTx) Get(%s) (%s, bool, error) {", view, keyed, e.row(t))
	e.p("row, ok, err := tx.Tx.Get(%s)", e.columnValue(key, param))
	e.p("if !ok || err != nil {")
	e.p("return %s{}, false, err", e.row(t))
	e.p("}")
	e.p("return %s(row), true, nil", e.trusted(t))
	e.p("}\n")
	e.doc(nil, "Put stores the row, in the place of another of the same key.")
	e.p("func (tx %sTx) Put(row %s) error {", view, name)
	e.p("b := flat.Get()")
	e.p("b.FinishSizePrefixed(write%s(b, &row))", name)
	e.p("err := tx.Tx.Put(b.FinishedBytes())")
	e.p("flat.Put(b)")
	e.p("return err")
	e.p("}\n")
	e.doc(nil, "Update changes the row of that key, which must exist. Strings and slices that\nchange leaves alone are still those of the stored row: valid until it returns.")
	e.p("func (tx %sTx) Update(%s, change func(*%s)) error {", view, keyed, name)
	e.p("row, ok, err := tx.Get(%s)", param)
	e.p("if err != nil {")
	e.p("return err")
	e.p("}")
	e.p("if !ok {")
	e.p("return &event.UnknownError{Kind: %q, Name: fmt.Sprint(%s)}", "row of view "+t.View, param)
	e.p("}")
	e.p("v := plain%s(row)", name)
	e.p("change(&v)")
	e.p("return tx.Put(v)")
	e.p("}\n")
	e.doc(nil, "Delete removes the row of that key, if there is one.")
	e.p("func (tx %sTx) Delete(%s) error { return tx.Tx.Delete(%s) }\n", view, keyed, e.columnValue(key, param))
}

func (e *emitter) declareProjector(t *schema.Table) {
	view := camel(t.View)
	e.doc(nil, "%sProjector keeps view %s: one method for each event of %s, called in the\norder of the log, exactly once for each version of the view. A method depends on\nnothing but its arguments. An error parks the view at that event.", view, t.View, t.Namespace)
	e.p("type %sProjector interface {", view)
	for _, ev := range e.events {
		e.p("On%s(tx %sTx, at event.Event, e %s.%s) error", base(ev.Name), view, e.name, base(ev.Name))
	}
	e.p("}\n")
	e.doc(nil, "%s defines view %s, version %s, kept by p.", view, t.View, t.Version)
	e.p("func %s(p %sProjector) projection.Definition {", view, view)
	e.p("return projection.Definition{")
	e.p("Table: %q,", t.Name)
	e.p("Schema: %s.Schema,", e.name)
	e.p("Types: []string{")
	for _, ev := range e.events {
		e.p("%s.%sType,", e.name, base(ev.Name))
	}
	e.p("},")
	e.p("Apply: func(tx *projection.Tx, ev event.Event) error {")
	e.p("switch ev.Type() {")
	for _, ev := range e.events {
		name := base(ev.Name)
		e.p("case %s.%sType:", e.name, name)
		e.p("e, _ := %s.As%s(ev)", e.name, name)
		e.p("return p.On%s(%sTx{tx}, ev, e)", name, view)
	}
	e.p("}")
	e.p("return &event.UnknownError{Kind: \"event\", Name: ev.Type()}")
	e.p("},")
	e.p("}")
	e.p("}\n")
}

// viewParameter names the parameter for a view's field, apart from the package
// that the methods refer to.
func (e *emitter) viewParameter(f *schema.Field) string {
	if name := parameter(f.Name); name != e.name {
		return name
	}
	return parameter(f.Name) + "_"
}
