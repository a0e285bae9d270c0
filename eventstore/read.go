package eventstore

import (
	"context"
	"iter"
	"sync"
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

// page reads one page, into the buffer where there is one.
func (s *Store) page(ctx context.Context, sel event.Selection, o event.PageOptions) (event.Page, error) {
	if o.Buffer != nil {
		return s.pageInto(ctx, &sel, o)
	}
	sheet := sheets.Get().(*sheet)
	defer sheet.putBack()
	o.Buffer = sheet.bytes
	page, err := s.pageInto(ctx, &sel, o)
	if err == nil {
		sheet.tear(&page)
	}
	return page, err
}

func (s *Store) pageInto(ctx context.Context, sel *event.Selection, o event.PageOptions) (event.Page, error) {
	p := &pageReader{maxBytes: o.MaxBytes}
	if p.maxBytes <= 0 {
		p.maxBytes = event.DefaultPageBytes
	}
	snap, err := s.snapshot(!unfiltered(sel))
	if err != nil {
		return event.Page{}, err
	}
	defer snap.close()
	p.reader = reader{snapshot: snap, ctx: ctx, sel: sel, take: p.add, bound: scanBound}
	p.page = event.Page{Records: o.Buffer[:0], Head: snap.tail.head.position, Store: s.log.store, Checked: true}
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
	last     int // where the page's last record begins
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
	p.last = len(p.page.Records)
	p.page.Records = append(p.page.Records, record...)
	p.page.Count++
	if p.page.Count == p.sel.Limit || len(p.page.Records) >= p.maxBytes {
		p.full = e.Position() != p.limit()
		return false
	}
	return true
}

// finish says how the page ended.
func (p *pageReader) finish() {
	switch p.page.More = p.full || p.stopped; {
	case p.stopped:
		p.page.Last = p.examined
	case p.full:
		p.page.Last = event.Trusted(p.page.Records[p.last:]).Position()
	case p.sel.Backward:
		p.page.Last = min(p.page.Head, 1)
	default:
		p.page.Last = p.page.Head
	}
}

// sheets are memory that pages are put together in. A page is then copied once
// more, into memory of its own of just its size, which costs less than to clear
// what it grows into.
var sheets = sync.Pool{New: func() any { return new(sheet) }}

type sheet struct{ bytes []byte }

// maxSheet keeps one huge page from pinning its memory in the pool.
const maxSheet = 2 << 20

func (s *sheet) putBack() {
	if cap(s.bytes) <= maxSheet {
		sheets.Put(s)
	}
}

// tear copies the page off the sheet, on which it was put together.
func (s *sheet) tear(p *event.Page) {
	s.bytes = p.Records
	if p.Records = nil; len(s.bytes) > 0 {
		p.Records = append([]byte(nil), s.bytes...)
	}
}
