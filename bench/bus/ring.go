package main

import (
	"context"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/verbatim-es/verbatim/event"
)

// ring is a log that remembers its last events only, in memory: commits cost
// nothing, so that what is measured is the bus.
type ring struct {
	store event.ID

	mu      sync.Mutex
	records [1 << 15][]byte
	head    event.Head
	grown   chan struct{}
}

func newRing() *ring {
	return &ring{store: ulid.Make(), grown: make(chan struct{})}
}

func (r *ring) Head(context.Context) (event.Head, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	head := r.head
	head.Store, head.First = r.store, min(head.Position, 1)
	return head, nil
}

func (r *ring) Append(_ context.Context, a event.Append) (event.Receipt, error) {
	records := make([][]byte, len(a.Events))
	for i := range records {
		var err error
		if records[i], err = event.BuildRecord(&a, i, 1, nil); err != nil {
			return event.Receipt{}, err
		}
	}
	return r.enter(records...), nil
}

// enter gives records, which are the ring's from now on, their places.
func (r *ring) enter(records ...[]byte) event.Receipt {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := r.head.Position + 1
	for _, record := range records {
		r.head.Position++
		r.head.ID = ulid.ULID{15: byte(r.head.Position)}
		event.Seal(record, r.head.ID, r.head.Position, r.head.Position)
		r.records[r.head.Position%uint64(len(r.records))] = record
	}
	close(r.grown)
	r.grown = make(chan struct{})
	return event.Receipt{First: first, Last: r.head.Position}
}

func (r *ring) ReadPage(ctx context.Context, s event.Selection, o event.PageOptions) (event.Page, error) {
	timer := time.NewTimer(o.Wait)
	defer timer.Stop()
	for {
		page, grown := r.page(s)
		if page.Count > 0 || o.Wait == 0 {
			return page, nil
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

func (r *ring) page(s event.Selection) (event.Page, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	page := event.Page{Last: s.After, Head: r.head.Position, Store: r.store, Checked: true}
	for page.Last < page.Head && len(page.Records) < event.DefaultPageBytes {
		page.Last++
		page.Count++
		page.Records = append(page.Records, r.records[page.Last%uint64(len(r.records))]...)
	}
	page.More = page.Last < page.Head
	return page, r.grown
}
