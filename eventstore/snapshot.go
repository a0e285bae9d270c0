package eventstore

import (
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// snapshot is one state of the store. It is taken in the order tail, index,
// log: the index is never behind the tail's base, and the log never behind the
// index, so the three overlap and nothing is in between. Log and index may have
// more than the tail's head: it is where the snapshot ends.
type snapshot struct {
	tail    *tail
	index   indexView
	indexed uint64 // position up to which the index counts
	log     logView
	readers [2]*lmdbenv.Reader
}

// snapshot takes one, which must be closed soon: it pins pages. Without an
// index it can only be read unfiltered.
func (s *Store) snapshot(withIndex bool) (*snapshot, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	v := &snapshot{tail: s.recent.snapshot()}
	if err := v.open(s, withIndex); err != nil {
		v.close()
		return nil, closedError(err)
	}
	return v, nil
}

func (v *snapshot) open(s *Store, withIndex bool) (err error) {
	if withIndex {
		if v.readers[0], err = s.index.env.Begin(); err != nil {
			return err
		}
		v.index = s.index.view(v.readers[0].Txn)
		at, err := v.index.checkpoint(v.index.txn)
		if err != nil {
			return err
		}
		if at.position < v.tail.base {
			return errIndexBehind()
		}
		v.indexed = min(at.position, v.tail.head.position)
	}
	if v.readers[1], err = s.log.env.Begin(); err != nil {
		return err
	}
	v.log = logView{s.log, v.readers[1].Txn}
	v.index.log = v.log
	return nil
}

func (v *snapshot) close() {
	if v.index.txn != nil {
		v.index.close()
	}
	for _, r := range v.readers {
		if r != nil {
			r.Close()
		}
	}
}
