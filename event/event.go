package event

import (
	"fmt"
	"iter"
	"time"

	"github.com/verbatim-es/verbatim/internal/fb/es"
	"github.com/verbatim-es/verbatim/schema/flat"
)

// Event is one committed event, read in place from its record.
//
// It is a small value that aliases the record's bytes: strings and slices from
// its methods are valid exactly as long as those bytes are. Events from Read
// and Subscribe alias memory that the garbage collector owns and may be kept;
// events from a zero-copy view end with it ([Event.Clone] keeps one).
// Nobody may write to what its methods return.
type Event struct {
	record es.Event
	recast *recast // nil for an event that is what its record says

	// Live is true for an event that was delivered by a subscription which had
	// reached the head of the log before it.
	Live bool
}

// Trusted returns the event whose record is known to be whole: it was built in
// this process, or has passed [CheckRecord] after it was built by a store.
// Bytes from anywhere else go through [Decode].
func Trusted(record []byte) Event {
	var e Event
	e.record.Init(record, rootOffset(record))
	return e
}

// Record is the event as stored: a size-prefixed FlatBuffer es.Event. It is what
// was stored also when the event is a [Event.Recast] one.
func (e Event) Record() []byte {
	b := e.record.Table().Bytes
	return b[:len(b):len(b)]
}

// IsZero reports whether e holds no record.
func (e Event) IsZero() bool { return e.record.Table().Bytes == nil }

// ID is the event's ULID, the log's key.
func (e Event) ID() ID {
	var id es.Id
	return idOf(e.record.Id(&id))
}

// Position is the event's place in the global order; the first is 1.
func (e Event) Position() uint64 { return number(e.record.Table(), entryPosition) }

// Version is the event's place in its stream; the first is 1.
func (e Event) Version() uint64 { return number(e.record.Table(), entryVersion) }

// Stream is the name of the event's stream, "category-id".
func (e Event) Stream() string { return flat.String(vector(e.record.Table(), entryStream)) }

// Category is the stream's name up to its first '-'.
func (e Event) Category() string {
	category, _ := SplitStream(e.Stream())
	return category
}

// StreamID is the stream's name after its first '-': the aggregate's id.
func (e Event) StreamID() string {
	_, id := SplitStream(e.Stream())
	return id
}

// Type is the event's fully qualified schema name, "bank.account.Deposited".
func (e Event) Type() string {
	if e.recast != nil {
		return e.recast.typ
	}
	return flat.String(vector(e.record.Table(), entryType))
}

// Schema is the fingerprint of the schema that Data was built with.
func (e Event) Schema() uint64 {
	if e.recast != nil {
		return e.recast.schema
	}
	return number(e.record.Table(), entrySchema)
}

// Data is the event itself, a FlatBuffer of its type without size prefix.
func (e Event) Data() []byte {
	if e.recast != nil {
		return flat.Bytes(e.recast.data)
	}
	return vector(e.record.Table(), entryData)
}

// Tags yields the event's "key:value" tags.
func (e Event) Tags() iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range e.record.TagsLength() {
			if !yield(flat.String(e.record.Tags(i))) {
				return
			}
		}
	}
}

// HasTag reports whether the event carries the tag.
func (e Event) HasTag(tag string) bool {
	for i := range e.record.TagsLength() {
		if string(e.record.Tags(i)) == tag {
			return true
		}
	}
	return false
}

// Metadata yields the event's free keys and values.
func (e Event) Metadata() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		var m es.Meta
		for i := range e.record.MetadataLength() {
			if e.record.Metadata(&m, i) && !yield(flat.String(m.Key()), flat.String(m.Value())) {
				return
			}
		}
	}
}

// MetadataValue returns the value of the first metadata entry with that key.
func (e Event) MetadataValue(key string) (string, bool) {
	for k, v := range e.Metadata() {
		if k == key {
			return v, true
		}
	}
	return "", false
}

// Causation is the id of the event that caused this one, or the zero id.
func (e Event) Causation() ID {
	var id es.Id
	return idOf(e.record.Causation(&id))
}

// Correlation is the id shared by all events of one conversation, or the zero id.
func (e Event) Correlation() ID {
	var id es.Id
	return idOf(e.record.Correlation(&id))
}

// Time is the instant the event was recorded, in UTC, to the millisecond.
// It is part of the id and never goes backwards along the log.
func (e Event) Time() time.Time { return e.ID().Timestamp().UTC() }

// BatchSeq is the event's place in its append; the first is 0. The append's
// first position is Position() - BatchSeq().
func (e Event) BatchSeq() int { return int(e.record.BatchSeq()) }

// BatchSize is the number of events in the append.
func (e Event) BatchSize() int { return int(e.record.BatchSize()) }

// BatchKey is the append's idempotency key, or "".
func (e Event) BatchKey() string { return flat.String(e.record.BatchKey()) }

// Checksum is the CRC-32C stored in the record.
func (e Event) Checksum() uint32 { return e.record.Checksum() }

// Clone returns the event on a copy of its record that may be kept for ever.
func (e Event) Clone() Event {
	if e.IsZero() {
		return e
	}
	c := Trusted(append([]byte(nil), e.record.Table().Bytes...))
	c.Live = e.Live
	if e.recast != nil {
		c.recast = e.recast.clone()
	}
	return c
}

// String identifies the event in logs and failures; it shows no data.
func (e Event) String() string {
	if e.IsZero() {
		return "no event"
	}
	return fmt.Sprintf("%s at position %d (%s version %d)", e.Type(), e.Position(), e.Stream(), e.Version())
}

func idOf(id *es.Id) ID {
	if id == nil {
		return ID{}
	}
	return idFromHalves(id.Hi(), id.Lo())
}
