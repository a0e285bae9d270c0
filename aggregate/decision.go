package aggregate

import (
	"context"

	"github.com/verbatim-es/verbatim/event"
)

// Decision collects what a command decided for one aggregate. Generated code
// wraps it with one method per event. It is valid during the decider's call
// only, and on its goroutine.
type Decision[S any] struct {
	attempt *attempt[S]
	id      string
	stream  string
	state   *S
	version uint64 // as loaded
	emitted uint64
}

// ID is the aggregate's id.
func (d *Decision[S]) ID() string { return d.id }

// Version is the aggregate's version the decision is based on, 0 for a new one.
func (d *Decision[S]) Version() uint64 { return d.version }

// Emit decides an event. Events are appended in the order of their Emit calls,
// over all the aggregates of the decision, and all or none.
func (d *Decision[S]) Emit(p event.Proposed) error {
	p.Stream = d.stream
	d.attempt.events = append(d.attempt.events, p)
	d.emitted++
	return nil
}

// Other brings another aggregate of the same category into the decision: its
// state, and a Decision to emit events for it. The append then depends on that
// aggregate's version too, whether or not it gets events. Asking for an
// aggregate again returns the same state and decision.
func (d *Decision[S]) Other(id string) (*S, *Decision[S], error) {
	other, err := d.attempt.load(id)
	if err != nil {
		return nil, nil, err
	}
	return other.state, other, nil
}

// attempt is one round of load, decide, append.
type attempt[S any] struct {
	ctx     context.Context
	handler *Handler[S]
	loaded  []*Decision[S] // in the order they were asked for; the first is the command's own
	events  []event.Proposed
	head    uint64 // the newest head seen while loading
}

// load returns the decision for an aggregate, loading it on first use.
func (a *attempt[S]) load(id string) (*Decision[S], error) {
	for _, d := range a.loaded {
		if d.id == id {
			return d, nil
		}
	}
	var f folded[S]
	if err := a.handler.fold(a.ctx, id, &f); err != nil {
		return nil, err
	}
	return a.decision(id, f), nil
}

// decision adds an aggregate to those that the append depends on. The state is
// a copy: one that the next attempt goes on from must not be the decider's to
// change.
func (a *attempt[S]) decision(id string, f folded[S]) *Decision[S] {
	d := &Decision[S]{attempt: a, id: id, stream: a.handler.stream(id), state: &f.state, version: f.version}
	a.loaded, a.head = append(a.loaded, d), max(a.head, f.head)
	return d
}

// conditions make the append depend on every aggregate that was looked at.
func (a *attempt[S]) conditions() []event.Condition {
	conditions := make([]event.Condition, len(a.loaded))
	for i, d := range a.loaded {
		conditions[i] = event.StreamAt{Stream: d.stream, Version: d.version}
	}
	return conditions
}
