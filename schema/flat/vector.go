package flat

import (
	"unsafe"

	flatbuffers "github.com/google/flatbuffers/go"
)

// Scalar is what a vector holds inline: numbers, bools and enums.
type Scalar interface {
	~bool | ~int8 | ~uint8 | ~int16 | ~uint16 | ~int32 | ~uint32 | ~int64 | ~uint64 | ~float32 | ~float64
}

// Scalars builds a vector of the elements of v in b and returns its offset.
func Scalars[T Scalar](b *flatbuffers.Builder, v []T) flatbuffers.UOffsetT {
	size := int(unsafe.Sizeof(*new(T)))
	b.StartVector(size, len(v), size)
	for i := len(v) - 1; i >= 0; i-- {
		// A pointer to an element may be read as an unsigned integer of the
		// same size: all of T's types are plain bits, and a bool is 0 or 1.
		p := unsafe.Pointer(&v[i])
		switch size {
		case 1:
			b.PrependUint8(*(*uint8)(p))
		case 2:
			b.PrependUint16(*(*uint16)(p))
		case 4:
			b.PrependUint32(*(*uint32)(p))
		case 8:
			b.PrependUint64(*(*uint64)(p))
		}
	}
	return b.EndVector(len(v))
}

// Strings builds a vector of the strings of v in b and returns its offset.
func Strings(b *flatbuffers.Builder, v []string) flatbuffers.UOffsetT {
	var few [16]flatbuffers.UOffsetT // enough for most without allocating
	offsets := few[:0]
	for _, s := range v {
		offsets = append(offsets, b.CreateString(s))
	}
	return b.CreateVectorOfTables(offsets)
}
