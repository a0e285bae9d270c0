package eventstore

import (
	"errors"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

const (
	// catchUpEvents and catchUpBytes are where a transaction of the index ends:
	// in events, and, while it catches up, in bytes of memory. Large ones touch
	// each page less often.
	catchUpEvents = 500_000
	catchUpBytes  = 64 << 20
	// catchUpReport is how often progress is reported.
	catchUpReport = 5 * time.Second
)

// catchUp makes the index fit the log, when the store is opened: it is emptied
// unless its checkpoint names an event of this log, and follows up to the head.
// One that turns out to be damaged begins anew.
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
	err = s.follow(at.position, head)
	if at.position == 0 || !errors.As(err, new(*event.CorruptError)) {
		return rebuilt, err
	}
	s.logger.Warn("the index is damaged", "dir", x.env.Dir(), "error", err)
	if err := x.reset(l.store); err != nil {
		return true, err
	}
	return true, s.follow(0, head)
}

// follow has the index take up the events behind a position, up to the head.
func (s *Store) follow(at uint64, head place) error {
	for reported := time.Now(); at < head.position; {
		c, err := s.gather(at, head.position)
		if err != nil {
			return err
		}
		h := harvest{chunks: []*chunk{c}, after: at, to: c.last(), head: head.id, retention: s.limits.KeyRetention}
		if err := s.storeIndex(&h); err != nil {
			return err
		}
		if seeded == bugForgetKeys {
			_ = s.index.env.Update(func(txn *lmdbenv.Txn) error { return txn.Drop(s.index.keys, false) })
		}
		if at = h.to.position; time.Since(reported) > catchUpReport {
			s.logger.Info("the index catches up", "dir", s.index.env.Dir(), "position", at, "head", head.position)
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

// gather takes the next events for one transaction of the index, by short ones of
// the log.
func (s *Store) gather(after, head uint64) (*chunk, error) {
	c := newChunk(after)
	for at := after; at < head && !c.large(); at = c.last().position {
		if err := s.log.env.View(func(txn *lmdbenv.Txn) error {
			return logView{s.log, txn}.gather(c, at+1, min(head, at+applyEvents))
		}); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// large reports whether a chunk is as much as one transaction takes up.
func (c *chunk) large() bool { return len(c.ids) >= catchUpEvents || c.bytes >= catchUpBytes }

// gather takes the events from one position to another, unless that is much.
func (v logView) gather(c *chunk, from, to uint64) error {
	scan, err := v.scan(from, false)
	if err != nil {
		return err
	}
	defer scan.close()
	for scan.position <= to && !c.large() {
		e, err := scan.next()
		if err != nil {
			return err
		}
		c.bytes += c.addOne(e)
	}
	return nil
}
