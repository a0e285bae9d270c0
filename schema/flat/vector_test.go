package flat_test

import (
	"bytes"
	"math"
	"slices"
	"testing"

	flatbuffers "github.com/google/flatbuffers/go"
	"github.com/verbatim-es/verbatim/schema/flat"
)

// vectorIn finishes a buffer whose root is a table with the vector as its only
// field, and returns the table and the vector's place.
func vectorIn(build func(*flatbuffers.Builder) flatbuffers.UOffsetT) (flatbuffers.Table, flatbuffers.UOffsetT) {
	b := flat.Get()
	vector := build(b)
	b.StartObject(1)
	b.PrependUOffsetTSlot(0, vector, 0)
	data := flat.Finish(b, b.EndObject())
	table := flatbuffers.Table{Bytes: data, Pos: flatbuffers.GetUOffsetT(data)}
	return table, flatbuffers.UOffsetT(table.Offset(4))
}

func testScalars[T flat.Scalar](t *testing.T, get func(*flatbuffers.Table, flatbuffers.UOffsetT) T, size flatbuffers.UOffsetT, values ...T) {
	t.Helper()
	for n := range len(values) + 1 {
		table, at := vectorIn(func(b *flatbuffers.Builder) flatbuffers.UOffsetT { return flat.Scalars(b, values[:n]) })
		var read []T
		start := table.Vector(at)
		for i := range table.VectorLen(at) {
			read = append(read, get(&table, start+flatbuffers.UOffsetT(i)*size))
		}
		if !slices.Equal(read, values[:n]) {
			t.Errorf("%T: wrote %v, read %v", values[0], values[:n], read)
		}
		if start%size != 0 {
			t.Errorf("%T: elements of %d bytes begin at %d", values[0], size, start)
		}
	}
}

type level int16

func TestScalarsAreReadBackByFlatBuffers(t *testing.T) {
	t.Parallel()
	testScalars(t, (*flatbuffers.Table).GetBool, 1, true, false, true)
	testScalars(t, (*flatbuffers.Table).GetInt8, 1, -128, 0, 127)
	testScalars(t, (*flatbuffers.Table).GetUint8, 1, 0, 1, 255)
	testScalars(t, (*flatbuffers.Table).GetUint16, 2, 0, 1, math.MaxUint16)
	testScalars(t, (*flatbuffers.Table).GetInt32, 4, math.MinInt32, -1, math.MaxInt32)
	testScalars(t, (*flatbuffers.Table).GetFloat32, 4, -1.5, 0, math.MaxFloat32)
	testScalars(t, (*flatbuffers.Table).GetInt64, 8, math.MinInt64, -1, math.MaxInt64)
	testScalars(t, (*flatbuffers.Table).GetUint64, 8, 0, 1, math.MaxUint64)
	testScalars(t, (*flatbuffers.Table).GetFloat64, 8, -1.5, math.Inf(1), math.SmallestNonzeroFloat64)
	testScalars(t, func(table *flatbuffers.Table, at flatbuffers.UOffsetT) level {
		return level(table.GetInt16(at))
	}, 2, level(-3), level(7))
}

func TestStringsAreReadBackByFlatBuffers(t *testing.T) {
	t.Parallel()
	var values []string
	for i := range 40 { // more than fit without allocating
		values = append(values, string(bytes.Repeat([]byte{'a' + byte(i%26)}, i)))
	}
	for _, n := range []int{0, 1, 16, 17, 40} {
		table, at := vectorIn(func(b *flatbuffers.Builder) flatbuffers.UOffsetT { return flat.Strings(b, values[:n]) })
		var read []string
		for i := range table.VectorLen(at) {
			read = append(read, string(table.ByteVector(table.Vector(at)+flatbuffers.UOffsetT(i)*4)))
		}
		if !slices.Equal(read, values[:n]) {
			t.Errorf("wrote %q, read %q", values[:n], read)
		}
	}
}
