package eventstore

import (
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/commit"
)

// chunkEvents is how many events a chunk takes before the next batch opens a
// new one, and 1/chunksOfTail of the tail's bound how many bytes. The tail is
// trimmed by whole chunks: one of large records must not be most of it.
const (
	chunkEvents  = 1024
	chunksOfTail = 16
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

// tail is one state of the recent events: all of (base, head]. It never
// changes, and may be kept as long as one likes.
type tail struct {
	chunks []*chunk // in order; each ends where the next begins
	base   uint64
	head   place
	bytes  int64
	recent *recent
}

// chunk holds whole batches. It only ever grows, at its end, and whoever reads
// it looks no further than its tail's head.
type chunk struct {
	base  uint64 // events[i] has position base+1+i
	bytes int64  // guarded by the mutex of recent

	mu     sync.RWMutex
	events []event.Event
	lists  map[list][]uint32 // offsets into events, ascending
	ones   []uint32          // room for lists with one event, which most are
	keys   map[string]uint32 // offset of the append's first event
}

// recent publishes the tail. Publishing and trimming come from two goroutines;
// taking a snapshot is one atomic load.
type recent struct {
	current atomic.Pointer[tail]
	// versions may be ahead of current: of a batch that is being published, of a
	// chunk that was just trimmed.
	versions *versions

	mu      sync.Mutex // serializes publish and trim
	max     int64      // bytes
	chunk   int        // events
	trimmed chan struct{}
	stopped error
}

func newRecent(head place, maxBytes int64, chunk int) *recent {
	r := &recent{max: maxBytes, chunk: chunk, versions: newVersions(), trimmed: make(chan struct{})}
	r.current.Store(&tail{base: head.position, head: head, recent: r})
	return r
}

func (r *recent) snapshot() *tail { return r.current.Load() }

// publish adds a committed batch.
func (r *recent) publish(events []event.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.current.Load()
	next := &tail{chunks: old.chunks, base: old.base, head: placeOf(events[len(events)-1]), bytes: old.bytes, recent: r}
	if n := len(next.chunks); n == 0 || r.full(next.chunks[n-1]) {
		c := &chunk{base: old.head.position, lists: make(map[list][]uint32), keys: make(map[string]uint32)}
		next.chunks = append(next.chunks[:n:n], c)
	}
	next.bytes += next.chunks[len(next.chunks)-1].add(events)
	r.versions.add(events)
	r.current.Store(next)
}

// full reports whether the chunk takes no more. mu is held.
func (r *recent) full(c *chunk) bool {
	return c.len() >= r.chunk || c.bytes >= r.max/chunksOfTail
}

// trim drops what log and index have up to position, by whole chunks.
func (r *recent) trim(position uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.current.Load()
	next := *old
	for len(next.chunks) > 0 {
		c := next.chunks[0]
		last := c.base + uint64(c.len())
		if last > position {
			break
		}
		next.chunks, next.base, next.bytes = next.chunks[1:], last, next.bytes-c.bytes
	}
	if next.base == old.base {
		return
	}
	dropped := old.chunks[:len(old.chunks)-len(next.chunks)]
	next.chunks = append([]*chunk(nil), next.chunks...) // lets go of the dropped ones
	r.current.Store(&next)
	for _, c := range dropped {
		r.versions.forget(c, next.base)
	}
	close(r.trimmed)
	r.trimmed = make(chan struct{})
}

// stop ends all waiting for room, now and from now on: nothing will be trimmed
// any more.
func (r *recent) stop(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = err
	close(r.trimmed)
	r.trimmed = make(chan struct{})
}

// room returns nil when the tail is below its bound, and otherwise a channel
// that the next trim closes.
func (r *recent) room() (trimmed <-chan struct{}, err error) {
	if r.snapshot().bytes <= r.max {
		return nil, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped != nil {
		return nil, r.stopped
	}
	if r.snapshot().bytes <= r.max {
		return nil, nil
	}
	return r.trimmed, nil
}

func (c *chunk) len() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.events)
}

func (c *chunk) add(events []event.Event) (bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range events {
		offset := uint32(len(c.events))
		c.events = append(c.events, e)
		bytes += int64(len(e.Record()))
		for l := range lists(e) {
			switch on := c.lists[l]; {
			case len(on) == 0:
				c.lists[l] = c.one(offset)
			case on[len(on)-1] != offset:
				c.lists[l] = append(on, offset)
			}
		}
		if key := e.BatchKey(); key != "" && e.BatchSeq() == 0 {
			c.keys[key] = offset
		}
	}
	c.bytes += bytes
	return bytes
}

// one makes a list of one event.
func (c *chunk) one(offset uint32) []uint32 {
	n := len(c.ones)
	if n == cap(c.ones) {
		c.ones, n = make([]uint32, 0, chunkEvents), 0
	}
	c.ones = append(c.ones, offset)
	return c.ones[n : n+1 : n+1]
}

// on returns the offsets of a list, of which the caller must leave out those
// beyond its head.
func (c *chunk) on(l list) []uint32 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.lists[l]
}

func (c *chunk) all() []event.Event {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.events
}

// visible is how many events of the chunk are not beyond the tail's head.
func (t *tail) visible(c *chunk) int {
	return int(t.head.position - c.base)
}

// at returns the event at a position in (base, head].
func (t *tail) at(position uint64) event.Event {
	c := t.chunks[t.chunkOf(position)]
	return c.all()[position-c.base-1]
}

// after is [logView.after] for the events of the tail.
func (t *tail) after(id event.ID, inclusive bool) (position uint64, ok bool) {
	n := int(t.head.position - t.base)
	i := sort.Search(n, func(i int) bool { return t.at(t.base+1+uint64(i)).ID().Compare(id) >= 0 })
	if i == n {
		return 0, false
	}
	position = t.base + 1 + uint64(i)
	if !inclusive && t.at(position).ID() == id {
		return position, true
	}
	return position - 1, true
}

// chunkOf returns the index of the chunk that holds the position.
func (t *tail) chunkOf(position uint64) int {
	return sort.Search(len(t.chunks), func(i int) bool { return t.chunks[i].base >= position }) - 1
}

// Head, Base, Version, Match and Earlier make a tail a [commit.State].
var _ commit.State = (*tail)(nil)

func (t *tail) Head() (uint64, event.ID) { return t.head.position, t.head.id }
func (t *tail) Base() uint64             { return t.base }

func (t *tail) Version(stream string) (uint64, bool) {
	end, ok := t.recent.versions.of(stream)
	switch {
	case ok && end.position <= t.base:
		return 0, false
	case ok && end.position <= t.head.position:
		return end.version, true
	case !ok && t.recent.snapshot().base == t.base:
		return 0, false
	}
	return t.searchVersion(stream)
}

// searchVersion is for a tail that is not the current one any more: the stream
// has gone on since, or what was trimmed since was its end.
func (t *tail) searchVersion(stream string) (uint64, bool) {
	for i := len(t.chunks) - 1; i >= 0; i-- {
		c := t.chunks[i]
		on := c.on(list{byStream, stream})
		n := sort.Search(len(on), func(j int) bool { return int(on[j]) >= t.visible(c) })
		if n > 0 {
			return c.all()[on[n-1]].Version(), true
		}
	}
	return 0, false
}

func (t *tail) Match(q event.Query, after uint64) uint64 {
	h, _ := planQuery(t, q, false).seek(max(after, t.base) + 1) // a tail has no errors
	if !h.ok {
		return 0
	}
	return h.position
}

func (t *tail) Earlier(key string) *commit.Earlier {
	for _, c := range slices.Backward(t.chunks) {
		c.mu.RLock()
		offset, ok := c.keys[key]
		c.mu.RUnlock()
		if ok && int(offset) < t.visible(c) {
			events := c.all()[offset:]
			return commit.EarlierOf(events[:events[0].BatchSize()])
		}
	}
	return nil
}

// postings makes a tail a source of lists.
func (t *tail) postings(l list, backward bool) postings {
	return &tailPostings{tail: t, list: l, backward: backward}
}

func (t *tail) everything(backward bool) postings { return &allPostings{last: t.head.position} }

func (t *tail) typesWithPrefix(prefix string) ([]string, error) {
	seen := make(map[string]bool)
	var names []string
	for _, c := range t.chunks {
		c.mu.RLock()
		for l := range c.lists {
			if l.kind == byType && strings.HasPrefix(l.name, prefix) && !seen[l.name] {
				seen[l.name] = true
				names = append(names, l.name)
			}
		}
		c.mu.RUnlock()
	}
	return names, nil
}

// tailPostings is a list of a tail.
type tailPostings struct {
	tail     *tail
	list     list
	backward bool
}

func (p *tailPostings) seek(position uint64) (hit, error) {
	t := p.tail
	if p.backward {
		if position > t.head.position {
			position = t.head.position
		}
		for i := t.chunkOf(position); i >= 0 && position > t.base; i-- {
			c := t.chunks[i]
			on := c.on(p.list)
			n := sort.Search(len(on), func(j int) bool { return c.base+1+uint64(on[j]) > position })
			if n > 0 {
				return found(c.all()[on[n-1]]), nil
			}
		}
		return hit{}, nil
	}
	if position <= t.base {
		position = t.base + 1
	}
	if position > t.head.position {
		return hit{}, nil
	}
	for _, c := range t.chunks[t.chunkOf(position):] {
		on := c.on(p.list)
		n := sort.Search(len(on), func(j int) bool { return c.base+1+uint64(on[j]) >= position })
		if n < len(on) {
			if int(on[n]) >= t.visible(c) {
				break
			}
			return found(c.all()[on[n]]), nil
		}
	}
	return hit{}, nil
}

func found(e event.Event) hit { return hit{position: e.Position(), ok: true} }
