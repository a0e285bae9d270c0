package verify

import (
	"bytes"
	"strings"
	"testing"

	flatbuffers "github.com/google/flatbuffers/go"

	"github.com/verbatim-es/verbatim/internal/fb/es"
	"github.com/verbatim-es/verbatim/internal/fb/reflection"
)

func TestTheTrustedSchemaVerifiesItself(t *testing.T) {
	t.Parallel()
	if _, err := Open(reflection.BFBS); err != nil {
		t.Error(err)
	}
}

func TestCompileRecord(t *testing.T) {
	t.Parallel()
	plan, err := CompileBFBS(es.BFBS, "es.Event")
	if err != nil {
		t.Fatal(err)
	}
	if plan.Table() != "es.Event" {
		t.Errorf("plan of %q", plan.Table())
	}
	if err := plan.VerifySizePrefixed(buildRecord()); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"es.Nothing", "es.Id", ""} {
		if _, err := CompileBFBS(es.BFBS, name); err == nil || !strings.Contains(err.Error(), "no table") {
			t.Errorf("CompileBFBS of %q: %v", name, err)
		}
	}
}

// bfbsOf reads a schema of testdata for spoiling.
type bfbsOf struct {
	t    *testing.T
	root *reflection.Schema
}

func (b bfbsOf) object(name string) *reflection.Object {
	b.t.Helper()
	for i := range b.root.ObjectsLength() {
		object := new(reflection.Object)
		if b.root.Objects(object, i); string(object.Name()) == name {
			return object
		}
	}
	b.t.Fatalf("no object %q", name)
	return nil
}

func (b bfbsOf) field(object, name string) *reflection.Field {
	b.t.Helper()
	o := b.object(object)
	for i := range o.FieldsLength() {
		field := new(reflection.Field)
		if o.Fields(field, i); string(field.Name()) == name {
			return field
		}
	}
	b.t.Fatalf("no field %q in %q", name, object)
	return nil
}

func (b bfbsOf) enum(name string) *reflection.Enum {
	b.t.Helper()
	for i := range b.root.EnumsLength() {
		enum := new(reflection.Enum)
		if b.root.Enums(enum, i); string(enum.Name()) == name {
			return enum
		}
	}
	b.t.Fatalf("no enum %q", name)
	return nil
}

// The slots are the vtable offsets of reflection.fbs. They report whether the
// field is in the file: what has its default value is not.

func setIndex(t *reflection.Type, index int32) bool { return setSlot32(t.Table(), 8, index) }

func setBaseType(t *reflection.Type, base reflection.BaseType) bool {
	table := t.Table()
	return table.MutateInt8Slot(4, int8(base))
}

func setSlot16(t flatbuffers.Table, slot flatbuffers.VOffsetT, v uint16) bool {
	return t.MutateUint16Slot(slot, v)
}

func setSlot32(t flatbuffers.Table, slot flatbuffers.VOffsetT, v int32) bool {
	return t.MutateInt32Slot(slot, v)
}

// Well-formed as a buffer, but its numbers and names lead nowhere.
func TestOpenRefusesInconsistentSchemas(t *testing.T) {
	t.Parallel()
	const node, box, point = "shapes.Node", "shapes.Box", "shapes.Point"
	for name, c := range map[string]struct {
		spoil func(bfbsOf) bool
		says  string
	}{
		"object index too large": {func(b bfbsOf) bool { return setIndex(b.field(node, "left").Type(nil), 99) }, `"shapes.Node": field "left": object 99`},
		"object index negative":  {func(b bfbsOf) bool { return setIndex(b.field(node, "left").Type(nil), -2) }, "object -2"},
		"enum index too large":   {func(b bfbsOf) bool { return setIndex(b.field(node, "colour").Type(nil), 77) }, "enum 77"},
		"union of an enum":       {func(b bfbsOf) bool { return setIndex(b.field(node, "extra").Type(nil), 0) }, "is not a union"},
		"unknown base type":      {func(b bfbsOf) bool { return setBaseType(b.field(node, "tiny").Type(nil), 99) }, "is unknown"},
		"no type":                {func(b bfbsOf) bool { return setBaseType(b.field(node, "tiny").Type(nil), reflection.BaseTypeNone) }, "is unknown"},
		"64-bit vector": {func(b bfbsOf) bool {
			return setBaseType(b.field(node, "shorts").Type(nil), reflection.BaseTypeVector64)
		}, "64-bit vectors"},
		"array in a table":     {func(b bfbsOf) bool { return setBaseType(b.field(node, "shorts").Type(nil), reflection.BaseTypeArray) }, "only be in a struct"},
		"id twice":             {func(b bfbsOf) bool { return setSlot16(b.field(node, "tiny").Table(), 8, 3) }, "id 3 is not one of"},
		"id too large":         {func(b bfbsOf) bool { return setSlot16(b.field(node, "tiny").Table(), 8, 3000) }, "id 3000 is not one of"},
		"vtable offset":        {func(b bfbsOf) bool { return setSlot16(b.field(node, "tiny").Table(), 10, 6) }, "vtable offset 6"},
		"struct size":          {func(b bfbsOf) bool { return setSlot32(b.object(box).Table(), 12, 24) }, "outside the struct's 24"},
		"struct size negative": {func(b bfbsOf) bool { return setSlot32(b.object(box).Table(), 12, -8) }, "a struct of -8 bytes"},
		"struct size huge":     {func(b bfbsOf) bool { return setSlot32(b.object(box).Table(), 12, 1<<30) }, "is impossible"},
		"alignment zero":       {func(b bfbsOf) bool { return setSlot32(b.object(box).Table(), 10, 0) }, "alignment of 0 is impossible"},
		"alignment odd":        {func(b bfbsOf) bool { return setSlot32(b.object(box).Table(), 10, 3) }, "alignment of 3 is impossible"},
		"alignment of 16":      {func(b bfbsOf) bool { return setSlot32(b.object(box).Table(), 10, 16) }, "lower force_align"},
		"alignment too small":  {func(b bfbsOf) bool { return setSlot32(b.object(point).Table(), 10, 2) }, "is not aligned to 4"},
		"struct in itself": {func(b bfbsOf) bool {
			typ := b.field(box, "max").Type(nil)
			return setIndex(typ, b.field(node, "box").Type(nil).Index())
		}, "outside the struct"},
		"name of a field":  {func(b bfbsOf) bool { b.field(node, "tiny").Name()[0] = '"'; return true }, "is not a name"},
		"name of a table":  {func(b bfbsOf) bool { b.object(node).Name()[6] = ' '; return true }, "is not a name"},
		"same name twice":  {func(b bfbsOf) bool { copy(b.object("shapes.Note").Name(), "shapes.Leaf"); return true }, `"shapes.Leaf" is there twice`},
		"same field twice": {func(b bfbsOf) bool { copy(b.field(node, "left").Name(), "leaf"); return true }, `field "leaf" is there twice`},
		"enum of reals": {func(b bfbsOf) bool {
			return setBaseType(b.enum("shapes.Colour").UnderlyingType(nil), reflection.BaseTypeFloat)
		}, "not whole numbers"},
		"union of another tag": {func(b bfbsOf) bool {
			return setBaseType(b.enum("shapes.Extra").UnderlyingType(nil), reflection.BaseTypeInt)
		}, "not a ubyte"},
		"identifier": {func(b bfbsOf) bool { b.root.Table().Bytes[4] = 'X'; return true }, "not a .bfbs file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bfbs := bytes.Clone(testdata(t, "shapes.bfbs"))
			if !c.spoil(bfbsOf{t, reflection.GetRootAsSchema(bfbs, 0)}) {
				t.Fatal("the field to change is not in the file")
			}
			_, err := Open(bfbs)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

// A union member that leads nowhere is in no field's type.
func TestOpenRefusesUnionMembersOutside(t *testing.T) {
	t.Parallel()
	bfbs := bytes.Clone(testdata(t, "shapes.bfbs"))
	union := bfbsOf{t, reflection.GetRootAsSchema(bfbs, 0)}.enum("shapes.Extra")
	var value reflection.EnumVal
	union.Values(&value, 1)
	if !setIndex(value.UnionType(nil), 99) {
		t.Fatal("the member's index is not in the file")
	}
	if _, err := Open(bfbs); err == nil || !strings.Contains(err.Error(), `union member "Leaf": object 99`) {
		t.Errorf("got %v", err)
	}
}

// A tag that is there twice would mean one table to whoever takes the first, and
// another to whoever takes the last.
func TestOpenRefusesUnionTagsTwice(t *testing.T) {
	t.Parallel()
	bfbs := bytes.Clone(testdata(t, "shapes.bfbs"))
	union := bfbsOf{t, reflection.GetRootAsSchema(bfbs, 0)}.enum("shapes.Extra")
	var value reflection.EnumVal
	union.Values(&value, 2)
	if tab := value.Table(); !tab.MutateInt64Slot(6, 1) {
		t.Fatal("the member's tag is not in the file")
	}
	if _, err := Open(bfbs); err == nil || !strings.Contains(err.Error(), `union tag Note = 1 is there twice`) {
		t.Errorf("got %v", err)
	}
}

// Two structs of one size, each the other's only field: sizes cannot tell.
func TestOpenRefusesStructsInEachOther(t *testing.T) {
	t.Parallel()
	bfbs := bytes.Clone(testdata(t, "wrapped.bfbs"))
	b := bfbsOf{t, reflection.GetRootAsSchema(bfbs, 0)}
	inner, outer := b.field("Inner", "core").Type(nil), b.field("User", "outer").Type(nil)
	if !setIndex(inner, outer.Index()) {
		t.Fatal("the index is not in the file")
	}
	if _, err := Open(bfbs); err == nil || !strings.Contains(err.Error(), "contains itself") {
		t.Errorf("got %v", err)
	}
}

func TestOpenBoundsSize(t *testing.T) {
	t.Parallel()
	if _, err := Open(make([]byte, MaxBFBS+1)); err == nil || !strings.Contains(err.Error(), "more than the") {
		t.Errorf("got %v", err)
	}
}
