package verify

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/verbatim-es/verbatim/internal/fb/reflection"
)

const (
	// MaxBFBS is the largest binary schema that is looked at.
	MaxBFBS = 4 << 20
	// maxAlign is what the place of an event's data in a record guarantees.
	maxAlign = 8
	maxName  = 512
	// maxStruct is what a vtable's 16-bit offsets leave for a struct inline.
	maxStruct = 1<<16 - 1
)

// shareBFBS is the share of the work budget for binary schemas, in which flatc
// shares little more than file names. It also bounds the memory of whatever is
// built from one by its length.
const shareBFBS = 4

// Binary is a binary schema (.bfbs) that may be read through accessors: it was
// verified, and everything it refers to by number or by name exists. It is
// immutable and safe for concurrent use.
type Binary struct {
	root    *reflection.Schema
	objects []*reflection.Object // by index
	enums   []*reflection.Enum   // by index
	byName  map[string]int       // object index by full name
}

// Open checks the bytes of a .bfbs, which may come from anybody, and returns it
// for reading. bfbs is kept and must not change any more.
//
// Refused, besides what is not a .bfbs at all: alignments above 8, 64-bit
// offsets and vectors, names that are no identifiers, and more than [MaxBFBS]
// bytes. The error names the table and field.
func Open(bfbs []byte) (*Binary, error) {
	switch {
	case len(bfbs) > MaxBFBS:
		return nil, fmt.Errorf("binary schema: %d bytes are more than the %d allowed", len(bfbs), MaxBFBS)
	case len(bfbs) < 8 || !reflection.SchemaBufferHasIdentifier(bfbs):
		return nil, errors.New(`binary schema: these bytes are not a .bfbs file (no "BFBS" at byte 4): pass what flatc --schema -b wrote`)
	}
	plan, err := planOfBFBS()
	if err != nil {
		return nil, err
	}
	if err := plan.Verify(bfbs); err != nil {
		return nil, fmt.Errorf("binary schema: %w", err)
	}
	return open(bfbs)
}

// planOfBFBS is the plan for .bfbs files. It comes from the .bfbs of
// reflection.fbs that is compiled into this module, the one binary schema that
// is trusted.
var planOfBFBS = sync.OnceValues(func() (*Plan, error) {
	trusted, err := open(reflection.BFBS)
	if err != nil {
		return nil, err
	}
	plan, err := trusted.Compile("reflection.Schema")
	if err != nil {
		return nil, err
	}
	plan.share = shareBFBS
	return plan, nil
})

// Root returns the schema through flatc's accessors.
func (b *Binary) Root() *reflection.Schema { return b.root }

// open checks what the verifier cannot know: that indexes and names lead to
// something. bfbs is verified, or trusted.
func open(bfbs []byte) (*Binary, error) {
	root := reflection.GetRootAsSchema(bfbs, 0)
	b := &Binary{
		root:    root,
		objects: make([]*reflection.Object, root.ObjectsLength()),
		enums:   make([]*reflection.Enum, root.EnumsLength()),
		byName:  make(map[string]int, root.ObjectsLength()),
	}
	enumNames := make(map[string]bool, len(b.enums))
	for i := range b.enums {
		enum := new(reflection.Enum)
		root.Enums(enum, i)
		b.enums[i] = enum
		name := string(enum.Name())
		if err := checkName(name, true); err != nil {
			return nil, fmt.Errorf("binary schema: enum %d: %w", i, err)
		}
		if enumNames[name] {
			return nil, fmt.Errorf("binary schema: enum %q is there twice", name)
		}
		enumNames[name] = true
	}
	for i := range b.objects {
		object := new(reflection.Object)
		root.Objects(object, i)
		b.objects[i] = object
		name := string(object.Name())
		if err := checkName(name, true); err != nil {
			return nil, fmt.Errorf("binary schema: object %d: %w", i, err)
		}
		if _, twice := b.byName[name]; twice || enumNames[name] {
			return nil, fmt.Errorf("binary schema: %q is there twice", name)
		}
		b.byName[name] = i
	}
	for _, enum := range b.enums {
		if err := b.checkEnum(enum); err != nil {
			return nil, fmt.Errorf("binary schema: enum %q: %w", enum.Name(), err)
		}
	}
	for _, object := range b.objects {
		if err := b.checkObject(object); err != nil {
			return nil, fmt.Errorf("binary schema: %q: %w", object.Name(), err)
		}
	}
	return b, b.checkStructNesting()
}

// checkName accepts what flatc accepts as an identifier, with dots in between
// when qualified. Names end up in generated Go source.
func checkName(name string, qualified bool) error {
	if len(name) > maxName {
		return fmt.Errorf("a name of %d bytes is longer than the %d allowed", len(name), maxName)
	}
	parts := []string{name}
	if qualified {
		parts = strings.Split(name, ".")
	}
	for _, part := range parts {
		if part == "" || part[0] >= '0' && part[0] <= '9' {
			return fmt.Errorf("%q is not a name", name)
		}
		for _, c := range []byte(part) {
			if c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
				return fmt.Errorf("%q is not a name", name)
			}
		}
	}
	return nil
}

func (b *Binary) checkEnum(enum *reflection.Enum) error {
	base := enum.UnderlyingType(nil).BaseType()
	if base < reflection.BaseTypeUType || base > reflection.BaseTypeULong {
		return fmt.Errorf("its values are of type %s, not whole numbers", base)
	}
	if enum.IsUnion() && base != reflection.BaseTypeUType {
		return fmt.Errorf("a union's tag is of type %s, not a ubyte", base)
	}
	seen := make(map[string]bool, enum.ValuesLength())
	var tags [256]bool
	var value reflection.EnumVal
	for i := range enum.ValuesLength() {
		enum.Values(&value, i)
		name := string(value.Name())
		if err := checkName(name, false); err != nil {
			return err
		}
		if seen[name] {
			return fmt.Errorf("value %q is there twice", name)
		}
		seen[name] = true
		if !enum.IsUnion() {
			continue
		}
		if value.Value() < 0 || value.Value() > 255 {
			return fmt.Errorf("union tag %s = %d does not fit in a byte", name, value.Value())
		}
		if tags[value.Value()] {
			return fmt.Errorf("union tag %s = %d is there twice", name, value.Value())
		}
		tags[value.Value()] = true
		if member := value.UnionType(nil); member != nil && member.BaseType() == reflection.BaseTypeObj {
			if _, err := b.object(member); err != nil {
				return fmt.Errorf("union member %q: %w", name, err)
			}
		}
	}
	return nil
}

func (b *Binary) checkObject(object *reflection.Object) error {
	align := object.Minalign()
	if align < 1 || align&(align-1) != 0 {
		return fmt.Errorf("an alignment of %d is impossible", align)
	}
	if align > maxAlign {
		return fmt.Errorf("its alignment of %d is above %d, which a record cannot keep: lower force_align", align, maxAlign)
	}
	if object.IsStruct() {
		if size := object.Bytesize(); size < 1 || size > maxStruct || size%align != 0 {
			return fmt.Errorf("a struct of %d bytes, aligned to %d, is impossible", size, align)
		}
	}
	count := object.FieldsLength()
	names, ids := make(map[string]bool, count), make([]bool, count)
	for i := range count {
		// Not reused: sub-objects of the accessor are looked at later.
		field := new(reflection.Field)
		object.Fields(field, i)
		name := string(field.Name())
		if err := checkName(name, false); err != nil {
			return err
		}
		if names[name] {
			return fmt.Errorf("field %q is there twice", name)
		}
		names[name] = true
		id := int(field.Id())
		if id >= count || ids[id] {
			return fmt.Errorf("field %q: id %d is not one of 0 to %d, each once", name, id, count-1)
		}
		ids[id] = true
		if err := b.checkField(object, field); err != nil {
			return fmt.Errorf("field %q: %w", name, err)
		}
	}
	return nil
}

func (b *Binary) checkField(object *reflection.Object, field *reflection.Field) error {
	if field.Offset64() {
		return errors.New("64-bit offsets are not supported: drop offset64")
	}
	if value, ok := attribute(field, "force_align"); ok {
		if align, err := strconv.ParseUint(value, 10, 32); err != nil || align > maxAlign {
			return fmt.Errorf("its alignment of %s is above %d, which a record cannot keep: lower force_align", value, maxAlign)
		}
	}
	typ := field.Type(nil)
	if err := b.checkType(typ); err != nil {
		return err
	}
	if !object.IsStruct() {
		if typ.BaseType() == reflection.BaseTypeArray {
			return errors.New("a fixed-length array can only be in a struct")
		}
		// A vtable's size is 16 bits, too.
		if field.Offset() != 4+2*field.Id() || field.Id() > 1<<15-4 {
			return fmt.Errorf("vtable offset %d does not belong to id %d", field.Offset(), field.Id())
		}
		return nil
	}
	size, align, err := b.inlineSize(typ)
	if err != nil {
		return err
	}
	offset := uint64(field.Offset())
	if offset+uint64(size) > uint64(object.Bytesize()) {
		return fmt.Errorf("%d bytes at %d are outside the struct's %d", size, offset, object.Bytesize())
	}
	if align > uint32(object.Minalign()) || offset%uint64(align) != 0 {
		return fmt.Errorf("byte %d of a struct aligned to %d is not aligned to %d", offset, object.Minalign(), align)
	}
	return nil
}

func (b *Binary) checkType(typ *reflection.Type) error {
	base := typ.BaseType()
	if base == reflection.BaseTypeVector || base == reflection.BaseTypeArray {
		base = typ.Element()
	}
	switch {
	case typ.BaseType() == reflection.BaseTypeVector64:
		return errors.New("64-bit vectors are not supported: drop vector64")
	case base == reflection.BaseTypeObj:
		_, err := b.object(typ)
		return err
	case base == reflection.BaseTypeUnion, base == reflection.BaseTypeUType:
		enum, err := b.enum(typ)
		if err == nil && !enum.IsUnion() {
			err = fmt.Errorf("enum %q is not a union", enum.Name())
		}
		return err
	case base >= reflection.BaseTypeBool && base <= reflection.BaseTypeULong:
		if typ.Index() == -1 {
			return nil
		}
		_, err := b.enum(typ)
		return err
	case base == reflection.BaseTypeFloat, base == reflection.BaseTypeDouble, base == reflection.BaseTypeString:
		return nil
	}
	return fmt.Errorf("type %s of %s is unknown: it needs a newer version of this module", typ.BaseType(), typ.Element())
}

func (b *Binary) object(typ *reflection.Type) (*reflection.Object, error) {
	if i := int(typ.Index()); i >= 0 && i < len(b.objects) {
		return b.objects[i], nil
	}
	return nil, fmt.Errorf("object %d is not one of the schema's %d", typ.Index(), len(b.objects))
}

func (b *Binary) enum(typ *reflection.Type) (*reflection.Enum, error) {
	if i := int(typ.Index()); i >= 0 && i < len(b.enums) {
		return b.enums[i], nil
	}
	return nil, fmt.Errorf("enum %d is not one of the schema's %d", typ.Index(), len(b.enums))
}

var scalarSizes = map[reflection.BaseType]uint32{
	reflection.BaseTypeUType: 1, reflection.BaseTypeBool: 1,
	reflection.BaseTypeByte: 1, reflection.BaseTypeUByte: 1,
	reflection.BaseTypeShort: 2, reflection.BaseTypeUShort: 2,
	reflection.BaseTypeInt: 4, reflection.BaseTypeUInt: 4, reflection.BaseTypeFloat: 4,
	reflection.BaseTypeLong: 8, reflection.BaseTypeULong: 8, reflection.BaseTypeDouble: 8,
}

// inlineSize returns the size and alignment of a scalar, a struct, or an array
// of those.
func (b *Binary) inlineSize(typ *reflection.Type) (size, align uint32, err error) {
	base, count := typ.BaseType(), uint32(1)
	if base == reflection.BaseTypeArray {
		base, count = typ.Element(), uint32(typ.FixedLength())
		if count == 0 {
			return 0, 0, errors.New("a fixed-length array of length 0 is impossible")
		}
	}
	if size, ok := scalarSizes[base]; ok {
		return size * count, size, nil
	}
	if base == reflection.BaseTypeObj {
		object, err := b.object(typ)
		if err != nil {
			return 0, 0, err
		}
		if object.IsStruct() {
			return uint32(object.Bytesize()) * count, uint32(object.Minalign()), nil
		}
	}
	return 0, 0, fmt.Errorf("type %s cannot be in a struct", base)
}

// checkStructNesting refuses structs that contain themselves, which sizes alone
// do not rule out.
func (b *Binary) checkStructNesting() error {
	const (
		unseen = iota
		open
		done
	)
	state := make([]uint8, len(b.objects))
	var visit func(i, depth int) error
	visit = func(i, depth int) error {
		object := b.objects[i]
		if !object.IsStruct() || state[i] == done {
			return nil
		}
		if state[i] == open || depth > MaxDepth {
			return fmt.Errorf("binary schema: struct %q contains itself, or structs more than %d deep", object.Name(), MaxDepth)
		}
		state[i] = open
		for j := range object.FieldsLength() {
			field := new(reflection.Field)
			object.Fields(field, j)
			typ := field.Type(nil)
			base := typ.BaseType()
			if base == reflection.BaseTypeArray {
				base = typ.Element()
			}
			if base == reflection.BaseTypeObj {
				if err := visit(int(typ.Index()), depth+1); err != nil {
					return err
				}
			}
		}
		state[i] = done
		return nil
	}
	for i := range b.objects {
		if err := visit(i, 1); err != nil {
			return err
		}
	}
	return nil
}

// attribute returns the value of a field's attribute. Attributes are looked
// for one by one: that they are sorted is not verified.
func attribute(field *reflection.Field, key string) (string, bool) {
	var pair reflection.KeyValue
	for i := range field.AttributesLength() {
		if field.Attributes(&pair, i); string(pair.Key()) == key {
			return string(pair.Value()), true
		}
	}
	return "", false
}
