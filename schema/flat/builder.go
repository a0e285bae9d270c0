package flat

import (
	"sync"

	flatbuffers "github.com/google/flatbuffers/go"
)

const (
	// initialSize holds most events without growing.
	initialSize = 1 << 10
	// maxPooled bounds what an idle builder may hold on to: one huge event
	// must not cost its memory for ever.
	maxPooled = 256 << 10
)

var builders = sync.Pool{
	New: func() any { return flatbuffers.NewBuilder(initialSize) },
}

// Get returns an empty builder from the pool. It belongs to the caller until
// [Finish], [FinishSizePrefixed] or [Put] takes it back. A builder abandoned
// in the middle, by a panic for instance, need not be given back.
func Get() *flatbuffers.Builder {
	return builders.Get().(*flatbuffers.Builder)
}

// Finish completes the buffer in b with its root at root and returns the bytes
// in a slice of exactly their length. They are the caller's own: b goes back to
// the pool and must not be used any more, nor anything obtained from it.
func Finish(b *flatbuffers.Builder, root flatbuffers.UOffsetT) []byte {
	b.Finish(root)
	return take(b)
}

// FinishSizePrefixed is [Finish] for a buffer that begins with its length as
// four little-endian bytes, the form of stored records and rows. Alignment
// counts from the prefix.
func FinishSizePrefixed(b *flatbuffers.Builder, root flatbuffers.UOffsetT) []byte {
	b.FinishSizePrefixed(root)
	return take(b)
}

// Put gives an unfinished builder back to the pool. It must not be used any more.
func Put(b *flatbuffers.Builder) {
	if cap(b.Bytes) > maxPooled {
		return
	}
	b.Reset()
	builders.Put(b)
}

// take copies before the builder can have a second owner: FinishedBytes aliases
// the builder's own memory, which its next user overwrites.
func take(b *flatbuffers.Builder) []byte {
	finished := b.FinishedBytes()
	own := make([]byte, len(finished))
	copy(own, finished)
	Put(b)
	return own
}
