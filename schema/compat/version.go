package compat

import (
	"strings"

	"github.com/verbatim-es/verbatim/internal/fb/reflection"
	"github.com/verbatim-es/verbatim/schema"
)

// version is one version of a schema: the model, and below it everything that
// the model leaves out, like deprecated fields and included files.
type version struct {
	model      *schema.Schema
	objects    map[string]*object
	enums      map[string]*enum
	root       string // "" when there is none
	identifier string // "" when there is none
}

// object is a table or a struct.
type object struct {
	name        string
	isStruct    bool
	derived     bool // by its attributes the state of an aggregate, or a view
	size, align int  // of a struct
	fields      []*field
	byName      map[string]*field
}

// field is a field of a table or struct. IDs are dense: fields[id] has that id.
type field struct {
	name        string
	id, offset  uint16
	typ         typ
	deprecated  bool
	required    bool
	optional    bool
	key         bool
	defaultInt  int64
	defaultReal float64
	nested      string // full name of the table in a nested buffer, "" for none
	forceAlign  string // as written, "" for none
	tag         string // "" for none, and when deprecated
}

// typ is the type of a field, comparable across versions: what it refers to is
// given by name.
type typ struct {
	base, element schema.BaseType
	name          string // full name of the enum, union, table or struct; "" for none
	length        uint16 // of an array
}

func (t typ) String() string {
	one := t.base
	if t.base == schema.Vector || t.base == schema.Array {
		one = t.element
	}
	s := one.String()
	switch {
	case one == schema.Obj:
		s = t.name
	case t.name != "":
		s = t.name + " (" + s + ")"
	}
	switch t.base {
	case schema.Vector:
		return "[" + s + "]"
	case schema.Array:
		return "[" + s + ":" + decimal(int64(t.length)) + "]"
	}
	return s
}

type enum struct {
	name     string
	union    bool
	base     schema.BaseType
	values   []value
	byName   map[string]value
	byNumber map[int64]value
}

type value struct {
	name   string
	number int64
	object string // a union member's table
}

// read verifies a .bfbs and reads it.
func read(bfbs []byte) (*version, error) {
	model, err := schema.Parse(bfbs)
	if err != nil {
		return nil, err
	}
	root := reflection.GetRootAsSchema(model.BFBS, 0)
	v := &version{
		model:      model,
		objects:    make(map[string]*object, root.ObjectsLength()),
		enums:      make(map[string]*enum, root.EnumsLength()),
		identifier: string(root.FileIdent()),
	}
	if table := root.RootTable(nil); table != nil {
		v.root = string(table.Name())
	}
	names := names{root: root}
	for i := range root.ObjectsLength() {
		var source reflection.Object
		root.Objects(&source, i)
		o := names.object(&source)
		v.objects[o.name] = o
	}
	for i := range root.EnumsLength() {
		var source reflection.Enum
		root.Enums(&source, i)
		e := names.enum(&source)
		v.enums[e.name] = e
	}
	for _, o := range v.objects {
		for _, f := range o.fields {
			f.nested = v.resolve(o.name, f.nested)
		}
	}
	return v, nil
}

// resolve returns the full name of the table that an attribute of the object
// names: in its namespace, or in one around it.
func (v *version) resolve(inside, name string) string {
	if name == "" {
		return ""
	}
	for {
		dot := strings.LastIndexByte(inside, '.')
		if dot < 0 {
			return name
		}
		inside = inside[:dot]
		if _, ok := v.objects[inside+"."+name]; ok {
			return inside + "." + name
		}
	}
}

// names reads the parts of a binary schema and replaces indexes by names.
type names struct{ root *reflection.Schema }

func (n names) object(source *reflection.Object) *object {
	count := source.FieldsLength()
	o := &object{
		name:     string(source.Name()),
		isStruct: source.IsStruct(),
		size:     int(source.Bytesize()),
		align:    int(source.Minalign()),
		fields:   make([]*field, count),
		byName:   make(map[string]*field, count),
	}
	for i := range source.AttributesLength() {
		var attribute reflection.KeyValue
		source.Attributes(&attribute, i)
		switch string(attribute.Key()) {
		case schema.RoleAggregate.String(), schema.RoleView.String():
			o.derived = true
		}
	}
	for i := range count {
		var sourceField reflection.Field
		source.Fields(&sourceField, i)
		f := n.field(&sourceField)
		o.fields[f.id], o.byName[f.name] = f, f
	}
	return o
}

func (n names) field(source *reflection.Field) *field {
	f := &field{
		name:        string(source.Name()),
		id:          source.Id(),
		offset:      source.Offset(),
		typ:         n.typ(source.Type(nil)),
		deprecated:  source.Deprecated(),
		required:    source.Required(),
		optional:    source.Optional(),
		key:         source.Key(),
		defaultInt:  source.DefaultInteger(),
		defaultReal: source.DefaultReal(),
	}
	for i := range source.AttributesLength() {
		var attribute reflection.KeyValue
		source.Attributes(&attribute, i)
		text := string(attribute.Value())
		switch string(attribute.Key()) {
		case "nested_flatbuffer":
			f.nested = text
		case "force_align":
			f.forceAlign = text
		case "tag":
			if !f.deprecated {
				f.tag = text
			}
		}
	}
	return f
}

func (n names) typ(source *reflection.Type) typ {
	t := typ{base: schema.BaseType(source.BaseType())}
	one := t.base
	if t.base == schema.Vector || t.base == schema.Array {
		t.element, t.length = schema.BaseType(source.Element()), source.FixedLength()
		one = t.element
	}
	switch {
	case one == schema.Obj:
		t.name = n.objectName(source)
	case (one.Scalar() && !one.Real() || one == schema.Union) && source.Index() >= 0:
		var enum reflection.Enum
		n.root.Enums(&enum, int(source.Index()))
		t.name = string(enum.Name())
	}
	return t
}

func (n names) objectName(source *reflection.Type) string {
	var object reflection.Object
	n.root.Objects(&object, int(source.Index()))
	return string(object.Name())
}

func (n names) enum(source *reflection.Enum) *enum {
	count := source.ValuesLength()
	e := &enum{
		name:     string(source.Name()),
		union:    source.IsUnion(),
		base:     schema.BaseType(source.UnderlyingType(nil).BaseType()),
		byName:   make(map[string]value, count),
		byNumber: make(map[int64]value, count),
	}
	for i := range count {
		var sourceValue reflection.EnumVal
		source.Values(&sourceValue, i)
		v := value{name: string(sourceValue.Name()), number: sourceValue.Value()}
		if member := sourceValue.UnionType(nil); e.union && member != nil && member.BaseType() == reflection.BaseTypeObj {
			v.object = n.objectName(member)
		}
		e.values = append(e.values, v)
		e.byName[v.name], e.byNumber[v.number] = v, v
	}
	return e
}

// tagOfUnion tells whether f is the tag that precedes a union's value. What
// happens to a union is reported once, for its value.
func (o *object) tagOfUnion(f *field) bool {
	next := int(f.id) + 1
	return f.typ.base == schema.UType && next < len(o.fields) && o.fields[next].typ.base == schema.Union
}

// byID returns nil when there is no such field.
func (o *object) byID(id uint16) *field {
	if int(id) < len(o.fields) {
		return o.fields[id]
	}
	return nil
}
