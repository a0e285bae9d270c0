package aggregate

import (
	"context"
	"sync"
)

// turns lets the commands on one aggregate go one after the other, so that
// they don't fail each other's conditions. It is a matter of speed: other
// handlers and processes write to the same streams, and the condition of the
// append judges.
type turns[S any] struct {
	mu sync.Mutex
	of map[string]*turn[S] // by aggregate id, while somebody wants it
}

// turn is one aggregate's. Whoever holds it may use folded, which spares the
// next in the queue from folding the whole stream again.
type turn[S any] struct {
	id     string
	wanted int           // by how many; guarded by turns.mu
	free   chan struct{} // holds a token while nobody has the turn
	folded folded[S]
}

// take waits for the turn of an aggregate. The caller must give it back.
func (t *turns[S]) take(ctx context.Context, id string) (*turn[S], error) {
	t.mu.Lock()
	own := t.of[id]
	if own == nil {
		own = &turn[S]{id: id, free: make(chan struct{}, 1)}
		own.free <- struct{}{}
		if t.of == nil {
			t.of = make(map[string]*turn[S])
		}
		t.of[id] = own
	}
	own.wanted++
	t.mu.Unlock()
	select {
	case <-own.free:
		return own, nil
	case <-ctx.Done():
		t.unwant(own)
		return nil, ctx.Err()
	}
}

func (t *turns[S]) give(own *turn[S]) {
	own.free <- struct{}{}
	t.unwant(own)
}

func (t *turns[S]) unwant(own *turn[S]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if own.wanted--; own.wanted == 0 {
		delete(t.of, own.id)
	}
}
