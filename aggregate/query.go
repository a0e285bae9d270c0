package aggregate

import (
	"errors"
	"iter"

	"github.com/verbatim-es/verbatim/event"
)

// Query yields the events that match the query, over all streams, in their
// order and as they are read today. The append then depends on there being no
// more: when one that matches is stored meanwhile, the command is decided again.
// A loop that ends early depends on nothing that comes later: what it has seen
// can't change.
//
// So a rule may span aggregates: an e-mail address that is not taken, a student
// who takes no more than ten courses. Ask for as little as the rule needs; every
// event is read, and every new one that matches is a conflict.
//
// The sequence ends with at most one error, which the decider returns.
func (d *Decision[S]) Query(query event.Query) iter.Seq2[event.Event, error] {
	return func(yield func(event.Event, error) bool) {
		after, done, err := d.attempt.query(query, func(e event.Event) bool { return yield(e, nil) })
		if err != nil {
			yield(event.Event{}, err)
			return
		}
		if done && seeded != bugForgottenQuery {
			d.attempt.conditions = append(d.attempt.conditions, event.NoneMatch{Query: query, After: after})
		}
	}
}

// Any reports whether an event matches the query. When none does, the append
// depends on that, as with [Decision.Query]. An event of today that an upcaster
// leaves out counts as well: it is stored.
func (d *Decision[S]) Any(query event.Query) (bool, error) {
	page, err := d.attempt.page(query, 0, 1)
	for err == nil && page.Count == 0 && page.More {
		page, err = d.attempt.page(query, page.Last, 1)
	}
	if err != nil {
		return false, err
	}
	if page.Count > 0 {
		return true, nil
	}
	d.attempt.conditions = append(d.attempt.conditions, event.NoneMatch{Query: query, After: page.Last})
	return false, nil
}

// query passes on the events that match, and returns how far it got, and whether
// that is the end.
func (a *attempt[S]) query(query event.Query, each func(event.Event) bool) (last uint64, done bool, err error) {
	for {
		page, err := a.page(query, last, 0)
		if err != nil {
			return 0, false, err
		}
		for stored, err := range page.Events() {
			if err != nil {
				return 0, false, err
			}
			for e, err := range a.handler.opts.Upcasters.Events(stored) {
				if err != nil {
					return 0, false, err
				}
				if !each(e) {
					return 0, false, nil
				}
			}
		}
		if last = page.Last; !page.More {
			return last, true, nil
		}
	}
}

func (a *attempt[S]) page(query event.Query, after uint64, limit int) (event.Page, error) {
	if len(query) == 0 {
		return event.Page{}, errors.New("a query needs at least one item: one without types and tags matches every event")
	}
	page, err := a.handler.log.ReadPage(a.ctx, event.Selection{Query: query, After: after, Limit: limit}, event.PageOptions{MaxBytes: readBytes, Store: a.store})
	if err != nil {
		return event.Page{}, err
	}
	a.head = max(a.head, page.Head)
	return page, a.readFrom(page.Store)
}
