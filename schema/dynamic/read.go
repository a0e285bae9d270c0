package dynamic

import (
	"encoding/binary"
	"math"

	"github.com/verbatim-es/verbatim/schema"
)

// The functions of this file read verified bytes. Scalars are 64 bits: whole
// numbers extended by their sign, floats of either width as a float64.

func u16(buf []byte, at int) int { return int(binary.LittleEndian.Uint16(buf[at:])) }
func u32(buf []byte, at int) int { return int(binary.LittleEndian.Uint32(buf[at:])) }

func scalarSize(base schema.BaseType) int {
	switch base {
	case schema.Short, schema.UShort:
		return 2
	case schema.Int, schema.UInt, schema.Float:
		return 4
	case schema.Long, schema.ULong, schema.Double:
		return 8
	}
	return 1
}

func load(base schema.BaseType, buf []byte, at int) uint64 {
	b := buf[at:]
	switch base {
	case schema.Bool:
		if b[0] == 1 {
			return 1
		}
		return 0
	case schema.Byte:
		return uint64(int8(b[0]))
	case schema.Short:
		return uint64(int16(binary.LittleEndian.Uint16(b)))
	case schema.UShort:
		return uint64(binary.LittleEndian.Uint16(b))
	case schema.Int:
		return uint64(int32(binary.LittleEndian.Uint32(b)))
	case schema.UInt:
		return uint64(binary.LittleEndian.Uint32(b))
	case schema.Float:
		return math.Float64bits(float64(math.Float32frombits(binary.LittleEndian.Uint32(b))))
	case schema.Long, schema.ULong, schema.Double:
		return binary.LittleEndian.Uint64(b)
	}
	return uint64(b[0])
}

// appendScalar appends a scalar as it is in a buffer.
func appendScalar(dst []byte, base schema.BaseType, bits uint64) []byte {
	switch scalarSize(base) {
	case 1:
		return append(dst, byte(bits))
	case 2:
		return binary.LittleEndian.AppendUint16(dst, uint16(bits))
	case 4:
		if base == schema.Float {
			bits = uint64(math.Float32bits(float32(math.Float64frombits(bits))))
		}
		return binary.LittleEndian.AppendUint32(dst, uint32(bits))
	}
	return binary.LittleEndian.AppendUint64(dst, bits)
}

// find returns where the inline part of a field is in the object at pos.
func (o *object) find(buf []byte, pos int, f *field) (at int, ok bool) {
	if o.fixed {
		return pos + f.at, true
	}
	vtable := pos - int(int32(binary.LittleEndian.Uint32(buf[pos:])))
	if f.at >= u16(buf, vtable) {
		return 0, false
	}
	offset := u16(buf, vtable+f.at)
	return pos + offset, offset != 0
}

// scalar returns a field's value, which is none when it is absent and optional.
func (o *object) scalar(buf []byte, pos int, f *field) (bits uint64, ok bool) {
	if at, ok := o.find(buf, pos, f); ok {
		return load(f.base, buf, at), true
	}
	return f.absent, !f.optional
}

// follow returns where the reference at position at leads.
func follow(buf []byte, at int) int { return at + u32(buf, at) }

// contents returns the bytes of the string or [ubyte] that is referred to.
func contents(buf []byte, at int) []byte {
	start := follow(buf, at)
	end := start + lengthSize + u32(buf, start)
	return buf[start+lengthSize : end : end]
}

// elements returns the place of the first element, and how many there are, of
// the list referred to at position at, or the array there.
func (s *shape) elements(buf []byte, at int) (first, count int) {
	if s.kind == array {
		return at, s.length
	}
	start := follow(buf, at)
	return start + lengthSize, u32(buf, start)
}

// member returns the type of the union value in the table at pos, nil for NONE.
func (o *object) member(buf []byte, pos int, f *field) *enumValue {
	bits, _ := o.scalar(buf, pos, f.tag)
	v := f.enum.byValue[int64(bits)]
	if v == nil || v.member == nil {
		return nil
	}
	return v
}
