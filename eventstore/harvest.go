package eventstore

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// harvest is what events that follow each other add to the index. It keeps
// nothing of the events: names are copied, each once.
type harvest struct {
	first    uint64 // position
	ids      []event.ID
	lists    [listKinds]map[string]chain
	postings []posting
	keys     []keyedAppend
	names    int // bytes
}

// chain is a list's positions: the first and the last of its postings.
type chain struct{ first, last int32 }

type posting struct {
	position uint64
	next     int32 // 0 at the end: the first posting is nobody's next
}

// keyedAppend is an idempotency key and the place of its append's first event.
type keyedAppend struct {
	key string
	at  place
}

// reset empties the harvest, and keeps its memory.
func (h *harvest) reset() {
	h.ids, h.postings, h.keys, h.names = h.ids[:0], h.postings[:0], h.keys[:0], 0
	for kind := range h.lists {
		if h.lists[kind] == nil {
			h.lists[kind] = make(map[string]chain)
		}
		clear(h.lists[kind])
	}
}

// add takes the next event.
func (h *harvest) add(e event.Event) {
	at := placeOf(e)
	if len(h.ids) == 0 {
		h.first = at.position
	}
	h.ids = append(h.ids, at.id)
	for l := range lists(e) {
		h.post(l, at.position)
	}
	if key := e.BatchKey(); key != "" && e.BatchSeq() == 0 {
		h.keys = append(h.keys, keyedAppend{strings.Clone(key), at})
		h.names += len(key)
	}
}

func (h *harvest) post(l list, position uint64) {
	kind := h.lists[l.kind]
	this := int32(len(h.postings))
	c, ok := kind[l.name]
	switch {
	case !ok:
		name := strings.Clone(l.name)
		h.names += len(name)
		kind[name] = chain{this, this}
	case h.postings[c.last].position == position:
		return // a tag given twice
	default:
		h.postings[c.last].next = this
		kind[l.name] = chain{c.first, this}
	}
	h.postings = append(h.postings, posting{position: position})
}

// last is the place of the last event.
func (h *harvest) last() place {
	n := len(h.ids)
	return place{h.first + uint64(n) - 1, h.ids[n-1]}
}

// positions yields a list's positions.
func (h *harvest) positions(c chain) func(yield func(uint64) bool) {
	return func(yield func(uint64) bool) {
		for i := c.first; yield(h.postings[i].position) && i != c.last; {
			i = h.postings[i].next
		}
	}
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
	var names []string
	for kind := range h.lists {
		names = names[:0]
		for name := range h.lists[kind] {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			if err := w.list(h, list{listKind(kind), name}); err != nil {
				return err
			}
		}
	}
	for _, k := range h.keys {
		w.key = append(w.key[:0], k.key...)
		w.value = appendKeyEntry(w.value[:0], w.key, k.at)
		if err := w.txn.Put(w.index.keys, w.key, w.value, 0); err != nil {
			return err
		}
	}
	return nil
}

// list adds to a list's open run, and closes it as often as it is full.
func (w *harvestWriter) list(h *harvest, l list) error {
	if err := w.open(l); err != nil {
		return err
	}
	for position := range h.positions(h.lists[l.kind][l.name]) {
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
	w.key = appendOpenKey(w.key[:0], l.name)
	return w.put(l.kind)
}

func (w *harvestWriter) put(kind listKind) error {
	w.value = w.run.append(w.value[:0], w.key)
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
		return absent(c, l.name, w.key)
	}
	r, _, err := readRun(w.key, value)
	r.deltas = append(w.run.deltas[:0], r.deltas...) // a put may move what the value aliases
	w.run = r
	return err
}

// ids writes the ids of the events, by blocks that are always whole: what is
// not used yet is zero.
func (w *harvestWriter) ids(h *harvest) error {
	for position, rest := h.first, h.ids; len(rest) > 0; {
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
