package commit

import (
	"slices"
	"time"

	"github.com/verbatim-es/verbatim/event"
)

// Earlier is an append that used an idempotency key.
type Earlier struct {
	Receipt event.Receipt
	Content Content
	schemas []uint64 // fingerprints, one an event
}

// EarlierOf rebuilds what is known of an append from its events, all of them,
// in order. It keeps nothing of their records.
func EarlierOf(events []event.Event) *Earlier {
	first, last := events[0], events[len(events)-1]
	receipt := event.Receipt{First: first.Position(), Last: last.Position(), Version: last.Version(), IDs: make([]event.ID, len(events))}
	for i, e := range events {
		receipt.IDs[i] = e.ID()
		if e.Stream() != first.Stream() {
			receipt.Version = 0
		}
	}
	return &Earlier{Receipt: receipt, Content: ContentOf(events), schemas: schemasOf(events)}
}

func schemasOf(events []event.Event) []uint64 {
	schemas := make([]uint64, len(events))
	for i, e := range events {
		schemas[i] = e.Schema()
	}
	return schemas
}

// Known reports whether the append's key is known at the head of a log, of which
// the last event has that id. Once it is not, it never is again: ids increase.
func (e *Earlier) Known(head event.ID, retention time.Duration) bool {
	return KeyKnown(e.Receipt.IDs[0], head, retention)
}

// KeyKnown is [Earlier.Known] by the id of the append's first event.
func KeyKnown(first, head event.ID, retention time.Duration) bool {
	return retention <= 0 || first.Time()+uint64(retention.Milliseconds()) >= head.Time()
}

// again is the receipt of the append when it is repeated.
func (e *Earlier) again() event.Receipt {
	receipt := e.Receipt
	receipt.IDs = slices.Clone(receipt.IDs)
	receipt.Repeated = true
	return receipt
}

// Settle returns what the append of a proposal is answered. A key that was used
// before with other content may have been used with the same, by a program that
// knew other versions of the schemas: what is stored then differs by their
// fingerprints, and by the tags that they derive. So the append is proposed once
// more, under the schemas of the one before, and compared.
func (o Outcome) Settle(schemas Schemas, a *event.Append, limits Limits) (event.Receipt, error) {
	if o.Reused == nil || len(o.Reused.schemas) != len(a.Events) {
		return o.Receipt, o.Err
	}
	before := *a
	before.Events = slices.Clone(a.Events)
	for i := range before.Events {
		before.Events[i].Schema = o.Reused.schemas[i]
	}
	if p, err := Propose(schemas, &before, limits); err != nil || p.Content != o.Reused.Content {
		return o.Receipt, o.Err
	}
	return o.Reused.again(), nil
}
