package eventstore

import (
	"cmp"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/commit"
)

// slabEvents is how many events a slab takes before the next batch opens a new
// one, and chunkEvents how many a chunk. 1/partsOfTail of the tail's bound is how
// many bytes either takes: the tail lets go of whole ones, and one of large
// records must not be most of it. Chunks are larger since each names its lists.
const (
	slabEvents  = 1024
	chunkEvents = 32 << 10
	partsOfTail = 16
)

// What something in the tail takes in memory, beside its own bytes. Lists and
// slices have room to grow, of which half is counted.
const (
	heldBytes    = 64 // an event's record, in a slab
	queuedBytes  = 24 // an event's id, in a chunk
	postingBytes = 8  // an event on a list
	listBytes    = 64 // a list, with the first one
)

// tail is one state of the recent events. It never changes, and may be kept as
// long as one likes.
//
// It has the records of (held, head], which the log has not taken up, and the
// lists of (base, head], which the index has not: a tenth of the bytes, so that
// the index can follow rarely, by many events at a time. What is on a list and
// not held is in the log.
type tail struct {
	slabs  []*slab // in order; each ends where the next begins
	held   uint64
	chunks []*chunk // as slabs
	base   uint64
	head   place
	// recordBytes are in slabs, listBytes in chunks, overhead included.
	recordBytes, listBytes int64
}

// bytes is what the tail takes in memory.
func (t *tail) bytes() int64 { return t.recordBytes + t.listBytes }

// slab holds the records of whole batches. It only ever grows, at its end, and
// whoever reads it looks no further than its tail's head.
type slab struct {
	base  uint64 // events[i] has position base+1+i
	bytes int64  // guarded by the mutex of recent

	mu     sync.RWMutex
	events []event.Event
}

// recent publishes the tail. Publishing and letting go come from several
// goroutines; taking a snapshot is one atomic load.
type recent struct {
	current atomic.Pointer[tail]

	mu      sync.Mutex // serializes changes
	max     int64      // bytes
	slab    int        // events
	chunk   int        // events
	freed   chan struct{}
	stopped error
}

// newRecent makes an empty tail behind head. Slabs and chunks take so many
// events, 0 for as many as is best.
func newRecent(head place, maxBytes int64, events int) *recent {
	r := &recent{max: maxBytes, slab: cmp.Or(events, slabEvents), chunk: cmp.Or(events, chunkEvents), freed: make(chan struct{})}
	r.current.Store(&tail{held: head.position, base: head.position, head: head})
	return r
}

func (r *recent) snapshot() *tail { return r.current.Load() }

// publish adds a committed batch.
func (r *recent) publish(events []event.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.current.Load()
	next := *old
	next.head = placeOf(events[len(events)-1])
	if n := len(next.slabs); n == 0 || r.full(next.slabs[n-1].len(), r.slab, next.slabs[n-1].bytes) {
		next.slabs = append(next.slabs[:n:n], &slab{base: old.head.position})
	}
	next.recordBytes += next.slabs[len(next.slabs)-1].add(events)
	if n := len(next.chunks); n == 0 || next.chunks[n-1].sealed || r.full(next.chunks[n-1].len(), r.chunk, next.chunks[n-1].bytes) {
		next.chunks = append(next.chunks[:n:n], newChunk(old.head.position))
	}
	next.listBytes += next.chunks[len(next.chunks)-1].add(events)
	r.current.Store(&next)
}

// full reports whether a slab or a chunk takes no more.
func (r *recent) full(events, most int, bytes int64) bool {
	return events >= most || bytes >= r.max/partsOfTail
}

// release lets go of the records that the log has, up to position, by whole
// slabs.
func (r *recent) release(position uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next, n := *r.current.Load(), 0
	for ; n < len(next.slabs); n++ {
		last := next.slabs[n].base + uint64(next.slabs[n].len())
		if last > position {
			break
		}
		next.held, next.recordBytes = last, next.recordBytes-next.slabs[n].bytes
	}
	if n > 0 {
		next.slabs = slices.Clone(next.slabs[n:]) // holds none of the others
		r.free(&next)
	}
}

// trim drops the lists that the index has, up to position, by whole chunks.
func (r *recent) trim(position uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next, n := *r.current.Load(), 0
	for ; n < len(next.chunks); n++ {
		last := next.chunks[n].base + uint64(next.chunks[n].len())
		if last > position {
			break
		}
		next.base, next.listBytes = last, next.listBytes-next.chunks[n].bytes
	}
	if n > 0 {
		next.chunks = slices.Clone(next.chunks[n:])
		r.free(&next)
	}
}

// free makes a smaller tail the current one. mu is held.
func (r *recent) free(next *tail) {
	r.current.Store(next)
	close(r.freed)
	r.freed = make(chan struct{})
}

// seal returns the tail as it is, of which no chunk grows any more.
func (r *recent) seal() *tail {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.current.Load()
	if n := len(t.chunks); n > 0 {
		t.chunks[n-1].sealed = true
	}
	return t
}

// stop ends all waiting for room, now and from now on: nothing will be let go of
// any more.
func (r *recent) stop(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = err
	close(r.freed)
	r.freed = make(chan struct{})
}

// room returns nil when the tail is below its bound, and otherwise a channel
// that is closed when it has become smaller.
func (r *recent) room() (freed <-chan struct{}, err error) {
	if r.snapshot().bytes() <= r.max {
		return nil, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped != nil {
		return nil, r.stopped
	}
	if r.snapshot().bytes() <= r.max {
		return nil, nil
	}
	return r.freed, nil
}

func (s *slab) len() int { return len(s.all()) }

func (s *slab) all() []event.Event {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.events
}

func (s *slab) add(events []event.Event) (bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, events...)
	for _, e := range events {
		bytes += int64(len(e.Record())) + heldBytes
	}
	s.bytes += bytes
	return bytes
}

// visible is how many events of the chunk are not beyond the tail's head.
func (t *tail) visible(c *chunk) int {
	return int(t.head.position - c.base)
}

// at returns the event at a position in (held, head].
func (t *tail) at(position uint64) event.Event {
	s := t.slabs[sort.Search(len(t.slabs), func(i int) bool { return t.slabs[i].base >= position })-1]
	return s.all()[position-s.base-1]
}

// placeAt returns the place of a position in (base, head].
func (t *tail) placeAt(position uint64) place {
	c := t.chunks[t.chunkOf(position)]
	return place{position, c.id(int(position - c.base - 1))}
}

// after is [logView.after] for the events of the tail.
func (t *tail) after(id event.ID, inclusive bool) (position uint64, ok bool) {
	n := int(t.head.position - t.base)
	i := sort.Search(n, func(i int) bool { return t.placeAt(t.base+1+uint64(i)).id.Compare(id) >= 0 })
	if i == n {
		return 0, false
	}
	position = t.base + 1 + uint64(i)
	if !inclusive && t.placeAt(position).id == id {
		return position, true
	}
	return position - 1, true
}

// chunkOf returns the index of the chunk that has the position.
func (t *tail) chunkOf(position uint64) int {
	return sort.Search(len(t.chunks), func(i int) bool { return t.chunks[i].base >= position }) - 1
}

// batch returns the events of (after, limit], both between appends, or the
// first of them: whole appends, for one transaction.
func (t *tail) batch(after, limit uint64) (events []event.Event) {
	bytes := 0
	for _, s := range t.slabs {
		all := s.all()
		if s.base+uint64(len(all)) <= after {
			continue
		}
		if s.base >= limit {
			break
		}
		for _, e := range all[max(after, s.base)-s.base : min(limit-s.base, uint64(len(all)))] {
			if e.BatchSeq() == 0 && (bytes >= applyBytes || len(events) >= applyEvents) {
				return events
			}
			events = append(events, e)
			bytes += len(e.Record())
		}
	}
	return events
}

// Head, Base, Version, Match and Earlier make a tail a [commit.State].
var _ commit.State = (*tail)(nil)

func (t *tail) Head() (uint64, event.ID) { return t.head.position, t.head.id }

// Base is where the lists begin, which is enough but for a key.
func (t *tail) Base() uint64 { return t.base }

func (t *tail) Version(stream string, after uint64) (uint64, bool) {
	for _, c := range slices.Backward(t.chunks) {
		if version, ok := c.version(stream, t.visible(c)); ok {
			return version, true
		}
		if c.base <= after {
			break
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

func (t *tail) Earlier(key string, after uint64) (earlier *commit.Earlier, ok bool) {
	at, ok := t.keyed(key)
	switch {
	case !ok || at.position <= after:
		return nil, true
	case at.position <= t.held:
		return nil, false
	default:
		return t.earlierAt(at), true
	}
}

// keyed returns the place of the first event of the last append that used the
// key, among those in (base, head].
func (t *tail) keyed(key string) (place, bool) {
	for _, c := range slices.Backward(t.chunks) {
		if offset, ok := c.keyed(key); ok && offset < t.visible(c) {
			return place{c.base + 1 + uint64(offset), c.id(offset)}, true
		}
	}
	return place{}, false
}

// earlierAt returns the append that begins at a place in (held, head].
func (t *tail) earlierAt(first place) *commit.Earlier {
	size := uint64(t.at(first.position).BatchSize())
	return commit.EarlierOf(t.batch(first.position-1, first.position-1+size))
}

// postings makes a tail a source of lists.
func (t *tail) postings(l list, backward bool) postings {
	return &tailPostings{tail: t, list: l, backward: backward}
}

func (t *tail) everything(backward bool) postings { return &allPostings{last: t.head.position} }

func (t *tail) typesWithPrefix(prefix string) ([]string, error) {
	var names []string
	for _, c := range t.chunks {
		for _, name := range c.typeNames() {
			if strings.HasPrefix(name, prefix) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
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
			on, _ := c.on(p.list)
			n := sort.Search(len(on), func(j int) bool { return c.base+1+uint64(on[j]) > position })
			if n > 0 {
				return c.hit(on[n-1]), nil
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
		on, _ := c.on(p.list)
		n := sort.Search(len(on), func(j int) bool { return c.base+1+uint64(on[j]) >= position })
		if n < len(on) {
			if int(on[n]) >= t.visible(c) {
				break
			}
			return c.hit(on[n]), nil
		}
	}
	return hit{}, nil
}
