package eventstore

import (
	"errors"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

const (
	// catchUpEvents, catchUpPostings and catchUpNames are where a transaction
	// ends while the index catches up: in events, in places of lists, of which an
	// event has three and one for each tag, and in bytes of names to be
	// remembered. Large ones touch each page less often.
	catchUpEvents   = 500_000
	catchUpPostings = 5 * catchUpEvents
	catchUpNames    = 64 << 20
	// catchUpReport is how often progress is reported.
	catchUpReport = 5 * time.Second
)

// catchUp makes the index fit the log, when the store is opened: it is emptied
// unless its checkpoint names an event of this log, and follows up to the head.
// One that turns out to be damaged begins anew.
func (s *Store) catchUp(head place) (rebuilt bool, err error) {
	x, l := s.index, s.log
	defer func() { x.harvest = harvest{} }() // what comes now is less
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
	err = s.follow(at.position, head.position)
	if at.position == 0 || !errors.As(err, new(*event.CorruptError)) {
		return rebuilt, err
	}
	s.logger.Warn("the index is damaged", "dir", x.env.Dir(), "error", err)
	if err := x.reset(l.store); err != nil {
		return true, err
	}
	return true, s.follow(0, head.position)
}

// follow has the index take up the events behind a position, up to the head.
func (s *Store) follow(at, head uint64) error {
	for reported := time.Now(); at < head; {
		last, err := s.gather(at, head)
		if err != nil {
			return err
		}
		if err := s.storeIndex(last); err != nil {
			return err
		}
		if seeded == bugForgetKeys {
			_ = s.index.env.Update(func(txn *lmdbenv.Txn) error { return txn.Drop(s.index.keys, false) })
		}
		if at = last.position; time.Since(reported) > catchUpReport {
			s.logger.Info("the index catches up", "dir", s.index.env.Dir(), "position", at, "head", head)
			reported = time.Now()
		}
	}
	return nil
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

// gather harvests the next events for one transaction of the index, by short
// ones of the log, and returns the last of them.
func (s *Store) gather(after, head uint64) (last place, err error) {
	h := &s.index.harvest
	for h.reset(); after < head && !h.large(); after = last.position {
		if err := s.log.env.View(func(txn *lmdbenv.Txn) error {
			return logView{s.log, txn}.harvest(h, after+1, min(head, after+applyEvents))
		}); err != nil {
			return place{}, err
		}
		last = h.last()
	}
	return last, nil
}

// large reports whether a harvest is as much as one transaction takes.
func (h *harvest) large() bool {
	return len(h.ids) >= catchUpEvents || len(h.postings) >= catchUpPostings || h.names >= catchUpNames
}

// harvest takes the events from one position to another, unless that is much.
func (v logView) harvest(h *harvest, from, to uint64) error {
	scan, err := v.scan(from, false)
	if err != nil {
		return err
	}
	defer scan.close()
	for scan.position <= to && !h.large() {
		e, err := scan.next()
		if err != nil {
			return err
		}
		h.add(e)
	}
	return nil
}
