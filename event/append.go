package event

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of names in a record, in bytes. They keep every index key far below
// LMDB's limit of 511.
const (
	MaxStreamName = 255
	MaxType       = 255
	MaxTag        = 255
	MaxKey        = 255
)

// MaxRecord is the largest record, in bytes. RawSocket's frame holds 16 MiB.
const MaxRecord = 15 << 20

// Proposed is an event that has not happened yet: what a caller hands in, and
// what an append turns into a record.
type Proposed struct {
	// Type is the fully qualified schema name, "bank.account.Deposited".
	Type string
	// Data is a finished FlatBuffer of Type, without size prefix. The append
	// copies it; the caller may reuse it afterwards.
	Data []byte
	// Schema is the fingerprint of the schema Data was built with; 0 means the
	// current one that the store has for Type.
	Schema uint64
	// Stream overrides the stream of the append.
	Stream string
	// Tags are added to those that the store derives from the schema.
	Tags []string
	// Metadata is stored in order; keys may repeat.
	Metadata []Meta
	// Causation and Correlation link the event to others; zero means none.
	Causation, Correlation ID
}

// Meta is one free key and value of an event.
type Meta struct{ Key, Value string }

// Append is a set of events that become durable together or not at all.
type Append struct {
	// Stream is the stream of the events that name none.
	Stream string
	Events []Proposed
	// Conditions must all hold at the moment of the commit, in the order of
	// the log. They may name streams that are not written.
	Conditions []Condition
	// Key is the idempotency key: a second append with the same key and the
	// same content returns the first one's receipt and appends nothing; one with
	// other content is a [*KeyReusedError]. Tags and metadata are part of the
	// content. Which version of its schema the data was built with is not, so a
	// program that was updated meanwhile may repeat what it has not had an answer
	// to, as long as it builds the same bytes.
	Key string
	// Store is the log that the append was decided on, zero if any will do.
	// Versions and positions mean nothing in another one, such as a backup that
	// was restored: it answers [*StoreChangedError], before it looks at key and
	// conditions.
	Store ID
	// TrustData has a log of this process take the data of all events as it is,
	// without verifying it: for producers that build it with the generated
	// constructors, or have verified it, and for nobody who forwards what others
	// sent. What is wrong with it stays in the log, and whoever reads it, here or
	// at a client, may panic, hang, or read what is not the event's.
	//
	// Type, schema, names, sizes and derived tags are checked all the same; tags
	// are read without leaving the data's memory. The mark never travels: a log
	// behind the bus verifies, whoever appends.
	TrustData bool
}

// Receipt says where an append's events are.
type Receipt struct {
	// First and Last are the positions of the append's first and last event.
	First, Last uint64
	// Version is the version of the last event in its stream when the append
	// wrote a single stream, 0 otherwise.
	Version uint64
	// IDs are the events' ids, in order.
	IDs []ID
	// Repeated is true when the key was used before, and this is the receipt
	// of that first append.
	Repeated bool
}

// For reports that the append was decided on another log than that with the id
// store, as a [*StoreChangedError].
func (a *Append) For(store ID) error {
	if a.Store.IsZero() || a.Store == store {
		return nil
	}
	return &StoreChangedError{Store: store}
}

// StreamOf returns the stream that event i is appended to.
func (a *Append) StreamOf(i int) string {
	if s := a.Events[i].Stream; s != "" {
		return s
	}
	return a.Stream
}

// Validate reports the first argument that no store accepts, as an
// [*ArgumentError] or [*TooLargeError]. It does not look into data.
func (a *Append) Validate() error {
	if len(a.Events) == 0 {
		return &ArgumentError{Argument: "events", Message: "an append needs at least one event"}
	}
	if a.Key != "" {
		if err := checkName("key", a.Key, MaxKey); err != nil {
			return err
		}
	}
	for i := range a.Events {
		if err := a.validateEvent(i); err != nil {
			return err
		}
	}
	for _, c := range a.Conditions {
		if err := c.validate(); err != nil {
			return err
		}
	}
	return nil
}

func (a *Append) validateEvent(i int) error {
	p := &a.Events[i]
	if err := checkName("stream", a.StreamOf(i), MaxStreamName); err != nil {
		return err
	}
	if err := checkName("type", p.Type, MaxType); err != nil {
		return err
	}
	if len(p.Data) > MaxRecord {
		return &TooLargeError{Bound: "max_record", Limit: MaxRecord, Actual: uint64(len(p.Data))}
	}
	for _, tag := range p.Tags {
		if err := checkTag(tag); err != nil {
			return err
		}
	}
	for _, m := range p.Metadata {
		if !utf8.ValidString(m.Key) || !utf8.ValidString(m.Value) {
			return &ArgumentError{Argument: "metadata", Message: "keys and values are valid UTF-8"}
		}
	}
	return nil
}

func checkTag(tag string) error {
	if err := checkName("tags", tag, MaxTag); err != nil {
		return err
	}
	if strings.IndexByte(tag, ':') < 1 {
		return &ArgumentError{Argument: "tags", Message: "a tag has the form \"key:value\", got " + quote(tag)}
	}
	return nil
}

// checkName accepts 1 to limit bytes of valid UTF-8 without control characters.
func checkName(argument, name string, limit int) error {
	switch {
	case name == "":
		return &ArgumentError{Argument: argument, Message: "must not be empty"}
	case len(name) > limit:
		return &TooLargeError{Bound: argument + " in bytes", Limit: uint64(limit), Actual: uint64(len(name))}
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return &ArgumentError{Argument: argument, Message: "must be valid UTF-8 without control characters, got " + quote(name)}
	}
	return nil
}
