package verify

import (
	"fmt"

	flatbuffers "github.com/google/flatbuffers/go"

	"github.com/verbatim-es/verbatim/internal/fb/reflection"
)

// walker reads everything in a buffer that a schema knows, through the same
// primitives as flatc's accessors and with no check of its own, as any
// generated code might. What the plan accepted must survive it.
type walker struct {
	binary *Binary
	data   []byte
	visits int
	sum    uint64 // so that reads are not optimized away
}

// maxVisits is more than any budget of the corpus' buffers allows.
const maxVisits = 1 << 20

// walkAll reads the buffer at data[at:] as a table of that name. It panics
// when an accessor does, when a slice leaves data, or when it does not end.
func walkAll(binary *Binary, table string, data []byte, at flatbuffers.UOffsetT) uint64 {
	// Accessors slice up to the capacity, so give them some to run into.
	roomy := make([]byte, len(data), 2*len(data)+64)
	copy(roomy, data)
	w := &walker{binary: binary, data: roomy}
	w.root(binary.byName[table], roomy, at)
	return w.sum
}

func (w *walker) root(index int, data []byte, at flatbuffers.UOffsetT) {
	outer := w.data
	w.data = data
	w.table(index, flatbuffers.Table{Bytes: data, Pos: flatbuffers.GetUOffsetT(data[at:]) + at})
	w.data = outer
}

func (w *walker) visit() {
	if w.visits++; w.visits > maxVisits {
		panic("the walk does not end")
	}
}

// bytes reads a slice that an accessor gave.
func (w *walker) bytes(b []byte) {
	w.visit()
	if end := cap(w.data) - cap(b) + len(b); end > len(w.data) {
		panic(fmt.Sprintf("a slice ends at %d, outside the buffer of %d", end, len(w.data)))
	}
	for _, c := range b {
		w.sum += uint64(c)
	}
}

func (w *walker) table(index int, t flatbuffers.Table) {
	w.visit()
	object := w.binary.objects[index]
	for i := range object.FieldsLength() {
		field := new(reflection.Field)
		object.Fields(field, i)
		offset := flatbuffers.UOffsetT(t.Offset(flatbuffers.VOffsetT(field.Offset())))
		if offset == 0 {
			if field.Required() {
				panic("a required field is absent: " + string(field.Name()))
			}
			continue
		}
		typ := field.Type(nil)
		switch base := typ.BaseType(); base {
		case reflection.BaseTypeString:
			w.bytes(t.ByteVector(t.Pos + offset))
		case reflection.BaseTypeObj:
			if object := w.binary.objects[typ.Index()]; object.IsStruct() {
				w.inline(typ, t, t.Pos+offset)
			} else {
				w.table(int(typ.Index()), flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(t.Pos + offset)})
			}
		case reflection.BaseTypeUnion:
			w.union(w.binary.enums[typ.Index()], t, field.Offset(), offset)
		case reflection.BaseTypeVector:
			w.vector(object, field, t, offset)
		default:
			w.inline(typ, t, t.Pos+offset)
		}
	}
}

func (w *walker) union(union *reflection.Enum, t flatbuffers.Table, slot uint16, offset flatbuffers.UOffsetT) {
	var tag byte
	if at := t.Offset(flatbuffers.VOffsetT(slot - 2)); at != 0 {
		tag = t.GetByte(t.Pos + flatbuffers.UOffsetT(at))
	}
	var value reflection.EnumVal
	for i := range union.ValuesLength() {
		union.Values(&value, i)
		if value.Value() == int64(tag) && tag != 0 {
			var member flatbuffers.Table
			t.Union(&member, offset)
			w.table(int(value.UnionType(nil).Index()), member)
			return
		}
	}
	panic(fmt.Sprintf("a union of unknown tag %d", tag))
}

func (w *walker) vector(object *reflection.Object, field *reflection.Field, t flatbuffers.Table, offset flatbuffers.UOffsetT) {
	typ := field.Type(nil)
	start, count := t.Vector(offset), t.VectorLen(offset)
	switch element := typ.Element(); {
	case element == reflection.BaseTypeString:
		for i := range count {
			w.bytes(t.ByteVector(start + flatbuffers.UOffsetT(i*4)))
		}
	case element == reflection.BaseTypeObj && !w.binary.objects[typ.Index()].IsStruct():
		for i := range count {
			w.table(int(typ.Index()), flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(start + flatbuffers.UOffsetT(i*4))})
		}
	case element == reflection.BaseTypeObj:
		size := int(w.binary.objects[typ.Index()].Bytesize())
		for i := range count {
			w.inline(typ, t, start+flatbuffers.UOffsetT(i*size))
		}
	case element == reflection.BaseTypeUByte:
		b := t.ByteVector(t.Pos + offset)
		w.bytes(b)
		if name, ok := attribute(field, "nested_flatbuffer"); ok {
			c := compiler{binary: w.binary}
			target, _ := c.lookup(string(object.Name()), name)
			w.root(target, b[:len(b):len(b)], 0)
		}
	default:
		size := int(scalarSizes[element])
		for i := range count {
			w.scalar(element, t, start+flatbuffers.UOffsetT(i*size))
		}
	}
}

// inline reads a scalar, a struct or an array in a struct.
func (w *walker) inline(typ *reflection.Type, t flatbuffers.Table, at flatbuffers.UOffsetT) {
	base := typ.BaseType()
	if base == reflection.BaseTypeVector {
		base = typ.Element()
	}
	switch base {
	case reflection.BaseTypeArray:
		for i := range int(typ.FixedLength()) {
			if typ.Element() != reflection.BaseTypeObj {
				w.scalar(typ.Element(), t, at+flatbuffers.UOffsetT(i*int(scalarSizes[typ.Element()])))
			}
		}
	case reflection.BaseTypeObj:
		object := w.binary.objects[typ.Index()]
		for i := range object.FieldsLength() {
			field := new(reflection.Field)
			object.Fields(field, i)
			w.inline(field.Type(nil), t, at+flatbuffers.UOffsetT(field.Offset()))
		}
	default:
		w.scalar(base, t, at)
	}
}

func (w *walker) scalar(base reflection.BaseType, t flatbuffers.Table, at flatbuffers.UOffsetT) {
	w.visit()
	size := scalarSizes[base]
	if uint32(at)%size != 0 {
		panic(fmt.Sprintf("a scalar of %d bytes at byte %d", size, at))
	}
	if uint32(at)+size > uint32(len(w.data)) {
		panic(fmt.Sprintf("a scalar at byte %d, outside the buffer of %d", at, len(w.data)))
	}
	switch size {
	case 1:
		w.sum += uint64(t.GetUint8(at))
	case 2:
		w.sum += uint64(t.GetUint16(at))
	case 4:
		w.sum += uint64(t.GetUint32(at))
	case 8:
		w.sum += t.GetUint64(at)
	}
}
