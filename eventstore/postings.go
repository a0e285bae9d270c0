package eventstore

import (
	"bytes"
	"sort"

	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// around returns the keys next to one that no entry has, nil where there is none.
// A damaged key would be found by nobody, but it stands where it stood: so both
// neighbours must be whole, and in order.
func around(c *lmdbenv.Cursor, key []byte, whole func(key, value []byte) error) (previous, next []byte, err error) {
	next, value, err := c.Get(key, nil, lmdbenv.SetRange)
	back := uint(lmdbenv.Prev)
	switch {
	case lmdbenv.IsNotFound(err):
		back = lmdbenv.Last
	case err == nil:
		err = beside(next, value, bytes.Compare(next, key) > 0, whole)
	}
	if err != nil && !lmdbenv.IsNotFound(err) {
		return nil, nil, err
	}
	previous, value, err = c.Get(nil, nil, back)
	if lmdbenv.IsNotFound(err) {
		return nil, next, nil
	}
	if err == nil {
		err = beside(previous, value, bytes.Compare(previous, key) < 0, whole)
	}
	return previous, next, err
}

func beside(key, value []byte, ordered bool, whole func(key, value []byte) error) error {
	if !ordered {
		return errDisorder(key)
	}
	return whole(key, value)
}

// whole confirms that an entry is a run of a list of the kind.
func (kind listKind) whole(key, value []byte) error {
	_, _, err := readRun(kind, key, value)
	return err
}

// absent confirms that a list has no run at or behind a key.
func absent(c *lmdbenv.Cursor, l list, key []byte) error {
	previous, next, err := around(c, key, l.kind.whole)
	if err == nil && (isRunOf(previous, l.name) || isRunOf(next, l.name)) {
		err = indexDamage("the end of list %q is missing", l.name)
	}
	return err
}

func errDisorder(key []byte) error {
	return indexDamage("key %q is not where it belongs", key)
}

// indexPostings is a list of the index, read run by run.
type indexPostings struct {
	view     indexView
	list     list
	backward bool
	key      []byte

	run       run // the one that was read last; count is 0 before the first
	open      bool
	positions []uint64
	at        int // of the last hit
}

func (p *indexPostings) seek(position uint64) (hit, error) {
	if position == 0 {
		return hit{}, nil
	}
	if p.run.count == 0 || position <= p.run.base || position > p.run.last && !p.open {
		if found, err := p.load(position); err != nil || !found {
			return hit{}, err
		}
	}
	at := p.search(position)
	if p.backward && at < 0 {
		// It is before the first of this run.
		if p.run.base == 0 {
			return hit{}, nil
		}
		if found, err := p.load(p.run.base); err != nil || !found {
			return hit{}, err
		}
		at = p.search(position)
	}
	if at < 0 || at >= len(p.positions) {
		return hit{}, nil
	}
	return p.hit(at), nil
}

// neighbour returns the hit behind the last one, if it is in the same run.
func (p *indexPostings) neighbour() hit {
	at := p.at + 1
	if p.backward {
		at = p.at - 1
	}
	if at < 0 || at >= len(p.positions) {
		return hit{}
	}
	return p.hit(at)
}

func (p *indexPostings) hit(at int) hit {
	p.at = at
	h := hit{position: p.positions[at], ok: true}
	if p.list.kind == byStream {
		h.version = p.run.before + uint64(at) + 1
	}
	return h
}

// search returns the index of the first position of the run that is at or
// beyond the one sought, in the direction of reading. Usually it is the
// neighbour of the last hit.
func (p *indexPostings) search(position uint64) int {
	n := len(p.positions)
	if !p.backward {
		if next := p.at + 1; next < n && p.positions[p.at] < position && position <= p.positions[next] {
			return next
		}
		return sort.Search(n, func(i int) bool { return p.positions[i] >= position })
	}
	if next := p.at - 1; next >= 0 && p.at < n && p.positions[next] <= position && position < p.positions[p.at] {
		return next
	}
	return sort.Search(n, func(i int) bool { return p.positions[i] > position }) - 1
}

// load reads the run that has a position, or the place for it, and reports
// false when the list ends before it or does not exist.
func (p *indexPostings) load(position uint64) (bool, error) {
	c, err := p.view.cursor(p.list.kind)
	if err != nil {
		return false, err
	}
	old := p.run
	p.run = run{} // until the next one is known to be whole
	p.key = appendClosedKey(p.key[:0], p.list.name, position)
	key, value, err := c.Get(p.key, nil, lmdbenv.SetRange)
	if err != nil && !lmdbenv.IsNotFound(err) {
		return false, err
	}
	if err != nil || !isRunOf(key, p.list.name) {
		return false, absent(c, p.list, p.key)
	}
	if bytes.Compare(key, p.key) < 0 {
		// LMDB takes the first of the next page without a look when the page it
		// was led to has none, and a damaged key of a branch page leads astray.
		return false, errDisorder(key)
	}
	r, open, err := readRun(p.list.kind, key, value)
	if err != nil {
		return false, err
	}
	if position <= r.base || !r.neighbours(old) {
		return false, indexDamage("a part of list %q around position %d is missing", p.list.name, position)
	}
	if p.positions, err = r.positions(p.positions[:0]); err != nil {
		return false, err
	}
	p.run, p.open, p.at = r, open, 0
	return true, nil
}

// neighbours reports whether two runs agree, if one follows the other; the zero
// run agrees with any.
func (r run) neighbours(other run) bool {
	switch {
	case other.count == 0:
		return true
	case r.base == other.last:
		return r.before == other.before+other.count
	case r.last == other.base:
		return r.before+r.count == other.before
	}
	return true
}

// fromVersion returns the position of a version of the stream, or of its last
// one when it is shorter, by halving the positions that may have it.
func (v indexView) fromVersion(stream string, version uint64) (position, found uint64, err error) {
	last, ok, err := v.openRun(list{byStream, stream})
	if err != nil || !ok {
		return 0, 0, err
	}
	version = min(version, last.before+last.count)
	p := &indexPostings{view: v, list: list{byStream, stream}}
	for low, high := uint64(1), last.last; low <= high; {
		middle := low + (high-low)/2
		if version > last.before {
			middle = last.last // as a rule
		}
		if found, err := p.load(middle); err != nil || !found {
			return 0, 0, err
		}
		switch {
		case version <= p.run.before:
			high = p.run.base // before middle
		case version > p.run.before+p.run.count:
			low = max(p.run.last, middle) + 1
		default:
			return p.positions[version-p.run.before-1], version, nil
		}
	}
	return 0, 0, indexDamage("version %d of stream %q is missing", version, stream)
}
