package eventstore

import (
	"context"
	"iter"
	"math"

	"github.com/verbatim-es/verbatim/event"
)

// View calls fn with the store as it is now. Reading from the snapshot copies
// nothing: its events are in the map of the log, or in the tail, with every
// record's checksum verified. They, and all that their methods return, are valid
// until fn returns; [event.Event.Clone] keeps one. Whoever touches one later
// reads what another event has put there, or ends the process; a build with the
// tag verbatimpoison overwrites what expired, so that tests show it.
//
// While fn runs, pages of the log and the index that are given up can't be used
// again, and the files grow with what is appended: a View should take seconds at
// most. What takes longer, or waits for anything, uses [Store.Read]. Nothing but
// fn's own care bounds it. fn must not call methods of the store that read or
// append: when very many readers are in flight they wait for one to end.
//
// View returns what fn returned, or why there is no snapshot.
func (s *Store) View(ctx context.Context, fn func(*Snapshot) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	v, err := s.snapshot(true)
	if err != nil {
		return err
	}
	defer v.close()
	snap := &Snapshot{ctx: ctx, store: s.log.store, view: v}
	defer snap.expire()
	return fn(snap)
}

// Snapshot is one state of a store, see [Store.View]. It belongs to the
// goroutine that View was called from.
type Snapshot struct {
	ctx   context.Context // of the View it lives for
	store event.ID
	view  *snapshot // nil when it has expired
	lent  lent
}

func (s *Snapshot) expire() {
	s.view = nil
	s.lent.expire()
}

// Head is the end of the log as the snapshot has it.
func (s *Snapshot) Head() event.Head {
	if s.view == nil {
		return event.Head{Store: s.store}
	}
	return s.view.tail.head.headOf(s.store)
}

// Read yields the selected events of the snapshot, valid until View's function
// returns. The sequence ends with at most one error: those of
// [Store.ReadPage], of the View's context when that has ended, or an
// [*event.ArgumentError] when the snapshot has expired, also while it is read: a
// sequence that is pulled may outlive View's function.
func (s *Snapshot) Read(sel event.Selection) iter.Seq2[event.Event, error] {
	return func(yield func(event.Event, error) bool) {
		if s.view == nil {
			yield(event.Event{}, errExpired())
			return
		}
		if err := sel.Validate(); err != nil {
			yield(event.Event{}, err)
			return
		}
		wanted := true
		count := 0
		r := reader{snapshot: s.view, ctx: s.ctx, sel: &sel, bound: math.MaxInt}
		r.take = func(e event.Event) bool {
			count++
			if poisoned {
				e = s.lent.lend(e)
			}
			wanted = yield(e, nil)
			return wanted && s.view != nil && count != sel.Limit
		}
		err := r.read()
		if s.view == nil {
			err = errExpired()
		}
		if err != nil && wanted {
			yield(event.Event{}, err)
		}
	}
}

func errExpired() error {
	return &event.ArgumentError{Argument: "snapshot", Message: "the function that it was made for has returned"}
}
