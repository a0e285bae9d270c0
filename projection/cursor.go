package projection

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/verbatim-es/verbatim/event"
)

// A cursor is
//
//	0   1  format, 1
//	1   4  CRC-32C of "<view> <version> <index>", big endian: what it belongs to
//	5   …  key of the row or index entry it stands on
//
// The key comes back from strangers; it is only ever compared with others.
const (
	cursorFormat = 1
	cursorHeader = 5
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func newCursor(v *view, index *Index, key []byte) []byte {
	cursor := make([]byte, 0, cursorHeader+len(key))
	cursor = append(cursor, cursorFormat)
	cursor = binary.BigEndian.AppendUint32(cursor, cursorOwner(v, index))
	return append(cursor, key...)
}

// openCursor returns a copy of the key inside a cursor.
func openCursor(v *view, index *Index, cursor []byte) ([]byte, error) {
	if len(cursor) <= cursorHeader || len(cursor) > cursorHeader+maxKey || cursor[0] != cursorFormat {
		return nil, &event.ArgumentError{Argument: "cursor", Message: "it is not one that a scan returned"}
	}
	if binary.BigEndian.Uint32(cursor[1:]) != cursorOwner(v, index) {
		return nil, &event.ArgumentError{Argument: "cursor", Message: "it belongs to another view, version or index: start without one"}
	}
	return append([]byte(nil), cursor[cursorHeader:]...), nil
}

func cursorOwner(v *view, index *Index) uint32 {
	owner := v.name + " " + v.version + " "
	if index != nil {
		owner += index.Name
	}
	return crc32.Checksum([]byte(owner), castagnoli)
}
