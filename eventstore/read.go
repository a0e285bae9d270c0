package eventstore

import (
	"context"
	"fmt"
	"iter"
	"math"
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
	head := s.recent.snapshot().head
	return event.Head{Store: s.log.store, Position: head.position, ID: head.id, First: min(head.position, 1)}, nil
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
	s.waiters.add(w) // before the head is read, so that no event is missed
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
		select {
		case <-w.woken:
		case <-timer.C:
			expired = true
		case <-ctx.Done():
			return event.Page{}, ctx.Err()
		}
	}
}

// page reads one page, from one snapshot: the tail first, then the index, then
// the log. The index is never behind the tail's base, and the log never behind
// the index, so the three overlap and nothing is in between. Log and index may
// have more than the tail's head: it is where the page ends.
func (s *Store) page(ctx context.Context, sel event.Selection, o event.PageOptions) (event.Page, error) {
	if err := s.ready(); err != nil {
		return event.Page{}, err
	}
	r := &pageReader{store: s, ctx: ctx, sel: &sel, tail: s.recent.snapshot(), maxBytes: o.MaxBytes}
	if r.maxBytes <= 0 {
		r.maxBytes = event.DefaultPageBytes
	}
	r.page = event.Page{Head: r.tail.head.position, Store: s.log.store, Checked: true}
	if err := r.read(); err != nil {
		return event.Page{}, closedError(err)
	}
	return r.page, nil
}

// pageReader fills one page.
type pageReader struct {
	store    *Store
	ctx      context.Context // of the one call it lives for
	sel      *event.Selection
	tail     *tail
	log      logView
	maxBytes int
	page     event.Page
	// full is set when the page is done before the selection is.
	full bool
}

func (r *pageReader) read() error {
	index := indexView{index: r.store.index}
	indexed := uint64(0)
	if !r.unfiltered() {
		reader, err := r.store.index.env.Begin()
		if err != nil {
			return err
		}
		defer reader.Close()
		index.txn = reader.Txn
		at, err := index.checkpoint(reader.Txn)
		if err != nil {
			return err
		}
		if at.position < r.tail.base {
			return errIndexBehind()
		}
		indexed = min(at.position, r.page.Head)
	}
	reader, err := r.store.log.env.Begin()
	if err != nil {
		return err
	}
	defer reader.Close()
	r.log = logView{r.store.log, reader.Txn}
	index.log = r.log

	from, err := r.start(index)
	if err != nil {
		return err
	}
	switch {
	case r.unfiltered():
		return r.all(from)
	case r.sel.Backward:
		return r.backward(index, indexed, from)
	default:
		return r.forward(index, indexed, from)
	}
}

func (r *pageReader) unfiltered() bool {
	return r.sel.Unfiltered() || matchesEverything(r.sel.Query)
}

// start returns the first position to look at; forward that may be one beyond
// the head, and backward 0.
func (r *pageReader) start(index indexView) (uint64, error) {
	head := r.page.Head
	after, err := r.after(index)
	if err != nil {
		return 0, err
	}
	if r.sel.Backward {
		if after == 0 || after > head {
			return head, nil
		}
		return after - 1, nil
	}
	if after > head {
		return 0, &event.ArgumentError{Argument: "after", Message: fmt.Sprintf("position %d is beyond the head, which is %d: it is not from this store", after, head)}
	}
	return after + 1, nil
}

// after turns the selection's start into a position.
func (r *pageReader) after(index indexView) (uint64, error) {
	id, inclusive := r.sel.AfterID, r.sel.Backward
	switch {
	case !r.sel.Since.IsZero():
		id, inclusive = firstID(r.sel.Since), true
	case r.sel.FromVersion > 1:
		return r.beforeVersion(index)
	case id.IsZero():
		return r.sel.After, nil
	}
	position, ok, err := r.afterID(id, inclusive)
	if err != nil {
		return 0, err
	}
	if r.sel.Backward {
		// Below the first event that is not smaller than the id.
		if !ok {
			return 0, nil
		}
		return position + 1, nil
	}
	if !ok {
		position = r.page.Head
	}
	return min(position, r.page.Head), nil
}

// afterID returns the position behind which the events with an id of at least
// id begin, and false when there are none. The tail knows unless they begin
// before it; then the log does.
func (r *pageReader) afterID(id event.ID, inclusive bool) (position uint64, ok bool, err error) {
	position, ok = r.tail.after(id, inclusive)
	if ok && position > r.tail.base || !ok && r.tail.base < r.page.Head {
		return position, ok, nil
	}
	if logged, found, err := r.log.after(id, inclusive); err != nil || found {
		return logged, found, err
	}
	return position, ok, nil
}

// beforeVersion returns a position behind which FromVersion is, or will be, and
// that the index has nothing of the stream behind when it does not have that
// version.
func (r *pageReader) beforeVersion(index indexView) (uint64, error) {
	p := &streamPostings{view: index, stream: r.sel.Stream}
	last, err := index.version(r.sel.Stream)
	if err != nil || last == 0 {
		return 0, err
	}
	version := min(last, r.sel.FromVersion)
	at, err := p.place(version)
	if err == nil {
		err = index.confirm(at, r.sel.Stream, version)
	}
	if err != nil {
		return 0, err
	}
	return min(at.position-1, r.page.Head), nil
}

// firstID is the smallest id of the first millisecond that is not before t.
func firstID(t time.Time) (id event.ID) {
	ms := t.UnixMilli()
	if t.After(time.UnixMilli(ms)) {
		ms++
	}
	// Out of range means before the first or behind the last of all ids.
	if ms > 0 && id.SetTime(uint64(ms)) != nil {
		for i := range id {
			id[i] = math.MaxUint8
		}
	}
	return id
}

// all reads without a filter: what is in the tail from there, the rest from the
// log.
func (r *pageReader) all(from uint64) error {
	if r.sel.Backward {
		for ; from > r.tail.base && !r.full; from-- {
			r.add(r.tail.at(from), 1)
		}
		if err := r.scan(from, 1); err != nil {
			return err
		}
		return r.finish()
	}
	if from <= r.tail.base {
		if err := r.scan(from, r.tail.base); err != nil {
			return err
		}
		from = r.tail.base + 1
	}
	for ; from <= r.page.Head && !r.full; from++ {
		r.add(r.tail.at(from), r.page.Head)
	}
	return r.finish()
}

// scan reads the log from one position to another, which both exist.
func (r *pageReader) scan(from, to uint64) error {
	if r.full || from == 0 {
		return nil
	}
	scan, err := r.log.scan(from, r.sel.Backward)
	if err != nil {
		return err
	}
	defer scan.close()
	for !r.full && !before(to, scan.position, r.sel.Backward) && scan.position > 0 {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		e, err := scan.next()
		if err != nil {
			return err
		}
		r.add(e, r.limit())
	}
	return nil
}

// limit is the last position there is, in the direction of reading.
func (r *pageReader) limit() uint64 {
	if r.sel.Backward {
		return 1
	}
	return r.page.Head
}

// forward reads with a filter: the index up to its checkpoint, the tail above.
func (r *pageReader) forward(index indexView, indexed, from uint64) error {
	if from <= indexed {
		if err := r.follow(index, from, indexed, r.log.at); err != nil {
			return err
		}
	}
	if from = max(from, indexed+1); !r.full && from <= r.page.Head {
		if err := r.follow(r.tail, from, r.page.Head, r.tailAt); err != nil {
			return err
		}
	}
	return r.finish()
}

// backward reads with a filter: the tail down to the index's checkpoint, the
// index below.
func (r *pageReader) backward(index indexView, indexed, from uint64) error {
	if from > indexed {
		if err := r.follow(r.tail, from, indexed+1, r.tailAt); err != nil {
			return err
		}
	}
	if from = min(from, indexed); !r.full && from > 0 {
		if err := r.follow(index, from, 1, r.log.at); err != nil {
			return err
		}
	}
	return r.finish()
}

func (r *pageReader) tailAt(p place) (event.Event, error) { return r.tail.at(p.position), nil }

// follow reads what a source lists between two positions.
func (r *pageReader) follow(s source, from, to uint64, at func(place) (event.Event, error)) error {
	p, err := planSelection(s, r.sel)
	if err != nil {
		return err
	}
	defer p.close()
	p.bound, p.done = scanBound, r.ctx.Done()
	for position := from; !before(to, position, r.sel.Backward) && position > 0 && !r.full; {
		if position != from && p.spent() {
			r.stop(position)
			return r.ctx.Err()
		}
		h, err := p.seek(position)
		if err != nil {
			return err
		}
		if !h.ok {
			return nil
		}
		if before(to, h.position, r.sel.Backward) {
			if h.version != 0 { // or a wrong place would hide what follows
				_, err = at(h.place)
			}
			return err
		}
		if h.partial {
			r.stop(h.position)
			return r.ctx.Err()
		}
		e, err := at(h.place)
		if err != nil {
			return err
		}
		if !r.sel.Matches(e) || h.version != 0 && h.version != e.Version() {
			return errListedWrongly(h.position)
		}
		if e.Version() >= r.sel.FromVersion {
			r.add(e, r.limit())
		}
		if position = h.position + 1; r.sel.Backward {
			position = h.position - 1
		}
	}
	return nil
}

// stop ends the page before a position that was not looked at.
func (r *pageReader) stop(position uint64) {
	r.full = true
	if r.page.Last = position - 1; r.sel.Backward {
		r.page.Last = position + 1
	}
}

// add copies the event into the page, if there is room. last is the last
// position that could be: behind it a full page does not end early.
func (r *pageReader) add(e event.Event, last uint64) {
	record := e.Record()
	if r.page.Count > 0 && len(r.page.Records)+len(record) > r.maxBytes {
		r.full = true
		return
	}
	r.page.Records = append(r.page.Records, record...)
	r.page.Count++
	r.page.Last = e.Position()
	if r.page.Count == r.sel.Limit || len(r.page.Records) >= r.maxBytes {
		r.full = r.page.Last != last
	}
}

// finish says how the page ended.
func (r *pageReader) finish() error {
	if r.page.More = r.full; r.full {
		return nil
	}
	r.page.Last = r.page.Head
	if r.sel.Backward {
		r.page.Last = min(r.page.Head, 1)
	}
	return nil
}
