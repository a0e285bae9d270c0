package eventstore

import (
	"encoding/binary"
	"fmt"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// The layout of a store's directory, format 1. Numbers are big endian, so that
// LMDB's order of bytes is the order of numbers. No value is empty.
//
//	DIR/lock      owner's process id, locked while the store is open
//	DIR/journal/  segments of package internal/journal, which describes them:
//	              what the log has not taken up yet, nothing once closed
//	DIR/log/      LMDB environment of kind "verbatim.log"
//	DIR/index/    LMDB environment of kind "verbatim.index"
//
// Each environment has a database "meta": "kind" its kind, "format" its format
// as 4 bytes.
//
// log:
//
//	database   key                          value
//	meta       "store"                      store id, 16 bytes
//	log        event id, 16 bytes           record, length a multiple of 8
//	positions  position, 8 bytes,           event id, 16 bytes
//	           each multiple of 256
//	schemas    ordinal, 8 bytes, from 1     .bfbs as flatc wrote it; the newest
//	                                        that declares a type is current
//
// index, up to its checkpoint:
//
//	meta       "checkpoint"                 store id 16, position 8, event id 16
//	streams    stream 00 version            position 8, event id 16
//	categories category 00 position         event id, 16 bytes
//	types      type 00 position             event id, 16 bytes
//	tags       tag 00 position              event id, 16 bytes
//	keys       idempotency key              position 8 and event id 16 of the
//	                                        append's first event
//
// Names hold no control characters, so the byte 00 ends them. With at most 255
// bytes of name the longest key has 264 bytes.
const (
	format    = 1
	logKind   = "verbatim.log"
	indexKind = "verbatim.index"

	journalDir = "journal"
	logDir     = "log"
	indexDir   = "index"
	viewsDir   = "views" // not of the store, but often beside it

	storeKey      = "store"
	checkpointKey = "checkpoint"

	// sparseStep is the distance of the positions whose ids are kept.
	sparseStep = 256
)

// place is where an event is: what the index keeps of it.
type place struct {
	position uint64
	id       event.ID
}

func placeOf(e event.Event) place { return place{e.Position(), e.ID()} }

func (p place) append(b []byte) []byte {
	return append(binary.BigEndian.AppendUint64(b, p.position), p.id[:]...)
}

func parsePlace(b []byte) (place, error) {
	if len(b) != 24 {
		return place{}, indexDamage("a place of %d bytes instead of 24", len(b))
	}
	return place{binary.BigEndian.Uint64(b), event.ID(b[8:])}, nil
}

// checkpoint says up to where the index has followed the log.
type checkpoint struct {
	store event.ID
	place
}

func (c checkpoint) append(b []byte) []byte { return c.place.append(append(b, c.store[:]...)) }

func parseCheckpoint(b []byte) (checkpoint, error) {
	if len(b) != 40 {
		return checkpoint{}, indexDamage("a checkpoint of %d bytes instead of 40", len(b))
	}
	p, err := parsePlace(b[16:])
	return checkpoint{store: event.ID(b), place: p}, err
}

// appendKey appends the key of a name and a number.
func appendKey(b []byte, name string, number uint64) []byte {
	return binary.BigEndian.AppendUint64(append(append(b, name...), 0), number)
}

// cutKey returns the number of a key from appendKey, if it has that name.
func cutKey(key []byte, name string) (number uint64, ok bool) {
	if len(key) != len(name)+9 || string(key[:len(name)]) != name || key[len(name)] != 0 {
		return 0, false
	}
	return binary.BigEndian.Uint64(key[len(name)+1:]), true
}

func indexDamage(message string, args ...any) error {
	return &event.CorruptError{Message: "index: " + fmt.Sprintf(message, args...) + ": delete the directory \"" + indexDir + "\" of the closed store, and it is rebuilt"}
}

func errListedWrongly(position uint64) error {
	return &event.CorruptError{Position: position, Message: "the index lists it as what it is not"}
}

// getOrNil is a get that returns nil for what does not exist.
func getOrNil(txn *lmdbenv.Txn, db lmdbenv.DBI, key []byte) ([]byte, error) {
	value, err := txn.Get(db, key)
	if lmdbenv.IsNotFound(err) {
		return nil, nil
	}
	return value, err
}
