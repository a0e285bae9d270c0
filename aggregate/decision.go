package aggregate

import (
	"fmt"

	"github.com/verbatim-es/verbatim/event"
)

// Decision collects what a command decided for one aggregate, and looks things
// up for it. Generated code wraps it with one method per event. It is valid
// during the decider's call only, and on its goroutine.
type Decision[S any] struct {
	attempt *attempt[S]
	slot    *slot[S]
	base    *folded[S] // as loaded, shared
	state   S          // the decider's own copy
	version uint64     // with what earlier commands of the batch decided

	next *folded[S] // base with the events emitted so far, nil if none
	last int        // index of the last one
}

// ID is the aggregate's id.
func (d *Decision[S]) ID() string { return d.slot.id }

// Version is the aggregate's version the decision is based on, 0 for a new one.
// In a batch it counts the events of the commands before.
func (d *Decision[S]) Version() uint64 { return d.version }

// Emit decides an event. Events are appended in the order of their Emit calls,
// over all the aggregates of the decision, and all or none. p.Data must be a
// valid FlatBuffer of p.Type, as the generated constructors return it, and must
// not change any more: the state follows from it before the log has seen it.
// So an event that the aggregate could not be loaded with is never stored; the
// error says so, and the event is left out.
func (d *Decision[S]) Emit(p event.Proposed) error {
	p.Stream = d.slot.stream
	if d.next == nil {
		d.next = d.attempt.handler.successor(d.base)
	}
	if err := d.attempt.handler.follow(d.next, &p); err != nil {
		return fmt.Errorf("%q is no event for %s: %w", p.Type, d.slot.stream, err)
	}
	d.last = len(d.attempt.events)
	d.attempt.events = append(d.attempt.events, p)
	return nil
}

// emitted is how many events were decided for the aggregate.
func (d *Decision[S]) emitted() uint64 {
	if d.next == nil {
		return 0
	}
	return d.next.version - d.base.version
}

// Other brings another aggregate of the same category into the decision: its
// state, and a Decision to emit events for it. The append then depends on that
// aggregate's version too, whether or not it gets events. Asking for an
// aggregate again returns the same state and decision.
func (d *Decision[S]) Other(id string) (*S, *Decision[S], error) {
	other, err := d.attempt.bring(id)
	if err != nil {
		return nil, nil, err
	}
	return &other.state, other, nil
}

// successor returns a copy of an aggregate to be changed.
func (h *Handler[S]) successor(f *folded[S]) *folded[S] {
	next := *f
	next.state = h.def.clone(&f.state)
	return &next
}

// follow folds an event into a state before it is stored.
func (h *Handler[S]) follow(next *folded[S], p *event.Proposed) error {
	if !h.opts.Upcasters.Applies(p.Type, p.Schema) {
		if err := h.def.Evolve(&next.state, p.Type, p.Data); err != nil {
			return err
		}
	} else if err := h.followUpcast(next, p); err != nil {
		return err
	}
	next.version++
	next.since += len(p.Data)
	return nil
}

// followUpcast is for an event that an upcaster will change whenever it is read.
// What it makes of an event that has no id yet is good for the commands of a
// batch that come next, and not for the cache.
func (h *Handler[S]) followUpcast(next *folded[S], p *event.Proposed) error {
	record, err := event.BuildRecord(&event.Append{Events: []event.Proposed{*p}}, 0, p.Schema, p.Tags)
	if err != nil {
		return err
	}
	next.behind = true
	return h.evolve(&next.state, event.Trusted(record))
}
