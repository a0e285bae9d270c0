package eventstore

import (
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// catchUp makes the index fit the log, when the store is opened: it is emptied
// unless its checkpoint names an event of this log, and follows up to the head.
func (s *Store) catchUp(head place) (rebuilt bool, err error) {
	x, l := s.index, s.log
	var at checkpoint
	if err := x.env.View(func(txn *lmdbenv.Txn) error {
		at, err = x.checkpoint(txn)
		return err
	}); err != nil || !fits(at, l, head) {
		rebuilt = at.position > 0 || err != nil
		if err := x.reset(l.store); err != nil {
			return rebuilt, err
		}
		at = checkpoint{store: l.store}
	}
	for at.position < head.position {
		events, err := l.copyAfter(at.position, head.position)
		if err != nil {
			return rebuilt, err
		}
		if err := s.applyToIndex(events); err != nil {
			return rebuilt, err
		}
		if seeded == bugForgetKeys {
			_ = x.env.Update(func(txn *lmdbenv.Txn) error { return txn.Drop(x.keys, false) })
		}
		at.place = placeOf(events[len(events)-1])
	}
	return rebuilt, nil
}

// fits reports whether a checkpoint is of this log and not beyond its head.
func fits(at checkpoint, l *eventLog, head place) bool {
	if at.store != l.store || at.position > head.position {
		return false
	}
	if at.position == 0 {
		return true
	}
	return l.env.View(func(txn *lmdbenv.Txn) error {
		_, err := logView{l, txn}.at(at.place)
		return err
	}) == nil
}

// copyAfter returns the next events for one transaction of the index.
func (l *eventLog) copyAfter(after, head uint64) (events []event.Event, err error) {
	err = l.env.View(func(txn *lmdbenv.Txn) error {
		scan, err := logView{l, txn}.scan(after+1, false)
		if err != nil {
			return err
		}
		defer scan.close()
		for bytes := 0; scan.position <= head && len(events) < applyEvents && bytes < applyBytes; {
			e, err := scan.next()
			if err != nil {
				return err
			}
			bytes += len(e.Record())
			events = append(events, e.Clone())
		}
		return nil
	})
	return events, err
}
