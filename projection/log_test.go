package projection

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/verbatim-es/verbatim/event"
)

// memory is a log for the tests: a slice, waits, and trouble on request.
type memory struct {
	mu      sync.Mutex
	store   event.ID
	records [][]byte
	grown   chan struct{} // closed by every change
	broken  error         // what reads answer, when set
	salt    byte          // makes the ids of one log differ from another's
}

func newMemory() *memory {
	return &memory{store: ulid.MustNew(ulid.Now(), rand.Reader), grown: make(chan struct{}), salt: 1}
}

// add appends an event and returns its position.
func (m *memory) add(t fataler, stream, typ string, data []byte) uint64 {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	a := event.Append{Stream: stream, Events: []event.Proposed{{Type: typ, Data: data}}}
	record, err := event.BuildRecord(&a, 0, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	position := uint64(len(m.records)) + 1
	var id event.ID
	id[0], id[6], id[14], id[15] = 1, m.salt, byte(position>>8), byte(position)
	event.Seal(record, id, position, position)
	m.records = append(m.records, record)
	m.wake()
	return position
}

func (m *memory) wake() {
	close(m.grown)
	m.grown = make(chan struct{})
}

// change alters the log behind its readers' back.
func (m *memory) change(alter func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	alter()
	m.wake()
}

func (m *memory) Head(context.Context) (event.Head, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := event.Head{Store: m.store, Position: uint64(len(m.records))}
	if len(m.records) > 0 {
		h.First, h.ID = 1, event.Trusted(m.records[len(m.records)-1]).ID()
	}
	return h, m.broken
}

func (m *memory) ReadPage(ctx context.Context, s event.Selection, o event.PageOptions) (event.Page, error) {
	if !s.Unfiltered() || s.Backward {
		return event.Page{}, errors.New("the test log reads forward, without a filter")
	}
	timer := time.NewTimer(o.Wait)
	defer timer.Stop()
	for {
		page, grown, err := m.page(s, o)
		if err != nil || page.Count > 0 || o.Wait == 0 || s.After > page.Head {
			return page, err
		}
		select {
		case <-grown:
		case <-timer.C:
			return page, nil
		case <-ctx.Done():
			return event.Page{}, ctx.Err()
		}
	}
}

func (m *memory) page(s event.Selection, o event.PageOptions) (event.Page, chan struct{}, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	head := uint64(len(m.records))
	page := event.Page{Store: m.store, Head: head, Last: s.After}
	switch {
	case m.broken != nil:
		return event.Page{}, m.grown, m.broken
	case !o.Store.IsZero() && o.Store != m.store:
		return event.Page{}, m.grown, &event.StoreChangedError{Store: m.store}
	}
	for page.Last < head && (s.Limit == 0 || page.Count < s.Limit) {
		record := m.records[page.Last]
		if page.Count > 0 && o.MaxBytes > 0 && len(page.Records)+len(record) > o.MaxBytes {
			break
		}
		page.Records = append(page.Records, record...)
		page.Count++
		page.Last++
	}
	page.More = page.Last < head
	return page, m.grown, nil
}

// fataler is what a *testing.T and a *rapid.T have in common.
type fataler interface {
	Helper()
	Fatal(...any)
}
