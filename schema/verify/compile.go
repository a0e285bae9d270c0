package verify

import (
	"fmt"
	"strings"

	"github.com/verbatim-es/verbatim/internal/fb/reflection"
)

// CompileBFBS returns the plan for the table of that full name in a .bfbs. It
// is [Open] followed by [Binary.Compile].
func CompileBFBS(bfbs []byte, table string) (*Plan, error) {
	binary, err := Open(bfbs)
	if err != nil {
		return nil, err
	}
	return binary.Compile(table)
}

// Compile returns the plan for buffers whose root is the table of that full
// name. It fails when there is no such table, or when something reachable from
// it is not supported; the error then names table, field and what to change.
func (b *Binary) Compile(name string) (*Plan, error) {
	index, ok := b.byName[name]
	if !ok || b.objects[index].IsStruct() {
		return nil, fmt.Errorf("the schema has no table %q", name)
	}
	c := newCompiler(b)
	root := c.table(index)
	for {
		next, ok := c.next()
		if !ok {
			return &Plan{root: root, share: share, stated: c.identifier()}, nil
		}
		if err := c.fill(next); err != nil {
			return nil, fmt.Errorf("table %q: %w", b.objects[next].Name(), err)
		}
	}
}

// CompileAll returns the plans of all tables by full name, and apart, what
// [Binary.Compile] would say about those that cannot have one. When there is
// such a table, plans of others that reach it must not be used.
func (b *Binary) CompileAll() (plans map[string]*Plan, refused map[string]error) {
	plans, refused = make(map[string]*Plan), make(map[string]error)
	c := newCompiler(b)
	for name, index := range b.byName {
		if !b.objects[index].IsStruct() {
			plans[name] = &Plan{root: c.table(index), share: share}
		}
	}
	for {
		next, ok := c.next()
		if !ok {
			stated := c.identifier()
			for _, plan := range plans {
				plan.stated = stated
			}
			return plans, refused
		}
		if err := c.fill(next); err != nil {
			name := string(b.objects[next].Name())
			delete(plans, name)
			refused[name] = err
		}
	}
}

// compiler flattens the tables reachable from a root. Tables refer to each
// other in any way, so each gets its place before its fields are filled in.
type compiler struct {
	binary  *Binary
	tables  map[int]*table   // by object index
	pending []int            // object indexes without fields yet
	unions  map[int][]*table // by enum index, their tables by tag
}

func newCompiler(b *Binary) *compiler {
	return &compiler{binary: b, tables: make(map[int]*table), unions: make(map[int][]*table)}
}

func (c *compiler) table(index int) *table {
	if t, ok := c.tables[index]; ok {
		return t
	}
	t := &table{name: string(c.binary.objects[index].Name()), lastDemanding: -1}
	c.tables[index] = t
	c.pending = append(c.pending, index)
	return t
}

// next takes a table that has no fields yet.
func (c *compiler) next() (index int, ok bool) {
	if len(c.pending) == 0 {
		return 0, false
	}
	last := len(c.pending) - 1
	index = c.pending[last]
	c.pending = c.pending[:last]
	return index, true
}

func (c *compiler) fill(index int) error {
	object, t := c.binary.objects[index], c.tables[index]
	count := object.FieldsLength()
	t.fields, t.targets, t.names = make([]field, count), make([]target, count), make([]string, count)
	byID := make([]*reflection.Field, count)
	for i := range count {
		source := new(reflection.Field)
		object.Fields(source, i)
		byID[source.Id()] = source
	}
	for id, source := range byID {
		name := string(source.Name())
		f, to, err := c.field(object, source)
		if err == nil && f.kind == unionValue && !tagBefore(byID, id) {
			err = fmt.Errorf("the union's tag is not the field before it")
		}
		if err != nil {
			return fmt.Errorf("field %q: %w", name, err)
		}
		if f.demanding = f.required || f.kind == unionValue; f.demanding {
			t.demanding, t.lastDemanding = append(t.demanding, id), id
		}
		t.fields[id], t.targets[id], t.names[id] = f, to, name
	}
	return nil
}

// tagBefore tells whether the field before the union value of that id is the
// tag of the same union.
func tagBefore(byID []*reflection.Field, id int) bool {
	if id == 0 {
		return false
	}
	tag, value := byID[id-1].Type(nil), byID[id].Type(nil)
	return tag.BaseType() == reflection.BaseTypeUType && tag.Index() == value.Index()
}

func (c *compiler) field(object *reflection.Object, source *reflection.Field) (f field, to target, err error) {
	typ := source.Type(nil)
	f = field{
		// What nobody can write any more cannot be demanded.
		required: source.Required() && !source.Deprecated(),
		size:     referenceSize,
		mask:     referenceMask,
	}
	base := typ.BaseType()
	if size, ok := scalarSizes[base]; ok {
		f.kind, f.size, f.mask = inlineValue, size, uint8(size-1)
		return f, to, nil
	}
	switch base {
	case reflection.BaseTypeString:
		f.kind = stringValue
	case reflection.BaseTypeObj:
		referred := c.binary.objects[typ.Index()]
		if referred.IsStruct() {
			f.kind, f.size, f.mask = inlineValue, uint32(referred.Bytesize()), uint8(referred.Minalign()-1)
		} else {
			f.kind, to.table = tableValue, c.table(int(typ.Index()))
		}
	case reflection.BaseTypeUnion:
		f.kind = unionValue
		to.members, err = c.members(int(typ.Index()))
	case reflection.BaseTypeVector:
		f.kind, to, err = c.vector(object, source, typ)
	default:
		err = fmt.Errorf("type %s is not supported in a table", base)
	}
	return f, to, err
}

// members returns the tables of the union of that enum index by tag. All fields
// of a union share one slice: with one for each, a small schema took much memory.
func (c *compiler) members(index int) ([]*table, error) {
	if byTag, ok := c.unions[index]; ok {
		return byTag, nil
	}
	union := c.binary.enums[index]
	var byTag []*table
	var value reflection.EnumVal
	for i := range union.ValuesLength() {
		union.Values(&value, i)
		tag := int(value.Value())
		if tag == 0 {
			continue
		}
		member := value.UnionType(nil)
		if member == nil || member.BaseType() != reflection.BaseTypeObj || c.binary.objects[member.Index()].IsStruct() {
			return nil, fmt.Errorf("member %q of union %q is not a table: wrap it in one", value.Name(), union.Name())
		}
		for len(byTag) <= tag {
			byTag = append(byTag, nil)
		}
		byTag[tag] = c.table(int(member.Index()))
	}
	c.unions[index] = byTag
	return byTag, nil
}

func (c *compiler) vector(object *reflection.Object, source *reflection.Field, typ *reflection.Type) (kind, target, error) {
	element := typ.Element()
	if size, ok := scalarSizes[element]; ok {
		to := target{elemSize: size, elemMask: uint8(size - 1)}
		name, nested := attribute(source, "nested_flatbuffer")
		if !nested {
			return inlineVector, to, nil
		}
		index, ok := c.lookup(string(object.Name()), name)
		if !ok || element != reflection.BaseTypeUByte {
			return 0, target{}, fmt.Errorf("nested_flatbuffer %q is not a table of this schema, or not in a vector of ubyte", name)
		}
		to.table = c.table(index)
		return nestedBuffer, to, nil
	}
	references := target{elemSize: referenceSize, elemMask: referenceMask}
	switch element {
	case reflection.BaseTypeString:
		return stringVector, references, nil
	case reflection.BaseTypeObj:
		referred := c.binary.objects[typ.Index()]
		if referred.IsStruct() {
			return inlineVector, target{elemSize: uint32(referred.Bytesize()), elemMask: uint8(referred.Minalign() - 1)}, nil
		}
		references.table = c.table(int(typ.Index()))
		return tableVector, references, nil
	case reflection.BaseTypeUnion:
		return 0, target{}, fmt.Errorf("vectors of unions are not supported: make it a vector of tables that hold the union")
	}
	return 0, target{}, fmt.Errorf("vectors of %s are not supported", element)
}

// lookup finds the table that a name means inside the table of the given full
// name: attributes keep names as they were written, to be found in the
// namespace or in one around it.
func (c *compiler) lookup(inside, name string) (int, bool) {
	for {
		dot := strings.LastIndexByte(inside, '.')
		qualified := name
		if dot >= 0 {
			inside = inside[:dot]
			qualified = inside + "." + name
		}
		if index, ok := c.binary.byName[qualified]; ok {
			return index, !c.binary.objects[index].IsStruct()
		}
		if dot < 0 {
			return 0, false
		}
	}
}
