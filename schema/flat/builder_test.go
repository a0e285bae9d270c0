package flat_test

import (
	"bytes"
	"sync"
	"testing"
	"unsafe"

	flatbuffers "github.com/google/flatbuffers/go"

	"github.com/verbatim-es/verbatim/internal/fb/es"
	"github.com/verbatim-es/verbatim/schema/flat"
)

func meta(b *flatbuffers.Builder, key string) flatbuffers.UOffsetT {
	k := b.CreateString(key)
	es.MetaStart(b)
	es.MetaAddKey(b, k)
	return es.MetaEnd(b)
}

// It is not parallel to other tests: it goes on with a builder that the pool
// may have given to one of them.
func TestFinishReturnsBytesOfItsOwn(t *testing.T) {
	b := flat.Get()
	first := flat.Finish(b, meta(b, "first"))
	// The same memory is written again, whoever gets the builder next.
	b.Reset()
	b.Finish(meta(b, "other"))
	b.Reset()
	if got := string(es.GetRootAsMeta(first, 0).Key()); got != "first" {
		t.Errorf("the finished bytes changed to %q", got)
	}
	if len(first) != cap(first) {
		t.Errorf("%d bytes in a slice of capacity %d", len(first), cap(first))
	}
}

func TestPooledBuildersAreEmpty(t *testing.T) {
	t.Parallel()
	want := func() []byte {
		b := flatbuffers.NewBuilder(0)
		b.Finish(meta(b, "key"))
		return b.FinishedBytes()
	}()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				b := flat.Get()
				if got := flat.Finish(b, meta(b, "key")); !bytes.Equal(got, want) {
					t.Errorf("got %x, want %x", got, want)
				}
				half := flat.Get()
				half.CreateString("never finished")
				flat.Put(half)
			}
		})
	}
	wg.Wait()
}

func TestFinishSizePrefixed(t *testing.T) {
	t.Parallel()
	b := flat.Get()
	data := flat.FinishSizePrefixed(b, meta(b, "key"))
	if got := flatbuffers.GetSizePrefix(data, 0); int(got) != len(data)-4 {
		t.Errorf("prefix %d before %d bytes", got, len(data)-4)
	}
	if got := string(es.GetSizePrefixedRootAsMeta(data, 0).Key()); got != "key" {
		t.Errorf("key %q", got)
	}
}

func TestString(t *testing.T) {
	t.Parallel()
	for _, b := range [][]byte{nil, {}, []byte("a"), []byte("zürich")} {
		if got := flat.String(b); got != string(b) {
			t.Errorf("String(%q) = %q", b, got)
		}
	}
	b := []byte("in place")
	if s := flat.String(b); unsafe.StringData(s) != &b[0] {
		t.Error("the string is a copy")
	}
}

func TestBytesCannotReachNeighbours(t *testing.T) {
	t.Parallel()
	buffer := []byte("vector|neighbour")
	vector := flat.Bytes(buffer[:6])
	_ = append(vector, "overwritten"...)
	if string(buffer) != "vector|neighbour" || cap(vector) != 6 {
		t.Errorf("capacity %d, buffer %q", cap(vector), buffer)
	}
	if flat.Bytes(nil) != nil {
		t.Error("nil became an empty slice")
	}
}
