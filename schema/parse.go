package schema

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/verbatim-es/verbatim/internal/fb/reflection"
	"github.com/verbatim-es/verbatim/schema/verify"
)

// Parse returns the model of a .bfbs, whoever it comes from: nothing in it is
// read before it is verified, and time and memory are bounded by its length,
// which may be up to [verify.MaxBFBS]. bfbs is copied.
//
// What is not a binary schema, or not one that this module supports, is an
// error that says where. What is one but makes no sense to the framework, like
// an event that belongs to no aggregate, is a [*FindingsError] with everything
// that is wrong.
func Parse(bfbs []byte) (*Schema, error) {
	own := bytes.Clone(bfbs)
	opened, err := verify.Open(own)
	if err != nil {
		return nil, err
	}
	r := reader{root: opened.Root()}
	tables := r.read()
	r.roles(tables)
	s := &Schema{
		BFBS:    own,
		File:    r.file,
		Structs: r.structs,
		Enums:   r.enums,
		digest:  digest(opened.Root()),
		tables:  make(map[string]*Table),
		plans:   make(map[string]*verify.Plan),
	}
	s.Fingerprint = fingerprintOf(s.digest)
	plans, refused := opened.CompileAll()
	for _, t := range tables {
		if err := refused[t.Name]; err != nil {
			r.report(t.Name, "", "%v", err)
		}
		if !r.declared(t) {
			if t.Namespace != "es" {
				s.Included = append(s.Included, t.Table)
			}
			continue
		}
		s.Tables = append(s.Tables, t.Table)
		s.tables[t.Name], s.plans[t.Name] = t.Table, plans[t.Name]
	}
	if len(r.findings) > 0 {
		slices.SortStableFunc(r.findings, func(a, b Finding) int { return cmp.Compare(a.Table, b.Table) })
		return nil, &FindingsError{Findings: r.findings}
	}
	return s, nil
}

// attributed is a table with the attributes that its role is made of.
type attributed struct {
	*Table
	attributes map[string]string
	fields     []attributedField
}

type attributedField struct {
	*Field
	attributes map[string]string
}

// reader turns a verified binary schema into the model.
type reader struct {
	root     *reflection.Schema
	file     string
	structs  []*Struct
	enums    []*Enum
	findings []Finding
}

func (r *reader) read() []*attributed {
	r.file = r.mainFile()
	for i := range r.root.EnumsLength() {
		var enum reflection.Enum
		r.root.Enums(&enum, i)
		r.enums = append(r.enums, r.enum(&enum))
	}
	var tables []*attributed
	for i := range r.root.ObjectsLength() {
		var object reflection.Object
		r.root.Objects(&object, i)
		if object.IsStruct() {
			r.structs = append(r.structs, r.structure(&object))
		} else {
			tables = append(tables, r.table(&object))
		}
	}
	slices.SortFunc(r.enums, func(a, b *Enum) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(r.structs, func(a, b *Struct) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(tables, func(a, b *attributed) int { return cmp.Compare(a.Name, b.Name) })
	return tables
}

// mainFile is the file that no other includes, "" when that is not exactly one.
func (r *reader) mainFile() string {
	included := make(map[string]bool)
	for i := range r.root.FbsFilesLength() {
		var file reflection.SchemaFile
		r.root.FbsFiles(&file, i)
		for j := range file.IncludedFilenamesLength() {
			included[string(file.IncludedFilenames(j))] = true
		}
	}
	var main []string
	for i := range r.root.FbsFilesLength() {
		var file reflection.SchemaFile
		r.root.FbsFiles(&file, i)
		if name := string(file.Filename()); !included[name] {
			main = append(main, name)
		}
	}
	if len(main) != 1 {
		return ""
	}
	return fileName([]byte(main[0]))
}

// fileName drops the slashes by which flatc marks its project's root.
func fileName(declared []byte) string {
	return strings.TrimPrefix(string(declared), "//")
}

// declared tells whether a table belongs in Schema.Tables.
func (r *reader) declared(t *attributed) bool {
	if t.Namespace == "es" {
		return false
	}
	return r.file == "" || t.File == "" || t.File == r.file
}

func (r *reader) enum(source *reflection.Enum) *Enum {
	e := &Enum{
		Name:  string(source.Name()),
		File:  fileName(source.DeclarationFile()),
		Base:  BaseType(source.UnderlyingType(nil).BaseType()),
		Union: source.IsUnion(),
		Doc:   doc(source.DocumentationLength(), source.Documentation),
	}
	for i := range source.ValuesLength() {
		var value reflection.EnumVal
		source.Values(&value, i)
		v := EnumValue{
			Name:  string(value.Name()),
			Value: value.Value(),
			Doc:   doc(value.DocumentationLength(), value.Documentation),
		}
		if e.Union {
			if member := value.UnionType(nil); member != nil && member.BaseType() == reflection.BaseTypeObj {
				v.Object, _ = r.object(member)
			}
		}
		e.Values = append(e.Values, v)
	}
	return e
}

func (r *reader) object(typ *reflection.Type) (name string, isStruct bool) {
	var object reflection.Object
	r.root.Objects(&object, int(typ.Index()))
	return string(object.Name()), object.IsStruct()
}

func (r *reader) structure(source *reflection.Object) *Struct {
	s := &Struct{
		Name:  string(source.Name()),
		File:  fileName(source.DeclarationFile()),
		Size:  int(source.Bytesize()),
		Align: int(source.Minalign()),
		Doc:   doc(source.DocumentationLength(), source.Documentation),
	}
	for _, f := range r.fields(source) {
		s.Fields = append(s.Fields, f.Field)
	}
	return s
}

func (r *reader) table(source *reflection.Object) *attributed {
	name := string(source.Name())
	t := &attributed{
		Table: &Table{
			Name: name,
			File: fileName(source.DeclarationFile()),
			Wire: Snake(name),
			Doc:  doc(source.DocumentationLength(), source.Documentation),
		},
		attributes: attributes(source.AttributesLength(), source.Attributes),
		fields:     r.fields(source),
	}
	if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
		t.Namespace = name[:dot]
	}
	for _, f := range t.fields {
		t.Fields = append(t.Fields, f.Field)
	}
	return t
}

// fields returns the fields by id, deprecated ones left out.
func (r *reader) fields(object *reflection.Object) []attributedField {
	var fields []attributedField
	for i := range object.FieldsLength() {
		var source reflection.Field
		object.Fields(&source, i)
		if source.Deprecated() {
			continue
		}
		attrs := attributes(source.AttributesLength(), source.Attributes)
		_, personal := attrs["pii"]
		fields = append(fields, attributedField{
			Field: &Field{
				Name:        string(source.Name()),
				ID:          source.Id(),
				Offset:      source.Offset(),
				Type:        r.typ(source.Type(nil)),
				Required:    source.Required(),
				Optional:    source.Optional(),
				DefaultInt:  source.DefaultInteger(),
				DefaultReal: source.DefaultReal(),
				Personal:    personal,
				Doc:         doc(source.DocumentationLength(), source.Documentation),
			},
			attributes: attrs,
		})
	}
	slices.SortFunc(fields, func(a, b attributedField) int { return cmp.Compare(a.ID, b.ID) })
	return fields
}

func (r *reader) typ(source *reflection.Type) Type {
	t := Type{Base: BaseType(source.BaseType())}
	value := t.Base
	if t.Base == Vector || t.Base == Array {
		t.Element = BaseType(source.Element())
		t.Length = int(source.FixedLength())
		value = t.Element
	}
	switch {
	case value == Obj:
		t.Object, t.Struct = r.object(source)
	case (value.Integer() || value == Bool || value == Union) && source.Index() >= 0:
		var enum reflection.Enum
		r.root.Enums(&enum, int(source.Index()))
		t.Enum = string(enum.Name())
	}
	return t
}

// doc returns comment lines without the space that follows the slashes.
func doc(count int, line func(int) []byte) []string {
	var lines []string
	for i := range count {
		lines = append(lines, strings.TrimPrefix(string(line(i)), " "))
	}
	return lines
}

// attributes returns attributes by key. flatc writes "0" where a schema gives
// no value.
func attributes(count int, pair func(*reflection.KeyValue, int) bool) map[string]string {
	attrs := make(map[string]string, count)
	for i := range count {
		var kv reflection.KeyValue
		pair(&kv, i)
		attrs[string(kv.Key())] = string(kv.Value())
	}
	return attrs
}

// base returns the last component of a dotted name.
func base(name string) string {
	return name[strings.LastIndexByte(name, '.')+1:]
}
