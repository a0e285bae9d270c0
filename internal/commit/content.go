package commit

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"slices"

	"github.com/verbatim-es/verbatim/event"
)

// Content identifies what an append says but for its tags: the first 16 bytes of
// a SHA-256 over its events' streams, types, data, causations, correlations and
// metadata. It can be computed from stored records as well as from proposed
// ones, so keys survive everything that the log survives. Which version of the
// schema an event was checked against is no content: who tries again may have
// been updated meanwhile.
type Content [16]byte

// ContentOf returns the content of an append from its events, all of them, in
// order.
func ContentOf(events []event.Event) (c Content) {
	h := contentHash{sha256.New()}
	h.number(uint64(len(events)))
	for _, e := range events {
		h.bytes([]byte(e.Stream()))
		h.bytes([]byte(e.Type()))
		h.bytes(e.Data())
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

// givenTags are the tags that the caller gave each event, nil when there are
// none.
func givenTags(a *event.Append) (given [][]string) {
	for i := range a.Events {
		if tags := a.Events[i].Tags; len(tags) > 0 {
			if given == nil {
				given = make([][]string, len(a.Events))
			}
			given[i] = slices.Clone(tags)
		}
	}
	return given
}

// says reports whether the append said what the proposal says. A record does not
// tell the tags that were given from those that its schema derived, and another
// version of the schema derives others: so the proposal's given ones must be
// there, and any number beside them.
func (e *Earlier) says(p *Proposal) bool {
	if e.Content != p.Content {
		return false
	}
	for i, tags := range p.given {
		if slices.ContainsFunc(tags, func(tag string) bool { return !e.events[i].HasTag(tag) }) {
			return false
		}
	}
	return true
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
