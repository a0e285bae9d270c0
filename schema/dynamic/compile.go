package dynamic

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/verbatim-es/verbatim/internal/fb/reflection"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/verify"
)

// Schema is a binary schema made ready for use at run time. It is immutable.
type Schema struct {
	tables map[string]*Table
}

// Table is a table of a [Schema], those of included files among them. It is
// immutable, and safe for use by any number of goroutines.
type Table struct {
	object     *object
	plan       *verify.Plan
	identifier string // of files whose root it is, "" for none
}

// Compile prepares the bytes of a .bfbs, which may come from anybody, and are
// kept. A schema of which any table is not supported is refused, naming it.
func Compile(bfbs []byte) (*Schema, error) {
	binary, err := verify.Open(bfbs)
	if err != nil {
		return nil, err
	}
	plans, refused := binary.CompileAll()
	if len(refused) > 0 {
		name := slices.Min(slices.Collect(maps.Keys(refused)))
		return nil, fmt.Errorf("table %q: %w", name, refused[name])
	}
	c := compiler{root: binary.Root()}
	if err := c.compile(); err != nil {
		return nil, err
	}
	s := &Schema{tables: make(map[string]*Table)}
	for _, o := range c.objects {
		if !o.fixed {
			s.tables[o.name] = &Table{object: o, plan: plans[o.name]}
		}
	}
	if root := c.root.RootTable(nil); root != nil {
		if t, ok := s.tables[string(root.Name())]; ok && len(c.root.FileIdent()) == 4 {
			t.identifier = string(c.root.FileIdent())
		}
	}
	return s, nil
}

// Table returns the table of that full name.
func (s *Schema) Table(name string) (*Table, bool) {
	t, ok := s.tables[name]
	return t, ok
}

// Name returns the table's full name.
func (t *Table) Name() string { return t.object.name }

// Verify is [verify.Plan.Verify] for the table.
func (t *Table) Verify(data []byte) error { return t.plan.Verify(data) }

type kind uint8

const (
	scalar    kind = iota
	text           // reference to a string
	blob           // reference to a [ubyte]
	table          // reference to a table
	structure      // inline
	union          // reference to the table that the field's tag names
	nested         // reference to a [ubyte] that is a buffer of its own
	list           // reference to a vector
	array          // inline, in structs only
)

// shape is the type of one value.
type shape struct {
	kind    kind
	base    schema.BaseType // of a scalar
	enum    *enum           // of a scalar, nil for none; of a union
	object  *object         // of a table, structure or nested buffer
	element *shape          // of a list or array
	size    int             // inline
	align   int             // of the inline part
	length  int             // of an array
}

// object is a table, or when fixed a struct.
type object struct {
	name   string
	fixed  bool
	size   int // of a struct
	align  int
	fields []*field // by id, deprecated ones left out
	byName map[string]*field
	slots  int // one more than the highest id
}

type field struct {
	shape
	name       string
	id         int
	at         int    // of the entry in a vtable, or in the struct
	absent     uint64 // bits of a scalar that is not there
	optional   bool   // such a scalar has no value
	required   bool
	deprecated bool
	// index is the place in the object's fields.
	index int
	// tag is the field before a union's value, value the field after its tag.
	tag, value *field
}

// enum is an enum or a union.
type enum struct {
	name    string
	flags   bool // bit_flags
	values  []enumValue
	byName  map[string]int64
	byValue map[int64]*enumValue
}

type enumValue struct {
	name   string
	value  int64
	member *object // of a union
}

const (
	referenceSize = 4
	lengthSize    = 4
)

// compiler turns a verified binary schema into objects and enums by index.
type compiler struct {
	root    *reflection.Schema
	objects []*object
	enums   []*enum
	byName  map[string]*object
}

func (c *compiler) compile() error {
	c.byName = make(map[string]*object)
	for i := range c.root.ObjectsLength() {
		var source reflection.Object
		c.root.Objects(&source, i)
		o := &object{
			name:   string(source.Name()),
			fixed:  source.IsStruct(),
			size:   int(source.Bytesize()),
			align:  int(source.Minalign()),
			byName: make(map[string]*field),
			slots:  source.FieldsLength(),
		}
		c.objects = append(c.objects, o)
		c.byName[o.name] = o
	}
	for i := range c.root.EnumsLength() {
		var source reflection.Enum
		c.root.Enums(&source, i)
		c.enums = append(c.enums, c.enum(&source))
	}
	for i, o := range c.objects {
		var source reflection.Object
		c.root.Objects(&source, i)
		if err := c.fill(o, &source); err != nil {
			return fmt.Errorf("%q: %w", o.name, err)
		}
	}
	return nil
}

func (c *compiler) enum(source *reflection.Enum) *enum {
	e := &enum{
		name:    string(source.Name()),
		flags:   hasAttribute(source.AttributesLength(), source.Attributes, "bit_flags"),
		byName:  make(map[string]int64),
		byValue: make(map[int64]*enumValue),
	}
	for i := range source.ValuesLength() {
		var value reflection.EnumVal
		source.Values(&value, i)
		v := enumValue{name: string(value.Name()), value: value.Value()}
		if member := value.UnionType(nil); source.IsUnion() && member != nil && member.BaseType() == reflection.BaseTypeObj {
			v.member = c.objects[member.Index()]
		}
		e.values = append(e.values, v)
		e.byName[v.name] = v.value
	}
	for i := range e.values {
		v := &e.values[i]
		if _, taken := e.byValue[v.value]; !taken {
			e.byValue[v.value] = v
		}
	}
	return e
}

func (c *compiler) fill(o *object, source *reflection.Object) error {
	var all []*field
	for i := range source.FieldsLength() {
		var from reflection.Field
		source.Fields(&from, i)
		s, err := c.shape(o, &from)
		if err != nil {
			return fmt.Errorf("field %q: %w", from.Name(), err)
		}
		f := &field{
			shape:      s,
			name:       string(from.Name()),
			id:         int(from.Id()),
			at:         int(from.Offset()),
			absent:     defaultBits(s.base, &from),
			optional:   from.Optional(),
			required:   from.Required() && !from.Deprecated(),
			deprecated: from.Deprecated(),
		}
		all = append(all, f)
		o.byName[f.name] = f
	}
	slices.SortFunc(all, func(a, b *field) int { return cmp.Compare(a.id, b.id) })
	for i, f := range all {
		if f.kind == union {
			f.tag = all[i-1] // the verifier's plan has made sure of it
			f.tag.value = f
			f.tag.deprecated = f.deprecated
		}
	}
	for _, f := range all {
		if !f.deprecated {
			f.index = len(o.fields)
			o.fields = append(o.fields, f)
		}
	}
	return nil
}

func defaultBits(base schema.BaseType, from *reflection.Field) uint64 {
	switch base {
	case schema.Float: // as flatc's constants are typed
		return math.Float64bits(float64(float32(from.DefaultReal())))
	case schema.Double:
		return math.Float64bits(from.DefaultReal())
	}
	return uint64(from.DefaultInteger())
}

func (c *compiler) shape(in *object, from *reflection.Field) (shape, error) {
	typ := from.Type(nil)
	base := schema.BaseType(typ.BaseType())
	if base != schema.Vector && base != schema.Array {
		return c.single(base, typ)
	}
	element, err := c.single(schema.BaseType(typ.Element()), typ)
	if err != nil {
		return shape{}, err
	}
	if base == schema.Array {
		length := int(typ.FixedLength())
		return shape{kind: array, element: &element, length: length, size: length * element.size, align: element.align}, nil
	}
	s := shape{kind: list, element: &element, size: referenceSize, align: referenceSize}
	if element.base == schema.UByte && element.enum == nil {
		s.kind = blob
		if name, ok := attributeOf(from.AttributesLength(), from.Attributes, "nested_flatbuffer"); ok {
			if s.object = c.lookup(in.name, name); s.object == nil {
				return shape{}, fmt.Errorf("nested_flatbuffer %q is not a table of this schema", name)
			}
			s.kind = nested
		}
	}
	return s, nil
}

func (c *compiler) single(base schema.BaseType, typ *reflection.Type) (shape, error) {
	switch {
	case base.Scalar():
		size := scalarSize(base)
		s := shape{kind: scalar, base: base, size: size, align: size}
		if index := int(typ.Index()); index >= 0 && !base.Real() && base != schema.Bool {
			s.enum = c.enums[index]
		}
		return s, nil
	case base == schema.String:
		return shape{kind: text, size: referenceSize, align: referenceSize}, nil
	case base == schema.Union:
		return shape{kind: union, enum: c.enums[typ.Index()], size: referenceSize, align: referenceSize}, nil
	case base == schema.Obj:
		o := c.objects[typ.Index()]
		if o.fixed {
			return shape{kind: structure, object: o, size: o.size, align: o.align}, nil
		}
		return shape{kind: table, object: o, size: referenceSize, align: referenceSize}, nil
	}
	return shape{}, errors.New("type " + base.String() + " is not supported here")
}

// lookup finds the table that a name in an attribute of the named table means:
// in its namespace, or in one around it.
func (c *compiler) lookup(inside, name string) *object {
	for {
		dot := strings.LastIndexByte(inside, '.')
		qualified := name
		if dot >= 0 {
			inside = inside[:dot]
			qualified = inside + "." + name
		}
		if o := c.byName[qualified]; o != nil {
			return o
		}
		if dot < 0 {
			return nil
		}
	}
}

func hasAttribute(count int, get func(*reflection.KeyValue, int) bool, key string) bool {
	_, ok := attributeOf(count, get, key)
	return ok
}

func attributeOf(count int, get func(*reflection.KeyValue, int) bool, key string) (string, bool) {
	var pair reflection.KeyValue
	for i := range count {
		if get(&pair, i); string(pair.Key()) == key {
			return string(pair.Value()), true
		}
	}
	return "", false
}
