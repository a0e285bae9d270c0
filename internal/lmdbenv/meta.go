//go:build cgo

package lmdbenv

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The database "meta" holds two entries that Open checks, and whatever the
// owner puts beside them:
//
//	"kind"    what the environment is, Options.Kind
//	"format"  its format, 4 bytes big endian
const (
	metaDB    = "meta"
	kindKey   = "kind"
	formatKey = "format"
)

// ErrForeign means that a directory holds an LMDB environment of another kind,
// or of another program.
var ErrForeign = errors.New("not an environment of this kind")

// ErrUnfinished means that an environment is opened for reading which another
// process is just making: it holds nothing yet.
var ErrUnfinished = errors.New("it is just being made: open it again once that is done")

// FormatError says that an environment has a format this program can't read.
type FormatError struct {
	Dir, Kind             string
	Found, Oldest, Newest uint32
}

// TooOld reports whether the format is older than what is read, not newer.
func (e *FormatError) TooOld() bool { return e.Found < e.Oldest }

func (e *FormatError) Error() string {
	if e.TooOld() {
		return fmt.Sprintf("%s in %q has format %d, this program reads from %d: make it again", e.Kind, e.Dir, e.Found, e.Oldest)
	}
	return fmt.Sprintf("%s in %q has format %d, this program reads up to %d: use a newer version of it", e.Kind, e.Dir, e.Found, e.Newest)
}

// checkMeta verifies kind and format, and writes them into an environment that
// holds nothing at all. The caller holds the lock on the opening of handles.
func (e *Env) checkMeta(o Options) error {
	if o.ReadOnly {
		meta, err := e.openExisting(metaDB)
		if err != nil {
			return fmt.Errorf("%q: %w", e.dir, e.withoutMeta())
		}
		e.meta = meta
		return e.View(func(txn *Txn) (err error) {
			if e.main, err = txn.OpenRoot(0); err != nil {
				return err
			}
			return e.readMeta(txn, o)
		})
	}
	return e.Update(func(txn *Txn) (err error) {
		if e.main, err = txn.OpenRoot(0); err != nil {
			return err
		}
		stat, err := txn.Stat(e.main)
		if err != nil {
			return err
		}
		e.created = stat.Entries == 0
		if e.meta, err = openDB(txn, metaDB, e.created); err != nil {
			return fmt.Errorf("%q: %w", e.dir, ErrForeign)
		}
		if !e.created {
			return e.readMeta(txn, o)
		}
		if err := txn.Put(e.meta, []byte(kindKey), []byte(o.Kind), 0); err != nil {
			return err
		}
		return txn.Put(e.meta, []byte(formatKey), binary.BigEndian.AppendUint32(nil, o.Format), 0)
	})
}

// withoutMeta is the kind of an environment that has no meta: one that holds
// nothing is on its way.
func (e *Env) withoutMeta() error {
	foreign := ErrForeign
	err := e.View(func(txn *Txn) error {
		root, err := txn.OpenRoot(0)
		if err != nil {
			return err
		}
		if stat, err := txn.Stat(root); err == nil && stat.Entries == 0 {
			foreign = ErrUnfinished
		}
		return err
	})
	return errors.Join(foreign, err)
}

func (e *Env) readMeta(txn *Txn, o Options) error {
	kind, err := txn.Get(e.meta, []byte(kindKey))
	if err != nil || string(kind) != o.Kind {
		return fmt.Errorf("%q: %w: want %q, found %q", e.dir, ErrForeign, o.Kind, kind)
	}
	format, err := txn.Get(e.meta, []byte(formatKey))
	if err != nil || len(format) != 4 {
		return fmt.Errorf("%q: %w: its format is missing", e.dir, ErrForeign)
	}
	if found := binary.BigEndian.Uint32(format); found == 0 || found > o.Format || found < o.Oldest {
		return &FormatError{Dir: e.dir, Kind: o.Kind, Found: found, Oldest: o.Oldest, Newest: o.Format}
	}
	return nil
}
