package aggregate

import (
	"context"
	"fmt"

	"github.com/verbatim-es/verbatim/event"
)

// request is a call of a handler, until it is answered.
type request[S any] struct {
	call
	own      *slot[S] // whose turn it has
	commands []Command

	one   [1]Command // where there is only one
	first attempt[S] // mostly the only one
}

// attempt is one round of load, decide, append. Until the append it is used by
// one goroutine, which may not be the caller's: a caller that has left never
// looks at it again.
type attempt[S any] struct {
	ctx     context.Context
	handler *Handler[S]
	*request[S]
	// fresh says that states are read up to their streams' ends; otherwise
	// those in the cache do, and unchecked is set when one of them did.
	fresh, unchecked bool
	own              Decision[S]
	others           []*Decision[S] // in the order they were asked for
	events           []event.Proposed
	conditions       []event.Condition // what was looked at has not changed
	store            event.ID          // the log that all of it was read from
	head             uint64            // the newest head seen while loading

	oneEvent     [1]event.Proposed
	oneCondition [1]event.Condition
}

// run lets the decider decide the commands, one after the other.
func (a *attempt[S]) run() error {
	a.events, a.conditions = a.oneEvent[:0], a.oneCondition[:0]
	if err := a.load(&a.own, a.request.own); err != nil {
		return err
	}
	if a.expects && a.own.version != a.expected {
		return &event.ConflictError{
			Condition: event.StreamAt{Stream: a.own.slot.stream, Version: a.expected},
			Actual:    a.own.version,
		}
	}
	for i := range a.commands {
		if i > 0 {
			a.advance()
		}
		err := a.handler.def.Commands[a.commands[i].Type](&a.own.state, a.commands[i].Data, &a.own)
		if err != nil && len(a.commands) > 1 {
			err = &BatchError{Index: i, Command: a.commands[i].Type, Err: err}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// load makes d the decision for an aggregate.
func (a *attempt[S]) load(d *Decision[S], of *slot[S]) error {
	base, checked, err := a.handler.load(a.ctx, of, a.fresh)
	if err != nil {
		return err
	}
	if err := a.readFrom(base.store); err != nil {
		return err
	}
	d.attempt, d.slot, d.base, d.version = a, of, base, base.version
	if d.state = base.state; seeded != bugSharedState {
		d.state = a.handler.def.clone(&base.state)
	}
	a.conditions = append(a.conditions, event.StreamAt{Stream: of.stream, Version: base.version})
	a.unchecked = a.unchecked || !checked
	a.head = max(a.head, base.head)
	return nil
}

// readFrom notes which log something was read from. What was read from two, one
// of which has taken the other's place, can't be conditions of one append.
func (a *attempt[S]) readFrom(store event.ID) error {
	if !a.store.IsZero() && store != a.store {
		return &event.StoreChangedError{Store: store}
	}
	a.store = store
	return nil
}

// bring returns the decision for an aggregate, loading it on first use.
func (a *attempt[S]) bring(id string) (*Decision[S], error) {
	if id == a.own.slot.id {
		return &a.own, nil
	}
	for _, d := range a.others {
		if d.slot.id == id {
			return d, nil
		}
	}
	if id == "" {
		return nil, errNoID
	}
	d := new(Decision[S])
	if err := a.load(d, a.handler.slots.find(a.handler.def.Category, id)); err != nil {
		return nil, err
	}
	a.others = append(a.others, d)
	return d, nil
}

// decisions are those for all aggregates that were looked at, the command's own
// first.
func (a *attempt[S]) decisions(yield func(*Decision[S]) bool) {
	if !yield(&a.own) {
		return
	}
	for _, d := range a.others {
		if !yield(d) {
			return
		}
	}
}

// advance shows the next command of a batch what those before it decided.
func (a *attempt[S]) advance() {
	for d := range a.decisions {
		from := d.base
		if d.next != nil {
			from = d.next
		}
		d.state, d.version = a.handler.def.clone(&from.state), from.version
	}
}

// append stores what was decided, on the condition that every aggregate that was
// looked at is still where it was, in the log where it was.
func (a *attempt[S]) append() (Receipt, error) {
	a.mark(a.events)
	if a.key != "" {
		markCommand(&a.events[0], a.fingerprint())
	}
	stored, err := a.handler.log.Append(a.ctx, event.Append{
		Stream:     a.own.slot.stream,
		Events:     a.events,
		Conditions: a.conditions,
		Key:        a.key,
		Store:      a.store,
		TrustData:  a.handler.opts.TrustEvents,
	})
	if err != nil {
		return Receipt{}, err
	}
	if stored.Repeated {
		first, _, err := a.handler.receiptOf(a.ctx, a.own.slot.stream, stored)
		return first, err
	}
	for d := range a.decisions {
		a.publish(d, stored)
	}
	return Receipt{Position: stored.Last, Version: a.own.base.version + a.own.emitted(), Count: len(a.events)}, nil
}

// publish puts into the cache what an aggregate became by an append. Nothing
// else has happened to it, or the append had failed.
func (a *attempt[S]) publish(d *Decision[S], stored event.Receipt) {
	switch {
	case d.emitted() == 0:
	case stored.First <= d.base.after || len(stored.IDs) != len(a.events):
		// Not the log that the state was read from.
		a.handler.slots.clear()
	case d.next.behind:
		behind := *d.base
		behind.behind = true
		a.handler.slots.put(d.slot, &behind, a.handler.cost(d.slot, &behind))
	default:
		d.next.id, d.next.after, d.next.head = stored.IDs[d.last], stored.Last, stored.Last
		a.handler.keep(a.ctx, d.slot, d.next)
	}
}

// BatchError says which command of several was not accepted. Nothing was stored.
type BatchError struct {
	// Index is the command's place, from 0, and Command its type.
	Index   int
	Command string
	Err     error
}

func (e *BatchError) Error() string {
	return fmt.Sprintf("command %d (%s): %v", e.Index, e.Command, e.Err)
}

func (e *BatchError) Unwrap() error { return e.Err }
