package event

import (
	"encoding/binary"

	flatbuffers "github.com/google/flatbuffers/go"
)

// The vtable entries of es.Event, 4 + 2*id, of what is patched in place and of
// what is read of every event. The latter is read here, by the format's rules,
// which takes half as long as with flatc's accessors.
const (
	entryID       = 4
	entryPosition = 6
	entryVersion  = 8
	entryStream   = 10
	entryType     = 12
	entrySchema   = 14
	entryData     = 18
	entryChecksum = 26
)

// number returns a field of eight bytes of a valid table, 0 where it is absent.
func number(t flatbuffers.Table, entry uint32) uint64 {
	at := place(t, entry)
	if at == 0 {
		return 0
	}
	return binary.LittleEndian.Uint64(t.Bytes[at:])
}

// vector returns a string or a vector of bytes of a valid table, nil where it is
// absent. Its capacity is its length.
func vector(t flatbuffers.Table, entry uint32) []byte {
	at := place(t, entry)
	if at == 0 {
		return nil
	}
	at += binary.LittleEndian.Uint32(t.Bytes[at:])
	n := binary.LittleEndian.Uint32(t.Bytes[at:])
	return t.Bytes[at+4:][:n:n]
}

// place is where a field lies, 0 where it is absent.
func place(t flatbuffers.Table, entry uint32) uint32 {
	root := uint32(t.Pos)
	vtable := root - binary.LittleEndian.Uint32(t.Bytes[root:])
	if entry >= uint32(binary.LittleEndian.Uint16(t.Bytes[vtable:])) {
		return 0
	}
	offset := uint32(binary.LittleEndian.Uint16(t.Bytes[vtable+entry:]))
	if offset == 0 {
		return 0
	}
	return root + offset
}
