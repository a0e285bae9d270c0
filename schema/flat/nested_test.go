package flat_test

import (
	"bytes"
	"strings"
	"testing"

	flatbuffers "github.com/google/flatbuffers/go"

	"github.com/verbatim-es/verbatim/internal/fb/es"
	"github.com/verbatim-es/verbatim/schema/flat"
)

// Whatever lies before and behind it, a nested buffer is the same bytes as one
// of its own, at a multiple of 8.
func TestNestedIsTheBufferAligned(t *testing.T) {
	t.Parallel()
	for length := range 40 {
		key := strings.Repeat("k", length)
		b := flat.Get()
		want := flat.Finish(b, meta(b, key))
		table, at := vectorIn(func(b *flatbuffers.Builder) flatbuffers.UOffsetT {
			b.CreateString(key[:length/3])
			inner := flat.Get()
			offset := flat.Nested(b, inner, meta(inner, key))
			b.CreateString(key[:length/2])
			return offset
		})
		start := table.Vector(at)
		got := table.Bytes[start : int(start)+table.VectorLen(at)]
		if !bytes.Equal(got, want) || start%8 != 0 {
			t.Errorf("key of %d bytes: %x at %d, want %x", length, got, start, want)
		}
		if read := string(es.GetRootAsMeta(got, 0).Key()); read != key {
			t.Errorf("key %q, want %q", read, key)
		}
	}
}
