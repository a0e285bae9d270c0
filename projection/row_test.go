package projection

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/verbatim-es/verbatim/schema"
)

// oneField is a row with one field of that many bytes.
func oneField(bits uint64, size int) []byte {
	row := make([]byte, 4+4+8+4+8)
	le := binary.LittleEndian
	le.PutUint32(row, uint32(len(row)-4)) // its length
	le.PutUint32(row[4:], 12)             // its table is at 16,
	le.PutUint16(row[8:], 6)              // with a vtable of one entry at 8,
	le.PutUint16(row[10:], uint16(4+size))
	le.PutUint16(row[12:], 4) // which says that the field is at 20
	le.PutUint32(row[16:], 8)
	var value [8]byte
	le.PutUint64(value[:], bits)
	copy(row[20:20+size], value[:])
	return row
}

// The values of a column of any scalar type, in their order: whatever the type's
// width and sign, the bytes of their keys have the same.
func TestEveryScalarKeepsItsOrder(t *testing.T) {
	t.Parallel()
	signed := func(width uint, values ...int64) (bits []uint64) {
		for _, v := range append([]int64{math.MinInt64 >> (64 - width)}, append(values, math.MaxInt64>>(64-width))...) {
			bits = append(bits, uint64(v))
		}
		return bits
	}
	unsigned := func(width uint) []uint64 {
		return []uint64{0, 1, 1<<(width-1) - 1, 1 << (width - 1), math.MaxUint64 >> (64 - width)}
	}
	double := []float64{math.Inf(-1), -math.MaxFloat64, -1.5, -math.SmallestNonzeroFloat64, math.Copysign(0, -1), math.SmallestNonzeroFloat64, 1.5, math.MaxFloat64, math.Inf(1), math.NaN()}
	var doubles, floats []uint64
	for _, f := range double {
		doubles = append(doubles, math.Float64bits(f))
	}
	for _, f := range []float32{float32(math.Inf(-1)), -math.MaxFloat32, -1.5, -math.SmallestNonzeroFloat32, 0, math.SmallestNonzeroFloat32, 1.5, math.MaxFloat32, float32(math.Inf(1)), float32(math.NaN())} {
		floats = append(floats, uint64(math.Float32bits(f)))
	}
	for base, of := range map[schema.BaseType]struct {
		size   int
		values []uint64
	}{
		schema.Bool: {1, []uint64{0, 1}}, schema.Byte: {1, signed(8, -1, 0, 1)}, schema.UByte: {1, unsigned(8)}, schema.UType: {1, unsigned(8)},
		schema.Short: {2, signed(16, -1, 0, 1)}, schema.UShort: {2, unsigned(16)}, schema.Int: {4, signed(32, -1, 0, 1)}, schema.UInt: {4, unsigned(32)},
		schema.Long: {8, signed(64, -1, 0, 1)}, schema.ULong: {8, unsigned(64)}, schema.Float: {4, floats}, schema.Double: {8, doubles},
	} {
		for _, optional := range []bool{false, true} {
			c, ok := newColumn(&schema.Field{Name: "f", Type: schema.Type{Base: base}, Offset: 4, Optional: optional})
			if !ok || c.Nullable != optional {
				t.Fatalf("%v: no column, or nullable %v", base, c.Nullable)
			}
			key := appendValue(nil, Value{}) // absent: before all of them
			for _, bits := range of.values {
				v := c.value(oneField(bits, of.size))
				next := appendValue(nil, v)
				if v.Kind() != c.Kind || bytes.Compare(key, next) >= 0 {
					t.Errorf("%v: %v is not behind what is less: %x, %x", base, v, key, next)
				}
				key = next
			}
		}
	}
}
