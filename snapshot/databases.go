package snapshot

import (
	"bytes"
	"encoding/binary"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// databases are those of the environment: "states" has a snapshot for each
// stream, "order" the streams by the number of their writing, 8 bytes big
// endian, and "meta" under "bytes" what all snapshots count as.
type databases struct{ states, order, meta lmdbenv.DBI }

var bytesKey = []byte("bytes")

func (d *databases) open(env *lmdbenv.Env) (err error) {
	if d.states, err = env.OpenDB("states"); err != nil {
		return err
	}
	d.order, err = env.OpenDB("order")
	d.meta = env.Meta()
	return err
}

// get returns a copy of a stream's value, nil if there is none.
func (d *databases) get(env *lmdbenv.Env, stream string) (value []byte, err error) {
	err = env.View(func(txn *lmdbenv.Txn) error {
		stored, err := txn.Get(d.states, []byte(stream))
		if lmdbenv.IsNotFound(err) {
			return nil
		}
		value = bytes.Clone(stored)
		return err
	})
	return value, err
}

// put stores a batch in one transaction, and removes what was written longest
// ago while all of it counts as more than most.
func (d *databases) put(env *lmdbenv.Env, batch map[string]aggregate.Snapshot, most int64) (pruned uint64, err error) {
	err = env.Update(func(txn *lmdbenv.Txn) error {
		w := writer{databases: d, txn: txn}
		if err := w.begin(); err != nil {
			return err
		}
		for _, s := range batch {
			if err := w.put(s); err != nil {
				return err
			}
		}
		for w.total > most {
			removed, err := w.removeOldest()
			if err != nil {
				return err
			}
			if !removed {
				break
			}
			pruned++
		}
		return txn.Put(d.meta, bytesKey, binary.BigEndian.AppendUint64(nil, uint64(w.total)), 0)
	})
	return pruned, err
}

// writer is one transaction.
type writer struct {
	*databases
	txn   *lmdbenv.Txn
	total int64
	next  uint64 // number of the next writing
}

func (w *writer) begin() error {
	stored, err := w.txn.Get(w.meta, bytesKey)
	if err != nil && !lmdbenv.IsNotFound(err) {
		return err
	}
	if len(stored) == 8 {
		w.total = int64(binary.BigEndian.Uint64(stored))
	}
	key, _, err := w.at(lmdbenv.Last)
	if len(key) == 8 {
		w.next = binary.BigEndian.Uint64(key) + 1
	}
	return err
}

// at returns the first or the last entry of "order", nil if there is none.
func (w *writer) at(op uint) (key, stream []byte, err error) {
	cursor, err := w.txn.OpenCursor(w.order)
	if err != nil {
		return nil, nil, err
	}
	defer cursor.Close()
	key, stream, err = cursor.Get(nil, nil, op)
	if lmdbenv.IsNotFound(err) {
		return nil, nil, nil
	}
	return bytes.Clone(key), bytes.Clone(stream), err
}

func (w *writer) put(s aggregate.Snapshot) error {
	stream := []byte(s.Stream)
	if err := w.remove(stream); err != nil {
		return err
	}
	if err := w.txn.Put(w.order, binary.BigEndian.AppendUint64(nil, w.next), stream, lmdbenv.Append); err != nil {
		return err
	}
	if err := w.txn.Put(w.states, stream, encode(s, w.next), 0); err != nil {
		return err
	}
	w.next++
	w.total += int64(sizeOf(s))
	return nil
}

// remove takes out a stream's snapshot, if there is one.
func (w *writer) remove(stream []byte) error {
	stored, err := w.txn.Get(w.states, stream)
	if lmdbenv.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	w.total -= int64(2*len(stream) + len(stored))
	if len(stored) >= header {
		number := binary.BigEndian.AppendUint64(nil, binary.LittleEndian.Uint64(stored[numberAt:]))
		if err := w.txn.Del(w.order, number, nil); err != nil && !lmdbenv.IsNotFound(err) {
			return err
		}
	}
	return w.txn.Del(w.states, stream, nil)
}

func (w *writer) removeOldest() (bool, error) {
	key, stream, err := w.at(lmdbenv.First)
	if key == nil || err != nil {
		return false, err
	}
	if err := w.remove(stream); err != nil {
		return false, err
	}
	// It is gone already, unless the snapshot's number was damaged.
	if err := w.txn.Del(w.order, key, nil); err != nil && !lmdbenv.IsNotFound(err) {
		return false, err
	}
	return true, nil
}
