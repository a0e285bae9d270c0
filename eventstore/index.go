package eventstore

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"sort"
	"strings"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// index is the environment that follows the log.
type index struct {
	env        *lmdbenv.Env
	streams    lmdbenv.DBI
	categories lmdbenv.DBI
	types      lmdbenv.DBI
	tags       lmdbenv.DBI
	keys       lmdbenv.DBI
}

// openIndex opens the index in dir; of the options it takes how it is opened.
func openIndex(dir string, o lmdbenv.Options) (*index, error) {
	o.Kind, o.Format = indexKind, format
	env, err := lmdbenv.Open(dir, o)
	if err != nil {
		return nil, err
	}
	x := &index{env: env}
	for name, db := range x.databases() {
		if *db, err = env.OpenDB(name); err != nil {
			return nil, errors.Join(fmt.Errorf("open database %q in %q: %w", name, dir, err), env.Close())
		}
	}
	return x, nil
}

func (x *index) databases() map[string]*lmdbenv.DBI {
	return map[string]*lmdbenv.DBI{
		"streams": &x.streams, "categories": &x.categories, "types": &x.types, "tags": &x.tags, "keys": &x.keys,
	}
}

// checkpoint returns the zero checkpoint for an index that has none.
func (x *index) checkpoint(txn *lmdbenv.Txn) (checkpoint, error) {
	value, err := getOrNil(txn, x.env.Meta(), []byte(checkpointKey))
	if err != nil || value == nil {
		return checkpoint{}, err
	}
	return parseCheckpoint(value)
}

// reset empties the index and sets it to the beginning of a store.
func (x *index) reset(store event.ID) error {
	return x.env.Update(func(txn *lmdbenv.Txn) error {
		for _, db := range x.databases() {
			if err := txn.Drop(*db, false); err != nil {
				return err
			}
		}
		return x.setCheckpoint(txn, checkpoint{store: store})
	})
}

// apply takes up the events that follow the checkpoint, and moves it, in one
// transaction.
func (x *index) apply(store event.ID, events []event.Event) error {
	to := checkpoint{store: store, place: placeOf(events[len(events)-1])}
	return x.env.Update(func(txn *lmdbenv.Txn) error {
		var w indexWriter
		for _, e := range events {
			if err := w.put(txn, x, e); err != nil {
				return fmt.Errorf("index position %d: %w", e.Position(), err)
			}
		}
		return x.setCheckpoint(txn, to)
	})
}

func (x *index) setCheckpoint(txn *lmdbenv.Txn, to checkpoint) error {
	return txn.Put(x.env.Meta(), []byte(checkpointKey), to.append(nil), 0)
}

// indexWriter holds scratch space.
type indexWriter struct{ key, value []byte }

func (w *indexWriter) put(txn *lmdbenv.Txn, x *index, e event.Event) error {
	at := placeOf(e)
	w.key = appendKey(w.key[:0], e.Stream(), e.Version())
	w.value = at.append(w.value[:0])
	if err := txn.Put(x.streams, w.key, w.value, 0); err != nil {
		return err
	}
	for l := range lists(e) {
		if l.kind == byStream {
			continue
		}
		w.key = appendKey(w.key[:0], l.name, at.position)
		if err := txn.Put(x.database(l.kind), w.key, at.id[:], 0); err != nil {
			return err
		}
	}
	if key := e.BatchKey(); key != "" && e.BatchSeq() == 0 {
		return txn.Put(x.keys, []byte(key), at.append(w.value[:0]), 0)
	}
	return nil
}

func (x *index) database(k listKind) lmdbenv.DBI {
	switch k {
	case byStream:
		return x.streams
	case byCategory:
		return x.categories
	case byType:
		return x.types
	default:
		return x.tags
	}
}

// indexView is the index as of one transaction: a source of lists. Streams are
// checked against log, of a transaction that began later.
type indexView struct {
	*index
	txn *lmdbenv.Txn
	log logView
}

// key returns the place of the first event of the append with that key.
func (v indexView) key(key string) (p place, ok bool, err error) {
	value, err := getOrNil(v.txn, v.keys, []byte(key))
	if err != nil || value == nil {
		return place{}, false, err
	}
	p, err = parsePlace(value)
	return p, err == nil, err
}

// version returns the version of a stream, 0 if there is none.
func (v indexView) version(stream string) (uint64, error) {
	c, err := v.txn.OpenCursor(v.streams)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	key, _, err := seekBack(c, appendKey(nil, stream, math.MaxUint64))
	if err != nil {
		return 0, err
	}
	version, _ := cutKey(key, stream)
	return version, nil
}

func (v indexView) postings(l list, backward bool) postings {
	if l.kind == byStream {
		return &streamPostings{view: v, stream: l.name, backward: backward}
	}
	return &indexPostings{view: v, list: l, backward: backward}
}

// everything is not what an index is for: readers take the log instead.
func (v indexView) everything(bool) postings { return &allPostings{} }

func (v indexView) typesWithPrefix(prefix string) (names []string, err error) {
	c, err := v.txn.OpenCursor(v.types)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	for from := []byte(prefix); ; {
		key, _, err := c.Get(from, nil, lmdbenv.SetRange)
		if lmdbenv.IsNotFound(err) || err == nil && !bytes.HasPrefix(key, []byte(prefix)) {
			return names, nil
		}
		if err != nil {
			return nil, err
		}
		name, _, ok := strings.Cut(string(key), "\x00")
		if !ok {
			return nil, indexDamage("a type without an end")
		}
		names = append(names, name)
		from = append([]byte(name), 1) // behind every position of this type
	}
}

// seekBack positions c at the last key that is not greater, nil if there is none.
func seekBack(c *lmdbenv.Cursor, key []byte) (k, v []byte, err error) {
	k, v, err = c.Get(key, nil, lmdbenv.SetRange)
	switch {
	case lmdbenv.IsNotFound(err):
		k, v, err = c.Get(nil, nil, lmdbenv.Last)
	case err == nil && !bytes.Equal(k, key):
		k, v, err = c.Get(nil, nil, lmdbenv.Prev)
	}
	if lmdbenv.IsNotFound(err) {
		return nil, nil, nil
	}
	return k, v, err
}

// indexPostings is a list by category, type or tag.
type indexPostings struct {
	view     indexView
	list     list
	backward bool
	cursor   *lmdbenv.Cursor
	key      []byte
}

func (p *indexPostings) close() {
	if p.cursor != nil {
		p.cursor.Close()
	}
}

func (p *indexPostings) seek(position uint64) (hit, error) {
	if p.cursor == nil {
		var err error
		if p.cursor, err = p.view.txn.OpenCursor(p.view.database(p.list.kind)); err != nil {
			return hit{}, err
		}
	}
	p.key = appendKey(p.key[:0], p.list.name, position)
	var key, value []byte
	var err error
	if p.backward {
		key, value, err = seekBack(p.cursor, p.key)
	} else {
		key, value, err = p.cursor.Get(p.key, nil, lmdbenv.SetRange)
	}
	if lmdbenv.IsNotFound(err) || err == nil && key == nil {
		return hit{}, nil
	}
	if err != nil {
		return hit{}, err
	}
	found, ok := cutKey(key, p.list.name)
	if !ok {
		return hit{}, nil
	}
	if len(value) != 16 {
		return hit{}, indexDamage("an id of %d bytes instead of 16 for position %d", len(value), found)
	}
	return hit{place: place{found, event.ID(value)}, ok: true}, nil
}

// streamPostings is a stream, whose versions are dense: they are searched by
// halves for a position, and none can be missing unnoticed.
type streamPostings struct {
	view     indexView
	stream   string
	backward bool
	started  bool
	last     uint64 // version of the stream
	at       uint64 // version of the last hit, 0 if there is none
	position uint64 // of the last hit
	key      []byte
}

func (p *streamPostings) close() {}

func (p *streamPostings) seek(position uint64) (hit, error) {
	if !p.started {
		last, err := p.view.version(p.stream)
		if err != nil {
			return hit{}, err
		}
		p.started, p.last = true, last
	}
	if p.at == 0 {
		return p.search(position)
	}
	// Usually the neighbour of the last hit is it.
	next := p.at + 1
	if p.backward {
		next = p.at - 1
	}
	if next == 0 || next > p.last {
		return hit{}, nil
	}
	at, err := p.place(next)
	switch {
	case err != nil:
		return hit{}, err
	case !before(p.position, at.position, p.backward):
		return hit{}, indexDamage("versions %d and %d of stream %q are not in order", p.at, next, p.stream)
	case before(at.position, position, p.backward):
		return p.search(position)
	}
	return p.hit(next, at), nil
}

func (p *streamPostings) hit(version uint64, at place) hit {
	p.at, p.position = version, at.position
	return hit{place: at, version: version, ok: true}
}

// search finds the first version at or beyond a position. The version before
// it is confirmed by the log: with it, a wrong place in the index can't make
// the search pass versions over.
func (p *streamPostings) search(position uint64) (hit, error) {
	var failed error
	version := 1 + uint64(sort.Search(int(p.last), func(i int) bool {
		version := uint64(i) + 1
		if p.backward {
			version = p.last - uint64(i)
		}
		at, err := p.place(version)
		failed = errors.Join(failed, err)
		return !before(at.position, position, p.backward)
	}))
	passed := version - 1
	if p.backward {
		version, passed = p.last+1-version, p.last+2-version
	}
	if failed != nil {
		return hit{}, failed
	}
	if passed > 0 && passed <= p.last {
		at, err := p.place(passed)
		if err != nil {
			return hit{}, err
		}
		if err := p.view.confirm(at, p.stream, passed); err != nil {
			return hit{}, err
		}
	}
	if version == 0 || version > p.last {
		return hit{}, nil
	}
	at, err := p.place(version)
	return p.hit(version, at), err
}

// confirm checks a place in the index against the log.
func (v indexView) confirm(at place, stream string, version uint64) error {
	e, err := v.log.at(at)
	if err == nil && (e.Stream() != stream || e.Version() != version) {
		err = errListedWrongly(at.position)
	}
	return err
}

func (p *streamPostings) place(version uint64) (place, error) {
	p.key = appendKey(p.key[:0], p.stream, version)
	value, err := getOrNil(p.view.txn, p.view.streams, p.key)
	if err != nil {
		return place{}, err
	}
	if value == nil {
		return place{}, indexDamage("version %d of stream %q is missing", version, p.stream)
	}
	return parsePlace(value)
}
