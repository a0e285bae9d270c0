package event

import (
	"bytes"
	"strings"
)

// recast is what an event is read as instead of what its record says.
type recast struct {
	typ    string
	schema uint64
	data   []byte
}

func (r *recast) clone() *recast {
	return &recast{typ: strings.Clone(r.typ), schema: r.schema, data: bytes.Clone(r.data)}
}

// Recast returns the event as one of another type: what an upcaster makes of
// it, see package upcast. Type, Schema and Data are those given; the data must
// be a valid FlatBuffer of the type, and stays the event's. Everything else is
// as stored, the tags and [Event.Record] too.
func (e Event) Recast(typ string, schema uint64, data []byte) Event {
	e.recast = &recast{typ: typ, schema: schema, data: data}
	return e
}
