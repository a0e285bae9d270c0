package aggregate

import (
	"context"
	"sync"

	"github.com/verbatim-es/verbatim/event"
)

// slots are the aggregates that a handler has to do with: those that somebody
// has a command for, and those whose state is in the cache.
//
// A slot's turn lets the commands on one aggregate go one after the other, so
// that they don't fail each other's conditions. Both turn and state are a matter
// of speed alone: other handlers and processes write to the same streams, and
// the condition of the append judges.
type slots[S any] struct {
	mu    sync.Mutex
	of    map[string]*slot[S]
	ring  slot[S] // of those with a state, the one used last first
	bytes int     // charged for the states
	limit int

	states                  int
	hits, misses, evictions uint64
}

// slot is one aggregate's. It is in the map while it is wanted or has a state.
type slot[S any] struct {
	id, stream string

	// The rest is guarded by slots.mu.
	wanted int           // by how many: the one that has the turn, and those that wait
	turn   chan struct{} // passes the turn on; nil until somebody had to wait

	state      *folded[S] // nil: not in the cache; what it points to never changes
	cost       int
	prev, next *slot[S]
}

func newSlots[S any](limit int) *slots[S] {
	s := &slots[S]{of: make(map[string]*slot[S]), limit: max(limit, 0)}
	s.ring.prev, s.ring.next = &s.ring, &s.ring
	return s
}

// take waits for the turn of an aggregate. The caller must give it back.
func (s *slots[S]) take(ctx context.Context, category, id string) (*slot[S], error) {
	own, turn := s.want(category, id)
	if turn == nil {
		return own, nil
	}
	select {
	case <-turn:
		return own, nil
	case <-ctx.Done():
		s.leave(own)
		return nil, ctx.Err()
	}
}

// want returns an aggregate's slot, and what to wait for: nil when the turn is the
// caller's.
func (s *slots[S]) want(category, id string) (*slot[S], <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := s.of[id]
	if own == nil {
		own = newSlot[S](category, id)
		s.of[own.id] = own
	}
	own.wanted++
	if own.wanted == 1 {
		return own, nil
	}
	if own.turn == nil {
		own.turn = make(chan struct{}, 1)
	}
	return own, own.turn
}

func newSlot[S any](category, id string) *slot[S] {
	stream := event.StreamName(category, id)
	return &slot[S]{id: stream[len(category)+1:], stream: stream}
}

func (s *slots[S]) give(own *slot[S]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	own.wanted--
	if own.wanted > 0 {
		own.turn <- struct{}{}
	}
	s.forget(own)
}

// leave is for somebody who waits no longer.
func (s *slots[S]) leave(own *slot[S]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	own.wanted--
	if own.wanted == 0 && seeded != bugTwoTurns {
		<-own.turn // which nobody took
	}
	s.forget(own)
}

// forget takes a slot that nobody needs out of the map.
func (s *slots[S]) forget(own *slot[S]) {
	if own.wanted == 0 && own.state == nil {
		delete(s.of, own.id)
	}
}

// find returns an aggregate's slot for somebody who does without its turn. It may
// be in the map, or not any more: see current.
func (s *slots[S]) find(category, id string) *slot[S] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if own := s.of[id]; own != nil {
		return own
	}
	return newSlot[S](category, id)
}

// current returns what the map has for a slot's aggregate: the slot itself as long
// as it is in use.
func (s *slots[S]) current(own *slot[S]) *slot[S] {
	if own.wanted > 0 || own.state != nil {
		return own
	}
	return s.of[own.id]
}

// get returns the state that the cache has, nil if it has none.
func (s *slots[S]) get(of *slot[S]) *folded[S] {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := s.current(of)
	if own == nil || own.state == nil {
		s.misses++
		return nil
	}
	s.hits++
	own.unlink()
	own.link(&s.ring)
	return own.state
}

// put keeps a state, which must not change any more, unless the cache has a
// later one. What was used longest ago makes room; a state that is larger than
// the whole cache is not kept.
func (s *slots[S]) put(of *slot[S], state *folded[S], cost int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := s.current(of)
	if own == nil {
		own = of
		s.of[own.id] = own
	}
	if own.state != nil && own.state.version > state.version && own.state.store == state.store {
		return
	}
	s.evict(own)
	if cost <= s.limit {
		own.state, own.cost = state, cost
		own.link(&s.ring)
		s.bytes += cost
		s.states++
	}
	for s.bytes > s.limit {
		last := s.ring.prev
		s.evict(last)
		s.forget(last)
		s.evictions++
	}
	s.forget(own)
}

// remove drops an aggregate's state from the cache.
func (s *slots[S]) remove(of *slot[S]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if own := s.current(of); own != nil {
		s.evict(own)
		s.forget(own)
	}
}

// clear drops all states from the cache.
func (s *slots[S]) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.ring.next != &s.ring {
		own := s.ring.next
		s.evict(own)
		s.forget(own)
	}
}

func (s *slots[S]) evict(own *slot[S]) {
	if own.state == nil {
		return
	}
	own.unlink()
	s.bytes -= own.cost
	s.states--
	own.state, own.cost = nil, 0
}

func (own *slot[S]) link(ring *slot[S]) {
	own.prev, own.next = ring, ring.next
	own.prev.next, own.next.prev = own, own
}

func (own *slot[S]) unlink() {
	own.prev.next, own.next.prev = own.next, own.prev
	own.prev, own.next = nil, nil
}
