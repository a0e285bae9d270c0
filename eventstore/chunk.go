package eventstore

import (
	"sort"
	"strings"
	"sync"

	"github.com/verbatim-es/verbatim/event"
)

// listKind is what the events of a list share.
type listKind byte

const (
	byStream listKind = iota
	byCategory
	byType
	byTag
	listKinds
)

// list names the events that share a stream, a category, a type or a tag.
type list struct {
	kind listKind
	name string
}

// lists yields the lists that an event is on, each once or more.
func lists(e event.Event) func(yield func(list) bool) {
	return func(yield func(list) bool) {
		stream := e.Stream()
		category, _ := event.SplitStream(stream)
		if !yield(list{byStream, stream}) || !yield(list{byCategory, category}) || !yield(list{byType, e.Type()}) {
			return
		}
		for tag := range e.Tags() {
			if !yield(list{byTag, tag}) {
				return
			}
		}
	}
}

// chunk has the lists of events that follow each other, whole batches, and
// nothing of their records: names are copied, each once. It only ever grows, at
// its end, and whoever reads it looks no further than its tail's head. It is also
// what the index takes up.
type chunk struct {
	base   uint64 // ids[i] is of position base+1+i
	bytes  int64  // estimated; guarded by the mutex of recent, as is sealed
	sealed bool   // grows no more

	mu    sync.RWMutex
	ids   []event.ID
	lists [listKinds]map[string]*members
	ones  []lone            // room for lists, of which most have one event
	types []string          // those there are
	keys  map[string]uint32 // offset of the append's first event
}

// members are the events of a list: offsets, ascending. Of a stream, version is
// that of the first.
type members struct {
	offsets []uint32
	version uint64
}

// lone is a list with room for one event.
type lone struct {
	members
	offset [1]uint32
}

func newChunk(base uint64) *chunk {
	c := &chunk{base: base, keys: make(map[string]uint32)}
	for kind := range c.lists {
		c.lists[kind] = make(map[string]*members)
	}
	return c
}

func (c *chunk) len() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.ids)
}

// last is the place of the last event.
func (c *chunk) last() place {
	n := c.len()
	return place{c.base + uint64(n), c.id(n - 1)}
}

func (c *chunk) id(offset int) event.ID {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.ids[offset]
}

// add takes the next events, and returns what they take in memory.
func (c *chunk) add(events []event.Event) (bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range events {
		bytes += c.addOne(e)
	}
	c.bytes += bytes
	return bytes
}

func (c *chunk) addOne(e event.Event) (bytes int64) {
	offset := uint32(len(c.ids))
	c.ids = append(c.ids, e.ID())
	bytes = queuedBytes
	for l := range lists(e) {
		on := c.lists[l.kind][l.name]
		switch {
		case on == nil:
			name := strings.Clone(l.name)
			if bytes += int64(len(name)) + listBytes; l.kind == byType {
				c.types = append(c.types, name)
			}
			c.lists[l.kind][name] = c.one(offset, e.Version())
		case on.offsets[len(on.offsets)-1] != offset: // else a tag given twice
			on.offsets = append(on.offsets, offset)
			bytes += postingBytes
		}
	}
	if key := e.BatchKey(); key != "" && e.BatchSeq() == 0 {
		c.keys[strings.Clone(key)] = offset
		bytes += int64(len(key)) + keyBytes
	}
	return bytes
}

// one makes a list of one event.
func (c *chunk) one(offset uint32, version uint64) *members {
	if len(c.ones) == 0 {
		c.ones = make([]lone, slabEvents)
	}
	l := &c.ones[0]
	c.ones = c.ones[1:]
	l.offset[0], l.offsets, l.version = offset, l.offset[:], version
	return &l.members
}

// on returns the offsets of a list, of which the caller must leave out those
// beyond its head.
func (c *chunk) on(l list) []uint32 {
	return c.members(l).offsets
}

// members are those of a list as it is now.
func (c *chunk) members(l list) members {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if on := c.lists[l.kind][l.name]; on != nil {
		return *on
	}
	return members{}
}

// version returns that of a stream as of so many events of the chunk, false when
// none of these is of the stream.
func (c *chunk) version(stream string, visible int) (uint64, bool) {
	on := c.members(list{byStream, stream})
	n := len(on.offsets)
	if n > 0 && int(on.offsets[n-1]) >= visible {
		n = sort.Search(n, func(i int) bool { return int(on.offsets[i]) >= visible })
	}
	return on.version + uint64(n) - 1, n > 0
}

func (c *chunk) keyed(key string) (offset int, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	at, ok := c.keys[key]
	return int(at), ok
}

func (c *chunk) typeNames() []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.types
}

func (c *chunk) hit(offset uint32) hit { return hit{position: c.base + 1 + uint64(offset), ok: true} }
