package eventstore

import (
	"cmp"
	"encoding/binary"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/commit"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// harvest is what one transaction of the index takes up: the events of chunks
// from behind a position up to a place.
type harvest struct {
	chunks []*chunk
	after  uint64
	to     place
	// head is the last id of the log, by which keys are known, for so long.
	head      event.ID
	retention time.Duration
}

// harvest returns the events of (after, limit], both between appends, or the
// first of them. Only a sealed tail's chunks can be read without keeping out who
// adds to them.
func (t *tail) harvest(after, limit uint64) harvest {
	h := harvest{after: after, head: t.head.id}
	for _, c := range t.chunks[t.chunkOf(after+1):] {
		if c.base >= limit || c.base >= after+catchUpEvents {
			break
		}
		h.chunks = append(h.chunks, c)
		if h.to = c.last(); h.to.position > limit {
			h.to = place{limit, c.id(int(limit - c.base - 1))}
		}
	}
	return h
}

// events is how many there are.
func (h *harvest) events() int { return int(h.to.position - h.after) }

// visible returns which offsets of a chunk belong to the harvest: from, and not
// to.
func (h *harvest) visible(c *chunk) (from, to int) {
	return int(max(h.after, c.base) - c.base), int(min(h.to.position-c.base, uint64(c.len())))
}

// chunkList is a list that a chunk has.
type chunkList struct {
	name   string
	chunk  *chunk
	number int32
}

// lists returns the lists by kind, each kind's by name and then in the order of
// chunks. One may have none of the events.
func (h *harvest) lists() (all [listKinds][]chunkList) {
	for _, c := range h.chunks {
		c.mu.RLock()
		for kind := range c.lists {
			m := &c.lists[kind]
			all[kind] = slices.Grow(all[kind], len(m.lists))
			for number := range int32(len(m.lists)) {
				all[kind] = append(all[kind], chunkList{m.name(number), c, number})
			}
		}
		c.mu.RUnlock()
	}
	for _, lists := range all {
		slices.SortFunc(lists, func(a, b chunkList) int {
			return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(a.chunk.base, b.chunk.base))
		})
	}
	return all
}

// positions yields those of one list, ascending.
func (h *harvest) positions(kind listKind, of []chunkList) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for _, l := range of {
			from, to := h.visible(l.chunk)
			for _, offset := range l.chunk.numbered(kind, l.number) {
				if int(offset) >= from && int(offset) < to && !yield(l.chunk.base+1+uint64(offset)) {
					return
				}
			}
		}
	}
}

// keyedAppend is an idempotency key and the place of its append's first event.
type keyedAppend struct {
	key string
	at  place
}

// old reports whether no key of the harvest is known any more. None ever is again.
func (h *harvest) old() bool { return !commit.KeyKnown(h.to.id, h.head, h.retention) }

// keys returns the idempotency keys of the appends that begin in the harvest, in
// order.
func (h *harvest) keys() (keys []keyedAppend) {
	for _, c := range h.chunks {
		from, to := h.visible(c)
		c.mu.RLock()
		for number := range c.keys.lists {
			on := c.keys.offsets(&c.keys.lists[number])
			if offset := int(on[len(on)-1]); offset >= from && offset < to {
				keys = append(keys, keyedAppend{c.keys.name(int32(number)), place{c.base + 1 + uint64(offset), c.ids[offset]}})
			}
		}
		c.mu.RUnlock()
	}
	slices.SortFunc(keys, func(a, b keyedAppend) int {
		return cmp.Or(strings.Compare(a.key, b.key), cmp.Compare(a.at.position, b.at.position))
	})
	return keys
}

// harvestWriter writes a harvest in one transaction, in the order of keys, so
// that each page is touched once.
type harvestWriter struct {
	*index
	txn        *lmdbenv.Txn
	run        run
	key, value []byte
}

func (w *harvestWriter) write(h *harvest) error {
	if err := w.ids(h); err != nil {
		return err
	}
	for kind, rest := range h.lists() {
		kind := listKind(kind)
		for len(rest) > 0 {
			n := 1
			for n < len(rest) && rest[n].name == rest[0].name {
				n++
			}
			if err := w.list(list{kind, rest[0].name}, h.positions(kind, rest[:n])); err != nil {
				return err
			}
			rest = rest[n:]
		}
	}
	if h.old() {
		if passed, err := w.index.passOver(w.txn, h.after, h.to.position); passed || err != nil {
			return err
		}
	}
	return w.putKeys(h.keys())
}

func (w *harvestWriter) putKeys(keys []keyedAppend) error {
	for _, k := range keys {
		w.key = append(w.key[:0], k.key...)
		w.value = appendKeyEntry(w.value[:0], w.key, k.at)
		if err := w.txn.Put(w.index.keys, w.key, w.value, 0); err != nil {
			return err
		}
	}
	return nil
}

// list adds to a list's open run, and closes it as often as it is full.
func (w *harvestWriter) list(l list, positions iter.Seq[uint64]) error {
	opened := false
	for position := range positions {
		if !opened {
			if err := w.open(l); err != nil {
				return err
			}
			opened = true
		}
		if position <= w.run.last {
			return indexDamage("%q has position %d already", l.name, w.run.last)
		}
		if len(w.run.deltas) >= w.runBytes {
			w.key = appendClosedKey(w.key[:0], l.name, w.run.last)
			if err := w.put(l.kind); err != nil {
				return err
			}
			w.run.next()
		}
		w.run.add(position)
	}
	if !opened {
		return nil
	}
	w.key = appendOpenKey(w.key[:0], l.name)
	return w.put(l.kind)
}

func (w *harvestWriter) put(kind listKind) error {
	w.value = w.run.append(w.value[:0], kind, w.key)
	return w.txn.Put(w.lists[kind], w.key, w.value, 0)
}

// open copies the list's open run, or begins its first one.
func (w *harvestWriter) open(l list) error {
	w.key = appendOpenKey(w.key[:0], l.name)
	value, err := getOrNil(w.txn, w.lists[l.kind], w.key)
	if err != nil {
		return err
	}
	if value == nil {
		w.run = run{deltas: w.run.deltas[:0]}
		c, err := w.txn.OpenCursor(w.lists[l.kind])
		if err != nil {
			return err
		}
		defer c.Close()
		return absent(c, l, w.key)
	}
	r, _, err := readRun(l.kind, w.key, value)
	r.deltas = append(w.run.deltas[:0], r.deltas...) // a put may move what the value aliases
	w.run = r
	return err
}

// ids writes the ids of the events, by blocks that are always whole: what is
// not used yet is zero.
func (w *harvestWriter) ids(h *harvest) error {
	for _, c := range h.chunks {
		from, to := h.visible(c)
		if err := w.idsOf(c, from, to); err != nil {
			return err
		}
	}
	return nil
}

// idsOf writes some of a chunk's.
func (w *harvestWriter) idsOf(c *chunk, from, to int) error {
	c.mu.RLock()
	rest := c.ids[from:to]
	c.mu.RUnlock()
	for position := c.base + 1 + uint64(from); len(rest) > 0; {
		block, offset := idBlock(position)
		w.key = binary.BigEndian.AppendUint64(w.key[:0], block)
		w.value = append(w.value[:0], make([]byte, idBlockBytes)...)
		flags := uint(lmdbenv.Append)
		if offset > 0 {
			before, err := w.txn.Get(w.index.ids, w.key)
			if err != nil || len(before) != idBlockBytes {
				return indexDamage("the ids before position %d are missing", position)
			}
			copy(w.value, before[:offset])
			flags = 0
		}
		n := min(len(rest), (idBlockBytes-offset)/16)
		for i, id := range rest[:n] {
			copy(w.value[offset+16*i:], id[:])
		}
		if err := w.txn.Put(w.index.ids, w.key, w.value, flags); err != nil {
			return err
		}
		position, rest = position+uint64(n), rest[n:]
	}
	return nil
}
