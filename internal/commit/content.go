package commit

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"

	"github.com/verbatim-es/verbatim/event"
)

// Content identifies what an append says: the first 16 bytes of a SHA-256 over
// its events' streams, types, schemas, data, tags, causations, correlations and
// metadata. It can be computed from stored records as well as from proposed
// ones, so keys survive everything that the log survives.
type Content [16]byte

// ContentOf returns the content of an append from its events, all of them, in
// order.
func ContentOf(events []event.Event) (c Content) {
	h := contentHash{sha256.New()}
	h.number(uint64(len(events)))
	for _, e := range events {
		h.bytes([]byte(e.Stream()))
		h.bytes([]byte(e.Type()))
		h.number(e.Schema())
		h.bytes(e.Data())
		for tag := range e.Tags() {
			h.bytes([]byte(tag))
		}
		h.end()
		causation, correlation := e.Causation(), e.Correlation()
		h.bytes(causation[:])
		h.bytes(correlation[:])
		for key, value := range e.Metadata() {
			h.bytes([]byte(key))
			h.bytes([]byte(value))
		}
		h.end()
	}
	copy(c[:], h.Sum(nil))
	return c
}

// contentHash frames what it hashes, so that no two different appends feed it
// the same bytes.
type contentHash struct{ hash.Hash }

func (h contentHash) number(n uint64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	h.Write(b[:])
}

func (h contentHash) bytes(b []byte) {
	h.number(uint64(len(b)))
	h.Write(b)
}

// end closes a list: no length is that large.
func (h contentHash) end() { h.number(^uint64(0)) }
