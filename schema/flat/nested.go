package flat

import flatbuffers "github.com/google/flatbuffers/go"

// Nested completes the buffer in inner with its root at root, copies it into b
// as a vector of bytes, and returns the vector's offset. The copy is aligned to
// 8, so that everything in it is aligned in b, too. inner goes back to the pool
// and must not be used any more.
func Nested(b, inner *flatbuffers.Builder, root flatbuffers.UOffsetT) flatbuffers.UOffsetT {
	inner.Finish(root)
	finished := inner.FinishedBytes()
	b.StartVector(1, len(finished), 8)
	at := int(b.Head()) - len(finished)
	b.Pad(len(finished))
	copy(b.Bytes[at:], finished)
	offset := b.EndVector(len(finished))
	Put(inner)
	return offset
}
