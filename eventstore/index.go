package eventstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
	"github.com/verbatim-es/verbatim/internal/walk"
)

// index is the environment that follows the log.
type index struct {
	env    *lmdbenv.Env
	lists  [listKinds]lmdbenv.DBI
	ids    lmdbenv.DBI
	keys   lmdbenv.DBI
	mapped walk.Map
	// runBytes is where runs are closed.
	runBytes int
}

// openIndex opens the index in dir; of the options it takes how it is opened.
func openIndex(dir string, o lmdbenv.Options) (*index, error) {
	o.Kind, o.Format, o.Oldest = indexKind, indexFormat, indexFormat
	env, err := lmdbenv.Open(dir, o)
	if err != nil {
		return nil, err
	}
	x := &index{env: env, runBytes: runBytes}
	open, err := databaseOpener(env, checkpointKey, o.ReadOnly)
	if err != nil {
		return nil, errors.Join(err, env.Close())
	}
	for name, db := range x.databases() {
		if *db, err = open(name); err != nil {
			return nil, errors.Join(fmt.Errorf("open database %q in %q: %w", name, dir, err), env.Close())
		}
	}
	return x, nil
}

func (x *index) databases() map[string]*lmdbenv.DBI {
	dbs := map[string]*lmdbenv.DBI{idsName: &x.ids, "keys": &x.keys}
	for kind, name := range listNames {
		dbs[name] = &x.lists[kind]
	}
	return dbs
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
		if err := txn.Del(x.env.Meta(), []byte(forgottenKey), nil); err != nil && !lmdbenv.IsNotFound(err) {
			return err
		}
		return x.setCheckpoint(txn, checkpoint{store: store})
	})
}

// store takes a harvest up, which follows the checkpoint, and moves the
// checkpoint, in one transaction.
func (x *index) store(store event.ID, h *harvest) error {
	return x.env.Update(func(txn *lmdbenv.Txn) error {
		w := harvestWriter{index: x, txn: txn}
		if err := w.write(h); err != nil {
			return fmt.Errorf("index from position %d: %w", h.after+1, err)
		}
		return x.setCheckpoint(txn, checkpoint{store: store, place: h.to})
	})
}

func (x *index) setCheckpoint(txn *lmdbenv.Txn, to checkpoint) error {
	return txn.Put(x.env.Meta(), []byte(checkpointKey), to.append(nil), 0)
}

// indexView is the index as of one transaction: a source of lists. log is of a
// transaction that began later.
type indexView struct {
	*index
	txn *lmdbenv.Txn
	log logView
	// cursors are shared by all lists of a kind, and the last one is of ids:
	// each use begins by moving them.
	cursors *[listKinds + 1]*lmdbenv.Cursor
}

// view must be closed before txn ends.
func (x *index) view(txn *lmdbenv.Txn) indexView {
	return indexView{index: x, txn: txn, cursors: new([listKinds + 1]*lmdbenv.Cursor)}
}

func (v indexView) close() {
	for _, c := range v.cursors {
		if c != nil {
			c.Close()
		}
	}
}

func (v indexView) cursor(kind listKind) (*lmdbenv.Cursor, error) {
	return v.cursorOf(&v.cursors[kind], v.lists[kind])
}

func (v indexView) idCursor() (*lmdbenv.Cursor, error) {
	return v.cursorOf(&v.cursors[listKinds], v.ids)
}

func (v indexView) cursorOf(c **lmdbenv.Cursor, db lmdbenv.DBI) (_ *lmdbenv.Cursor, err error) {
	if *c == nil {
		*c, err = v.txn.OpenCursor(db)
	}
	return *c, err
}

// version returns the version of a stream, 0 if there is none.
func (v indexView) version(stream string) (uint64, error) {
	r, ok, err := v.openRun(list{byStream, stream})
	if err != nil || !ok {
		return 0, err
	}
	return r.before + r.count, nil
}

// openRun returns the last run of a list.
func (v indexView) openRun(l list) (r run, ok bool, err error) {
	var scratch [64]byte
	key := appendOpenKey(scratch[:0], l.name)
	value, err := getOrNil(v.txn, v.lists[l.kind], key)
	if err != nil {
		return run{}, false, err
	}
	if value == nil {
		c, err := v.cursor(l.kind)
		if err == nil {
			err = absent(c, l, key)
		}
		return run{}, false, err
	}
	r, _, err = readRun(l.kind, key, value)
	return r, err == nil, err
}

func (v indexView) postings(l list, backward bool) postings {
	return &indexPostings{view: v, list: l, backward: backward}
}

// everything is not what an index is for: readers take the log instead.
func (v indexView) everything(bool) postings { return &allPostings{} }

func (v indexView) typesWithPrefix(prefix string) (names []string, err error) {
	c, err := v.cursor(byType)
	if err != nil {
		return nil, err
	}
	for from := []byte(prefix); ; {
		_, key, err := around(c, from, byType.whole)
		if err != nil || !bytes.HasPrefix(key, []byte(prefix)) {
			return names, err
		}
		name, _, _, _ := cutRunKey(key) // around has read it
		names = append(names, string(name))
		from = append(bytes.Clone(name), openRun+1) // behind every run of this type
	}
}

// idBlock returns in which block of ids a position's is, and at which offset.
func idBlock(position uint64) (block uint64, offset int) {
	return (position - 1) / idsPerBlock, int((position-1)%idsPerBlock) * 16
}

// idTable finds ids by position, and remembers where it looked last.
type idTable struct {
	number uint64
	block  []byte // aliases the map
}

// place returns the place of a position that a list named. It is as true as the
// log says that it is.
func (t *idTable) place(v indexView, position uint64) (place, error) {
	number, offset := idBlock(position)
	if t.block == nil || t.number != number {
		var key [8]byte
		binary.BigEndian.PutUint64(key[:], number)
		block, err := getOrNil(v.txn, v.ids, key[:])
		if err != nil {
			return place{}, err
		}
		if len(block) != idBlockBytes {
			return place{}, &event.CorruptError{Position: position, Message: "the index has no id for it"}
		}
		t.number, t.block = number, block
	}
	return place{position, event.ID(t.block[offset : offset+16])}, nil
}
