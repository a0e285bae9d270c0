package eventstore

import (
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/commit"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// Keys are forgotten when the id of the last event says so; whoever looks one up
// compares the two ids, so the answer is the same whether its entry is still in
// the index or not. Removing entries only keeps the index small. It follows the
// log a second time, behind the retention: the index's meta entry "forgotten" is
// up to where it has come.
const (
	forgottenKey = "forgotten"
	// forgetStep is how many events it takes at a time, in one transaction.
	forgetStep = 4096
)

// forgotten is up to where keys were removed, unless they were used again.
func (x *index) forgotten(txn *lmdbenv.Txn) (uint64, error) {
	value, err := getOrNil(txn, x.env.Meta(), []byte(forgottenKey))
	switch {
	case err != nil || value == nil:
		return 0, err
	case len(value) != 8:
		return 0, indexDamage("up to where keys are forgotten has %d bytes instead of 8", len(value))
	}
	return binary.BigEndian.Uint64(value), nil
}

// forgetKeys removes old keys after the index has taken up so many events, the
// last at head: twice as many as came, so that it does not fall behind.
func (s *Store) forgetKeys(head place, taken int) error {
	if s.limits.KeyRetention == 0 || s.keepKeys {
		return nil
	}
	for range 1 + 2*taken/s.forgetStep() {
		more, err := s.forgetSome(head)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// forgetSome takes one step, unless there is not a whole one to take.
func (s *Store) forgetSome(head place) (more bool, err error) {
	var after uint64
	if err := s.index.env.View(func(txn *lmdbenv.Txn) error {
		after, err = s.index.forgotten(txn)
		return err
	}); err != nil {
		return false, err
	}
	to := after + uint64(s.forgetStep())
	if to >= head.position {
		return false, nil
	}
	var old []keyedAppend
	if err := s.log.env.View(func(txn *lmdbenv.Txn) error {
		old, more, err = logView{s.log, txn}.keysBefore(after, to, head.id, s.limits.KeyRetention)
		return err
	}); err != nil {
		// A record that can't be read must not keep the index from following.
		s.logger.Warn("old keys stay in the index: the log can't be read where they are", "dir", s.dir, "error", err)
		s.keepKeys = true
		return false, nil
	}
	if !more {
		return false, nil
	}
	if err = s.hooks.reach(pointForget); err == nil {
		err = s.index.forget(old, to)
	}
	if lmdbenv.IsNoSpace(err) && !errors.As(err, new(*lmdbenv.CommitError)) {
		return false, nil // the next time: the index has taken up what it was for
	}
	return err == nil, err
}

func (s *Store) forgetStep() int {
	if s.hooks.forget > 0 {
		return s.hooks.forget
	}
	return forgetStep
}

// keysBefore returns the keys of appends that begin behind a position and up to
// another one, if all of them are forgotten.
func (v logView) keysBefore(after, to uint64, head event.ID, retention time.Duration) (old []keyedAppend, all bool, err error) {
	last, err := v.scan(to, false)
	if err != nil {
		return nil, false, err
	}
	e, err := last.next()
	last.close()
	if err != nil || commit.KeyKnown(e.ID(), head, retention) {
		return nil, false, err
	}
	scan, err := v.scan(after+1, false)
	if err != nil {
		return nil, false, err
	}
	defer scan.close()
	for scan.position <= to {
		e, err := scan.next()
		if err != nil {
			return nil, false, err
		}
		if key := e.BatchKey(); key != "" && e.BatchSeq() == 0 {
			old = append(old, keyedAppend{strings.Clone(key), placeOf(e)})
		}
	}
	return old, true, nil
}

// forget removes keys, but for those that were used again.
func (x *index) forget(old []keyedAppend, to uint64) error {
	return x.env.Update(func(txn *lmdbenv.Txn) error {
		view := indexView{index: x, txn: txn}
		for _, k := range old {
			at, ok, err := view.key(k.key)
			if err != nil {
				return err
			}
			if !ok || at != k.at {
				continue
			}
			if err := txn.Del(x.keys, []byte(k.key), nil); err != nil {
				return err
			}
		}
		return x.setForgotten(txn, to)
	})
}

func (x *index) setForgotten(txn *lmdbenv.Txn, to uint64) error {
	return txn.Put(x.env.Meta(), []byte(forgottenKey), binary.BigEndian.AppendUint64(nil, to), 0)
}

// passOver forgets events before the index has taken up their keys, if they are
// next.
func (x *index) passOver(txn *lmdbenv.Txn, after, to uint64) (passed bool, err error) {
	at, err := x.forgotten(txn)
	if err != nil || at != after {
		return false, err
	}
	return true, x.setForgotten(txn, to)
}
