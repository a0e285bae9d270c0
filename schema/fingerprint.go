package schema

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"sync"

	flatbuffers "github.com/google/flatbuffers/go"

	"github.com/verbatim-es/verbatim/internal/fb/reflection"
)

// digest returns the sha-256 of everything that a verified binary schema says,
// its comments excepted: two compilations of one schema have the same digest,
// with and without --bfbs-comments, however flatc laid the bytes out.
//
// What is hashed is the binary schema as a listing, docs/FORMAT.md has it: a
// table is its present fields in the order of their ids, each the id in two
// bytes and the value, and then 0xffff. Scalars take their size, unless they
// equal their default, which counts as absent; strings and vectors are their
// length in four bytes and the elements. Integers are little endian.
func digest(root *reflection.Schema) [sha256.Size]byte {
	table := root.Table()
	return sha256.Sum256(listingOfSchemas().append(nil, &table))
}

// fingerprintOf shortens a digest to what a record holds.
func fingerprintOf(digest [sha256.Size]byte) uint64 {
	return binary.BigEndian.Uint64(digest[:])
}

// endOfTable is no field's id: ids have at most 15 bits.
const endOfTable = 0xffff

// listing says how the tables of one kind are listed.
type listing struct{ fields []listedField }

type listedField struct {
	id      uint16
	base    BaseType
	size    int // of a scalar
	element BaseType
	tables  *listing // of a table, and of a vector of tables
}

// listingOfSchemas follows the schema of binary schemas that is compiled into
// this module. Deprecated fields are left out: no accessor reads them.
var listingOfSchemas = sync.OnceValue(func() *listing {
	root := reflection.GetRootAsSchema(reflection.BFBS, 0)
	kinds := make([]*listing, root.ObjectsLength())
	for i := range kinds {
		kinds[i] = new(listing)
	}
	var main *listing
	for i, kind := range kinds {
		var object reflection.Object
		root.Objects(&object, i)
		if string(object.Name()) == "reflection.Schema" {
			main = kind
		}
		for j := range object.FieldsLength() {
			var field reflection.Field
			object.Fields(&field, j)
			if field.Deprecated() || string(field.Name()) == "documentation" {
				continue
			}
			typ := field.Type(nil)
			f := listedField{
				id: field.Id(), base: BaseType(typ.BaseType()), size: int(typ.BaseSize()), element: BaseType(typ.Element()),
			}
			if f.base == Obj || f.element == Obj {
				f.tables = kinds[typ.Index()]
			}
			kind.fields = append(kind.fields, f)
		}
		slices.SortFunc(kind.fields, func(a, b listedField) int { return int(a.id) - int(b.id) })
	}
	return main
})

func (l *listing) append(dst []byte, t *flatbuffers.Table) []byte {
	for i := range l.fields {
		f := &l.fields[i]
		offset := t.Offset(flatbuffers.VOffsetT(4 + 2*f.id))
		if offset == 0 {
			continue
		}
		at := t.Pos + flatbuffers.UOffsetT(offset)
		dst = binary.LittleEndian.AppendUint16(dst, f.id)
		if f.base.Scalar() {
			dst = append(dst, t.Bytes[at:][:f.size]...)
			continue
		}
		switch f.base {
		case String:
			dst = appendListed(dst, t.ByteVector(at))
		case Vector:
			dst = f.appendVector(dst, t, at)
		default:
			dst = f.tables.append(dst, &flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(at)})
		}
	}
	return binary.LittleEndian.AppendUint16(dst, endOfTable)
}

// appendVector lists a vector of tables or strings: there are no others.
func (f *listedField) appendVector(dst []byte, t *flatbuffers.Table, at flatbuffers.UOffsetT) []byte {
	start, count := t.Vector(at-t.Pos), t.VectorLen(at-t.Pos)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(count))
	for i := range count {
		element := start + flatbuffers.UOffsetT(4*i)
		if f.element == String {
			dst = appendListed(dst, t.ByteVector(element))
		} else {
			dst = f.tables.append(dst, &flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(element)})
		}
	}
	return dst
}

func appendListed(dst, text []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(text)))
	return append(dst, text...)
}
