package eventstore

import (
	"sort"
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
	lists [listKinds]memberships
	keys  memberships // the first events of appends
}

func newChunk(base uint64) *chunk {
	c := &chunk{base: base, keys: newMemberships()}
	for kind := range c.lists {
		c.lists[kind] = newMemberships()
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
		_, more := c.lists[l.kind].add(l.name, offset, e.Version())
		bytes += more
	}
	if key := e.BatchKey(); key != "" && e.BatchSeq() == 0 {
		_, more := c.keys.add(key, offset, 0)
		bytes += more
	}
	return bytes
}

// on returns the offsets of a list, of which the caller must leave out those
// beyond its head, and the version of the first.
func (c *chunk) on(l list) (offsets []uint32, version uint64) { return c.of(&c.lists[l.kind], l.name) }

func (c *chunk) of(m *memberships, name string) (offsets []uint32, version uint64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	number := m.find(m.table.HashString(name), name)
	if number < 0 {
		return nil, 0
	}
	l := &m.lists[number]
	return m.offsets(l), l.version
}

// numbered returns the offsets of a list by its number.
func (c *chunk) numbered(kind listKind, number int32) []uint32 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	m := &c.lists[kind]
	return m.offsets(&m.lists[number])
}

// version returns that of a stream as of so many events of the chunk, false when
// none of these is of the stream.
func (c *chunk) version(stream string, visible int) (uint64, bool) {
	on, first := c.on(list{byStream, stream})
	n := len(on)
	if n > 0 && int(on[n-1]) >= visible {
		n = sort.Search(n, func(i int) bool { return int(on[i]) >= visible })
	}
	return first + uint64(n) - 1, n > 0
}

// keyed returns the offset of the first event of the last append that used a key.
func (c *chunk) keyed(key string) (offset int, ok bool) {
	on, _ := c.of(&c.keys, key)
	if len(on) == 0 {
		return 0, false
	}
	return int(on[len(on)-1]), true
}

// typeNames are the types that there are.
func (c *chunk) typeNames() (names []string) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	types := &c.lists[byType]
	for number := range types.lists {
		names = append(names, types.name(int32(number)))
	}
	return names
}

func (c *chunk) hit(offset uint32) hit { return hit{position: c.base + 1 + uint64(offset), ok: true} }
