package aggregate

import (
	"context"
	"fmt"
	"unsafe"

	"github.com/verbatim-es/verbatim/event"
)

// folded is an aggregate as far as its stream was read. One that is in the
// cache, or that a decision is based on, never changes: whoever goes on from it
// takes a copy.
type folded[S any] struct {
	state   S
	version uint64
	id      event.ID // of the event at version
	store   event.ID // the log's; zero where nothing was read of it
	after   uint64   // all of the stream's events up to this position are in
	head    uint64   // of the log, when it was read last

	saved  uint64 // version of the newest snapshot that is known
	packed int    // length of the state when it was packed last
	since  int    // bytes of the events folded since
	// behind is set when events were appended that are not in.
	behind bool
}

// readBytes is the size of the pages that aggregates are read in.
const readBytes = 1 << 20

// load returns an aggregate, and whether it is what the stream said just now.
// Otherwise it is what the cache has, which other writers may have overtaken.
func (h *Handler[S]) load(ctx context.Context, of *slot[S], fresh bool) (f *folded[S], checked bool, err error) {
	f = h.slots.get(of)
	if f != nil && !fresh && !f.behind {
		return f, false, nil
	}
	f, err = h.catchUp(ctx, of, f)
	if anotherStore(err) {
		h.slots.clear()
		f, err = h.catchUp(ctx, of, nil)
	}
	if err != nil {
		h.slots.remove(of)
		return nil, false, err
	}
	return f, true, nil
}

// catchUp returns the aggregate at the end of its stream, read from where f
// leaves off; nil is from the newest snapshot, or from the beginning.
func (h *Handler[S]) catchUp(ctx context.Context, of *slot[S], f *folded[S]) (*folded[S], error) {
	var next folded[S]
	var err error
	found := false
	if f == nil {
		found, err = h.fromSnapshot(ctx, of.stream, &next)
	} else {
		next = *f
		next.behind = false
	}
	if err == nil && !found {
		err = h.fold(ctx, of.stream, &next, f == nil)
	}
	if err != nil {
		return nil, err
	}
	h.keep(ctx, of, &next)
	return &next, nil
}

// fold applies the rest of a stream. own says that the state is to's alone; if
// it is not, it is copied before it changes. After an error, to is somewhere in
// between.
func (h *Handler[S]) fold(ctx context.Context, stream string, to *folded[S], own bool) error {
	for {
		page, err := h.log.ReadPage(ctx, event.Selection{Stream: stream, After: to.after}, event.PageOptions{MaxBytes: readBytes, Store: to.store})
		if err != nil {
			return loading(stream, err)
		}
		if page.Count > 0 && !own {
			to.state, own = h.def.clone(&to.state), true
		}
		if err := h.foldPage(page, to); err != nil {
			return loading(stream, err)
		}
		to.after, to.head, to.store = page.Last, page.Head, page.Store
		if !page.More {
			return nil
		}
	}
}

func loading(stream string, err error) error { return fmt.Errorf("load %s: %w", stream, err) }

func (h *Handler[S]) foldPage(page event.Page, to *folded[S]) error {
	var last event.Event
	for e, err := range page.Events() {
		if err != nil {
			return err
		}
		if e.Version() != to.version+1 {
			return fmt.Errorf("%v does not follow version %d", e, to.version)
		}
		if err := h.evolve(&to.state, e); err != nil {
			return fmt.Errorf("%v: %w", e, err)
		}
		to.version++
		last = e
	}
	if !last.IsZero() {
		to.id = last.ID()
	}
	to.since += len(page.Records)
	return nil
}

// evolve folds a stored event into the state, as what it is read as today.
func (h *Handler[S]) evolve(state *S, stored event.Event) error {
	if h.opts.Upcasters == nil {
		return h.def.Evolve(state, stored.Type(), stored.Data())
	}
	for e, err := range h.opts.Upcasters.Events(stored) {
		if err != nil {
			return err
		}
		if err := h.def.Evolve(state, e.Type(), e.Data()); err != nil {
			return err
		}
	}
	return nil
}

// keep makes a state what the next commands start from. It must not change any
// more.
func (h *Handler[S]) keep(ctx context.Context, of *slot[S], f *folded[S]) {
	h.detach(f)
	h.snapshot(ctx, of.stream, f)
	h.slots.put(of, f, h.cost(of, f))
}

// attached is how many bytes of events a state may hold on to, over twice its own
// size, until it is cut off from them.
const attached = 4 << 10

// detach cuts a state off from the events that it was folded from: their strings
// would keep pages in memory. What it costs is spread over the events.
func (h *Handler[S]) detach(f *folded[S]) {
	if h.def.Pack == nil || h.def.Unpack == nil || f.since <= 2*f.packed+attached && f.packed > 0 {
		return
	}
	data, err := h.pack(&f.state)
	if err != nil {
		return
	}
	if state, err := h.def.Unpack(data); err == nil {
		f.state, f.packed, f.since = state, len(data), 0
	}
}

// pack is the definition's, but for a state that can't be packed: one without a
// union that its schema requires.
func (h *Handler[S]) pack(state *S) (data []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("pack: %v", p)
		}
	}()
	return h.def.Pack(state), nil
}

// slotCost is what a state in the cache costs besides itself, about.
const slotCost = 512

// cost is what the cache charges for a state: see [Options.CacheBytes].
func (h *Handler[S]) cost(of *slot[S], f *folded[S]) int {
	return slotCost + len(of.id) + int(unsafe.Sizeof(*f)) + 2*f.packed + f.since
}
