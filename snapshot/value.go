package snapshot

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/verbatim-es/verbatim/aggregate"
)

// A snapshot is stored under its stream's name, with little-endian numbers:
//
//	0   4   CRC-32C over the stream's name and all that follows
//	4   4   revision
//	8   8   version
//	16  8   fingerprint of the schema
//	24  16  id of the stream's event at the version
//	40  8   number of the writing, under which the stream is in "order"
//	48      state
const (
	header   = 48
	numberAt = 40
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sizeOf is what a snapshot counts as.
func sizeOf(s aggregate.Snapshot) int { return 2*len(s.Stream) + header + len(s.State) }

func encode(s aggregate.Snapshot, number uint64) []byte {
	b := make([]byte, header, header+len(s.State))
	binary.LittleEndian.PutUint32(b[4:], s.Revision)
	binary.LittleEndian.PutUint64(b[8:], s.Version)
	binary.LittleEndian.PutUint64(b[16:], s.Schema)
	copy(b[24:], s.ID[:])
	binary.LittleEndian.PutUint64(b[numberAt:], number)
	b = append(b, s.State...)
	binary.LittleEndian.PutUint32(b, checksum(s.Stream, b))
	return b
}

// decode returns the snapshot in a value, which it keeps, and false when the
// value is not what was written.
func decode(stream string, b []byte) (s aggregate.Snapshot, ok bool) {
	if len(b) < header || binary.LittleEndian.Uint32(b) != checksum(stream, b) {
		return s, false
	}
	s = aggregate.Snapshot{
		Stream:   stream,
		Revision: binary.LittleEndian.Uint32(b[4:]),
		Version:  binary.LittleEndian.Uint64(b[8:]),
		Schema:   binary.LittleEndian.Uint64(b[16:]),
		State:    b[header:],
	}
	copy(s.ID[:], b[24:])
	return s, true
}

func checksum(stream string, b []byte) uint32 {
	return crc32.Update(crc32.Checksum([]byte(stream), castagnoli), castagnoli, b[4:])
}
