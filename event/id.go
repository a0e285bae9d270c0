package event

import (
	"encoding/binary"

	"github.com/oklog/ulid/v2"
)

// ID is an event's ULID. Ids strictly increase in position order, so comparing
// two ids as bytes compares the positions of their events.
type ID = ulid.ULID

func idFromHalves(hi, lo uint64) (id ID) {
	binary.BigEndian.PutUint64(id[:8], hi)
	binary.BigEndian.PutUint64(id[8:], lo)
	return id
}

func idHalves(id ID) (hi, lo uint64) {
	return binary.BigEndian.Uint64(id[:8]), binary.BigEndian.Uint64(id[8:])
}
