package eventstore

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/verbatim-es/verbatim/event"
)

// Head returns the end of the log.
func (s *Store) Head(ctx context.Context) (event.Head, error) {
	if err := ctx.Err(); err != nil {
		return event.Head{}, err
	}
	if err := s.ready(); err != nil {
		return event.Head{}, err
	}
	return s.recent.snapshot().head.headOf(s.log.store), nil
}

// Read yields the selected events up to the head at the time it gets there; see
// [event.Read]. The events may be kept.
func (s *Store) Read(ctx context.Context, sel event.Selection) iter.Seq2[event.Event, error] {
	return event.Read(ctx, s, sel)
}

// Subscribe yields the selected events of the past, and then live, until ctx
// ends or the loop breaks; see [event.Subscribe]. The events may be kept.
func (s *Store) Subscribe(ctx context.Context, sel event.Selection, o event.SubscribeOptions) iter.Seq2[event.Event, error] {
	return event.Subscribe(ctx, s, sel, o)
}

// ReadPage returns the next page of a selection, copied and with every record's
// checksum verified.
//
// A start beyond the head is refused with an [*event.ArgumentError]: such a
// position never came from this store. A record that is damaged, or not what
// the index says, fails the page with an [*event.CorruptError]; what is before
// it can be read with a limit.
func (s *Store) ReadPage(ctx context.Context, sel event.Selection, o event.PageOptions) (event.Page, error) {
	if err := ctx.Err(); err != nil {
		return event.Page{}, err
	}
	if err := sel.Validate(); err != nil {
		return event.Page{}, err
	}
	if o.Wait > 0 && sel.Backward {
		return event.Page{}, &event.ArgumentError{Argument: "wait", Message: "reading backward, there is nothing to wait for"}
	}
	if !o.Store.IsZero() && o.Store != s.log.store {
		return event.Page{}, &event.StoreChangedError{Store: s.log.store}
	}
	page, err := s.page(ctx, sel, o)
	if err != nil || o.Wait <= 0 || page.Count > 0 || page.More {
		return page, err
	}
	return s.await(ctx, sel, o)
}

// await reads again whenever there may be a match, until there is one.
func (s *Store) await(ctx context.Context, sel event.Selection, o event.PageOptions) (event.Page, error) {
	w := newWaiter(&sel)
	if seeded != bugReadThenWait {
		s.waiters.add(w) // before the head is read, so that no event is missed
	}
	defer s.waiters.remove(w)
	timer := time.NewTimer(o.Wait)
	defer timer.Stop()
	for expired := false; ; {
		page, err := s.page(ctx, sel, o)
		if err != nil || page.Count > 0 || page.More || expired {
			return page, err
		}
		if sel.FromVersion == 0 {
			sel.After, sel.AfterID, sel.Since = page.Last, event.ID{}, time.Time{}
		}
		_ = s.hooks.reach(pointWaiting) // can't fail
		if seeded == bugReadThenWait {
			s.waiters.add(w)
		}
		select {
		case <-w.woken:
		case <-timer.C:
			expired = true
		case <-ctx.Done():
			return event.Page{}, ctx.Err()
		}
	}
}

// page reads one page.
func (s *Store) page(ctx context.Context, sel event.Selection, o event.PageOptions) (event.Page, error) {
	p := &pageReader{maxBytes: o.MaxBytes}
	if p.maxBytes <= 0 {
		p.maxBytes = event.DefaultPageBytes
	}
	snap, err := s.snapshot(!unfiltered(&sel))
	if err != nil {
		return event.Page{}, err
	}
	defer snap.close()
	p.reader = reader{snapshot: snap, ctx: ctx, sel: &sel, take: p.add, bound: scanBound}
	p.page = event.Page{Head: snap.tail.head.position, Store: s.log.store, Checked: true}
	if err := p.read(); err != nil {
		return event.Page{}, closedError(err)
	}
	p.finish()
	return p.page, nil
}

// pageReader fills one page.
type pageReader struct {
	reader
	maxBytes int
	page     event.Page
	// full is set when the page is done before the selection is.
	full bool
}

// add copies the event into the page, if there is room. Behind the last
// position there is, a full page does not end early.
func (p *pageReader) add(e event.Event) bool {
	record := e.Record()
	if p.page.Count > 0 && len(p.page.Records)+len(record) > p.maxBytes {
		p.full = true
		return false
	}
	p.room(len(record))
	p.page.Records = append(p.page.Records, record...)
	p.page.Count++
	p.page.Last = e.Position()
	if p.page.Count == p.sel.Limit || len(p.page.Records) >= p.maxBytes {
		p.full = p.page.Last != p.limit()
		return false
	}
	return true
}

// room makes room for a record. Pages are either small or full, so the bytes
// grow in few and large steps.
func (p *pageReader) room(n int) {
	const least, factor = 4 << 10, 4
	if have := cap(p.page.Records); have-len(p.page.Records) < n {
		size := min(max(factor*have, least), p.maxBytes)
		p.page.Records = slices.Grow(p.page.Records, max(n, size-len(p.page.Records)))
	}
}

// finish says how the page ended.
func (p *pageReader) finish() {
	if p.stopped {
		p.full, p.page.Last = true, p.examined
	}
	if p.page.More = p.full; p.full {
		return
	}
	p.page.Last = p.page.Head
	if p.sel.Backward {
		p.page.Last = min(p.page.Head, 1)
	}
}
