package eventstore

import (
	"bytes"
	"context"
	"errors"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// indexVerifier verifies the index in two passes: its lists by themselves, which
// are counted up to the checkpoint there was at the beginning, and then each
// event of the log against them. When all of these are found and the counts are
// equal, the index has exactly what the log says.
type indexVerifier struct {
	found, expected [listKinds]uint64 // positions
	keys, keyed     uint64
	// forgotten is up to where keys were forgotten at the beginning. When more
	// of them were since, or an old one was used again, their number says
	// nothing.
	forgotten uint64
	changed   bool
}

// lists verifies the lists by themselves, and notes the index's checkpoint.
func (v *verifier) lists(ctx context.Context) error {
	x := v.store.index
	if err := x.env.View(func(txn *lmdbenv.Txn) error {
		at, err := x.checkpoint(txn)
		if err != nil {
			return err
		}
		v.report.IndexPosition = at.position
		if v.index.forgotten, err = x.forgotten(txn); err != nil {
			return err
		}
		stat, err := txn.Stat(x.keys)
		if err == nil {
			v.index.keys = stat.Entries
		}
		return err
	}); err != nil {
		return err
	}
	// Events that came since are in the index already: look at them too.
	v.head.position = max(v.head.position, v.report.IndexPosition)
	for kind := range listKinds {
		walk := listWalk{verifier: v, kind: kind}
		for !walk.ended {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := x.env.View(walk.step); err != nil {
				return err
			}
		}
		walk.end(nil)
	}
	return nil
}

// listWalk goes through all runs of a kind of lists, by short transactions. In
// between runs may be added to, and closed: that is behind where the walk is, or
// beyond the checkpoint.
type listWalk struct {
	*verifier
	kind      listKind
	key       []byte // of the last run
	run       run    // the last one, of a list that goes on
	positions []uint64
	ended     bool
}

func (w *listWalk) step(txn *lmdbenv.Txn) error {
	c, err := txn.OpenCursor(w.store.index.lists[w.kind])
	if err != nil {
		return err
	}
	defer c.Close()
	for range verifyStep {
		// The smallest key behind the last one.
		key, value, err := c.Get(append(w.key, 0), nil, lmdbenv.SetRange)
		if lmdbenv.IsNotFound(err) {
			w.ended = true
			return nil
		}
		if err != nil {
			return err
		}
		if bytes.Compare(key, w.key) <= 0 {
			w.report.add(0, "%s", problem(errDisorder(key)))
			w.ended = true
			return nil
		}
		w.entry(key, value)
		w.key = append(w.key[:0], key...)
	}
	return nil
}

// entry verifies a run, and that it goes on from the one before.
func (w *listWalk) entry(key, value []byte) {
	r, open, err := readRun(w.kind, key, value)
	if err == nil {
		w.positions, err = r.positions(w.positions[:0])
	}
	if err != nil {
		w.report.add(0, "%s", problem(err))
		w.run = run{}
		return
	}
	name, _, _, _ := cutRunKey(key)
	w.end(name)
	if r.base != w.run.last || r.before != w.run.before+w.run.count {
		w.report.add(r.base+1, "the index lacks a part of list %q before position %d", name, w.positions[0])
	}
	for _, position := range w.positions {
		if position <= w.report.IndexPosition {
			w.index.found[w.kind]++
		}
	}
	if w.run = r; open {
		w.run = run{}
	}
}

// end verifies that the list of the last run has ended, unless it has that name.
func (w *listWalk) end(name []byte) {
	if w.run.count == 0 {
		return
	}
	if last, _, _, _ := cutRunKey(w.key); name == nil || !bytes.Equal(last, name) {
		w.report.add(w.run.last, "the index lacks the end of list %q", last)
		w.run = run{}
	}
}

// indexEntries looks events up in the index, in one transaction.
type indexEntries struct {
	view  indexView
	ids   idTable
	lists map[list]*indexPostings
}

// check verifies that the index has all of an event.
func (x *indexEntries) check(v *verifier, e event.Event) error {
	at := placeOf(e)
	if at.position > v.report.IndexPosition {
		return nil
	}
	if found, err := x.ids.place(x.view, at.position); err != nil || found != at {
		v.report.add(at.position, "the index has id %s for it: %v", found.id, err)
	}
	seen := make(map[list]bool)
	for l := range lists(e) {
		if seen[l] {
			continue
		}
		seen[l] = true
		v.index.expected[l.kind]++
		if err := x.listed(v, l, e); err != nil {
			return err
		}
	}
	key := e.BatchKey()
	if key == "" || e.BatchSeq() != 0 {
		return nil
	}
	return x.keyed(v, key, at)
}

// keyed verifies the entry of an append's key: it is there unless the key was
// forgotten, or used again since.
func (x *indexEntries) keyed(v *verifier, key string, at place) error {
	found, ok, err := x.view.key(key)
	if errors.As(err, new(*event.CorruptError)) {
		v.report.add(at.position, "%s", problem(err))
		return nil
	}
	if err != nil {
		return err
	}
	forgotten, err := x.view.forgotten(x.view.txn)
	if err != nil {
		return err
	}
	v.index.changed = v.index.changed || forgotten != v.index.forgotten || ok && found.position > v.report.IndexPosition
	switch {
	case ok && found == at:
		v.index.keyed++
	case ok && found.position > at.position || !ok && at.position <= forgotten:
	default:
		v.report.add(at.position, "the index has position %d and id %s for key %q", found.position, found.id, key)
	}
	return nil
}

// listed verifies that an event is on a list.
func (x *indexEntries) listed(v *verifier, l list, e event.Event) error {
	p := x.lists[l]
	if p == nil {
		p = &indexPostings{view: x.view, list: l}
		x.lists[l] = p
	}
	h, err := p.seek(e.Position())
	switch {
	case errors.As(err, new(*event.CorruptError)):
		v.report.add(e.Position(), "%s", problem(err))
		return nil
	case err != nil:
		return err
	}
	if !h.ok || h.position != e.Position() || l.kind == byStream && h.version != e.Version() {
		v.report.add(e.Position(), "it is not on the index's list %q, or not in its place", l.name)
	}
	return nil
}

// compare compares the counts.
func (x *indexVerifier) compare(r *Report) {
	for kind, found := range x.found {
		if want := x.expected[kind]; found != want {
			r.add(0, "the index has %d entries of %s, the log gives %d", found, listNames[kind], want)
		}
	}
	if x.keys != x.keyed && !x.changed {
		r.add(0, "the index has %d entries of keys, the log gives %d", x.keys, x.keyed)
	}
}
