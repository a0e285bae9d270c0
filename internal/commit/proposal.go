package commit

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/verify"
)

// Schemas is what proposing needs to know about the types of events.
// [github.com/verbatim-es/verbatim/schema.Set] is one.
type Schemas interface {
	// Lookup returns the table of that full name in the current schema that
	// declares it, and that schema's fingerprint.
	Lookup(typ string) (*schema.Table, uint64, bool)
	// Verify checks data, and the tags it would get, against the schema with
	// that fingerprint. It fails with a [*verify.Error] when data is wrong, and
	// with a [*schema.UnknownTypeError].
	Verify(typ string, fingerprint uint64, data []byte) error
	// AppendTags appends the tags that the schema declares. data is verified.
	AppendTags(dst []string, typ string, fingerprint uint64, data []byte) []string
	// AppendTagsUnverified does so with data that nobody has verified, and fails
	// as Verify does where data or tags are seen to be wrong.
	AppendTagsUnverified(dst []string, typ string, fingerprint uint64, data []byte) ([]string, error)
}

// Limits bound one append.
type Limits struct {
	// Record is the largest record and Append the largest sum of them, in
	// bytes; Events is the largest number of events.
	Record, Append, Events int
	// KeyRetention is how long an append's key is known: until an event is
	// recorded that much later, by the ids of the two. 0 is for ever.
	KeyRetention time.Duration
}

// Proposal is an append on its way to the committer: records without their
// place, and what the proposer found out before.
type Proposal struct {
	// Events are the append's, over records that [Decide] will seal.
	Events     []event.Event
	Conditions []event.Condition
	Key        string
	// Content identifies what is appended; set when there is a key.
	Content Content
	// Streams are the names of all streams that the proposal writes or names in
	// a condition, sorted, each once.
	Streams []string
	// Size is the length of all records.
	Size  int
	Facts Facts

	retention time.Duration // of keys
	// What the slices are made of, as long as it is enough: most appends have
	// one event, in one stream.
	event   [1]event.Event
	stream  [1]string
	version [1]uint64
}

// Facts are what a proposer found in the log up to position At. Decide looks
// only at what came after.
type Facts struct {
	At uint64
	// Versions holds the version of each of [Proposal.Streams], in their order.
	// It may be nil when all are 0.
	Versions []uint64
	// Matches holds, for each condition that is a NoneMatch, the position of
	// a match, 0 if there was none. It may be nil when all are 0.
	Matches []uint64
	// Earlier is the append that used the key before, nil if none did.
	Earlier *Earlier
}

// Propose validates an append, verifies its data and builds its records. The
// append and what it refers to are not used any more afterwards, but for its
// conditions. Facts are left for the caller to fill.
//
// Errors are those of [event.Append.Validate], an [*event.UnknownError] for a
// type or a schema that is not known, an [*event.InvalidDataError] for data
// that is not of its type, and an [*event.TooLargeError].
func Propose(schemas Schemas, a *event.Append, limits Limits) (*Proposal, error) {
	if err := a.Validate(); err != nil {
		return nil, err
	}
	if len(a.Events) > limits.Events {
		return nil, &event.TooLargeError{Bound: "max_events of an append", Limit: uint64(limits.Events), Actual: uint64(len(a.Events))}
	}
	p := &Proposal{Conditions: slices.Clone(a.Conditions), Key: a.Key, retention: limits.KeyRetention}
	p.Events = p.event[:]
	if len(a.Events) > 1 {
		p.Events = make([]event.Event, len(a.Events))
	}
	p.Facts.Versions = p.version[:0]
	p.nameStreams(a)
	var tags []string
	for i := range a.Events {
		record, err := propose(schemas, a, i, limits, &tags)
		if err != nil {
			return nil, err
		}
		if p.Size += len(record); p.Size > limits.Append {
			return nil, &event.TooLargeError{Bound: "max_append", Limit: uint64(limits.Append), Actual: uint64(p.Size)}
		}
		p.Events[i] = event.Trusted(record)
	}
	if p.Key != "" {
		p.Content = ContentOf(p.Events)
	}
	return p, nil
}

// propose builds the record of event i; tags is scratch space.
func propose(schemas Schemas, a *event.Append, i int, limits Limits, tags *[]string) ([]byte, error) {
	e := &a.Events[i]
	table, current, ok := schemas.Lookup(e.Type)
	if !ok || table.Role != schema.RoleEvent {
		return nil, &event.UnknownError{Kind: "event", Name: e.Type}
	}
	fingerprint := e.Schema
	if fingerprint == 0 {
		fingerprint = current
	}
	all, err := derivedTags(schemas, (*tags)[:0], e, fingerprint, a.TrustData)
	if err != nil {
		return nil, dataError(e.Type, err)
	}
	for _, tag := range e.Tags {
		if !slices.Contains(all, tag) {
			all = append(all, tag)
		}
	}
	*tags = all
	record, err := event.BuildRecord(a, i, fingerprint, all)
	if err != nil {
		return nil, err
	}
	if len(record) > limits.Record {
		return nil, &event.TooLargeError{Bound: "max_record", Limit: uint64(limits.Record), Actual: uint64(len(record))}
	}
	return record, nil
}

// derivedTags verifies the data, unless it is trusted, and appends the tags that
// its schema declares.
func derivedTags(schemas Schemas, dst []string, e *event.Proposed, fingerprint uint64, trust bool) ([]string, error) {
	if trust {
		return schemas.AppendTagsUnverified(dst, e.Type, fingerprint, e.Data)
	}
	if err := schemas.Verify(e.Type, fingerprint, e.Data); err != nil {
		return nil, err
	}
	return schemas.AppendTags(dst, e.Type, fingerprint, e.Data), nil
}

func dataError(typ string, err error) error {
	var invalid *verify.Error
	if errors.As(err, &invalid) {
		return &event.InvalidDataError{Type: typ, Path: invalid.Path, Offset: invalid.Offset, Message: invalid.Message}
	}
	var unknown *schema.UnknownTypeError
	if errors.As(err, &unknown) {
		return &event.UnknownError{Kind: "schema", Name: fmt.Sprintf("%016x of %s", unknown.Fingerprint, typ)}
	}
	return err
}

// nameStreams fills Streams.
func (p *Proposal) nameStreams(a *event.Append) {
	names := p.stream[:0]
	add := func(name string) {
		if len(names) == 0 || names[len(names)-1] != name {
			names = append(names, name)
		}
	}
	for i := range a.Events {
		add(a.StreamOf(i))
	}
	for _, c := range p.Conditions {
		if name, ok := streamOf(c); ok {
			add(name)
		}
	}
	slices.Sort(names)
	p.Streams = slices.Compact(names)
}

// factOf is the version that the facts give a stream, one of Streams.
func (p *Proposal) factOf(stream string) uint64 {
	if i, _ := slices.BinarySearch(p.Streams, stream); i < len(p.Facts.Versions) {
		return p.Facts.Versions[i]
	}
	return 0
}

func streamOf(c event.Condition) (string, bool) {
	switch c := c.(type) {
	case event.StreamAt:
		return c.Stream, true
	case event.StreamAbsent:
		return c.Stream, true
	case event.StreamPresent:
		return c.Stream, true
	default:
		return "", false
	}
}
