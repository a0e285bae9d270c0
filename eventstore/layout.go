package eventstore

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// The layout of a store's directory: the log's is of format 1, the index's of
// format 4. Numbers are big endian, so that LMDB's order of bytes is the order
// of numbers; varints are those of Protocol Buffers. No value is empty.
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
//	meta       "journal"                    see mark.go
//	log        event id, 16 bytes           record, length a multiple of 8
//	positions  position, 8 bytes,           event id, 16 bytes
//	           each multiple of 256
//	schemas    ordinal, 8 bytes, from 1     .bfbs as flatc wrote it; the newest
//	                                        that declares a type is current
//
// index, up to its checkpoint:
//
//	meta       "checkpoint"                 store id 16, position 8, event id 16,
//	                                        CRC-32C of these 4
//	streams,   name 01                      the open run of a list
//	categories,name 00 position             a closed run, by its last position
//	types, tags
//	ids        block, 8 bytes, from 0       the ids of 126 positions, 16 bytes
//	                                        each: 1 to 126, 127 to 252, ...
//	keys       idempotency key              CRC-32C over key and the rest, 4;
//	                                        position 8 and event id 16 of the
//	                                        first event of its last append
//
// A run is a part of the list of the positions of a stream, a category, a type
// or a tag. Its value is a checksum, CRC-32C over a byte that says which of these
// four, from 0, the key and the rest of the value, 4 bytes; flags, a byte; and
// varints: with flag 1 the position before its first and how many are before it
// in the list; with flag 2 how many it has, and how far its last is from the
// position before its first; and then how far each position is from the one
// before it. The event at place n of a stream's list has version n.
//
// Names hold no control characters, so 00 and 01 end them. With at most 255
// bytes of name the longest key has 264 bytes.
const (
	format      = 1
	indexFormat = 4
	logKind     = "verbatim.log"
	indexKind   = "verbatim.index"

	journalDir = "journal"
	logDir     = "log"
	indexDir   = "index"
	viewsDir   = "views" // not of the store, but often beside it

	recordsName = "log" // the log's database of records
	idsName     = "ids" // the index's of ids

	storeKey      = "store"
	checkpointKey = "checkpoint"

	// sparseStep is the distance of the positions whose ids are kept.
	sparseStep = 256

	// idsPerBlock is as many as make two blocks fill a page of LMDB.
	idsPerBlock  = 126
	idBlockBytes = idsPerBlock * len(event.ID{})
)

// listNames are the names of the databases of lists.
var listNames = [listKinds]string{byStream: "streams", byCategory: "categories", byType: "types", byTag: "tags"}

// place is where an event is.
type place struct {
	position uint64
	id       event.ID
}

func placeOf(e event.Event) place { return place{e.Position(), e.ID()} }

// headOf is the end of a store's log whose last event is at p.
func (p place) headOf(store event.ID) event.Head {
	return event.Head{Store: store, Position: p.position, ID: p.id, First: min(p.position, 1)}
}

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

// append has a checksum follow: an index that seemed further than it is would
// hide events.
func (c checkpoint) append(b []byte) []byte {
	start := len(b)
	b = c.place.append(append(b, c.store[:]...))
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

func parseCheckpoint(b []byte) (checkpoint, error) {
	if len(b) != 44 || binary.BigEndian.Uint32(b[40:]) != crc32.Checksum(b[:40], castagnoli) {
		return checkpoint{}, indexDamage("its checkpoint, of %d bytes, is damaged", len(b))
	}
	p, err := parsePlace(b[16:40])
	return checkpoint{store: event.ID(b), place: p}, err
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
