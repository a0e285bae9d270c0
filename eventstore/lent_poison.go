//go:build verbatimpoison

package eventstore

import "github.com/verbatim-es/verbatim/event"

// poison is no length and no offset that a record can have.
const poison = 0xdb

// poisoned says that a snapshot lends copies.
const poisoned = true

// lent are copies of the events that a snapshot gave out.
type lent struct{ records [][]byte }

func (l *lent) lend(e event.Event) event.Event {
	c := e.Clone()
	l.records = append(l.records, c.Record())
	return c
}

func (l *lent) expire() {
	for _, record := range l.records {
		for i := range record {
			record[i] = poison
		}
	}
	l.records = nil
}
