package eventstore

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/verbatim-es/verbatim/event"
)

// reader reads a selection from a snapshot.
type reader struct {
	*snapshot
	ctx context.Context // of the one call it lives for
	sel *event.Selection
	// take takes the next event, and reports whether it wants more.
	take func(event.Event) bool
	// bound is how many steps through lists it may make. When they are spent it
	// has stopped, behind the position examined.
	bound    int
	stopped  bool
	examined uint64

	enough bool // take wants no more
}

func (r *reader) read() error {
	from, err := r.start()
	if err != nil {
		return err
	}
	switch {
	case unfiltered(r.sel):
		return r.all(from)
	case r.sel.Backward:
		return r.backward(from)
	default:
		return r.forward(from)
	}
}

func unfiltered(sel *event.Selection) bool {
	return sel.Unfiltered() || matchesEverything(sel.Query)
}

// give hands an event to the taker.
func (r *reader) give(e event.Event) { r.enough = !r.take(e) }

// done reports whether nothing more is to be read.
func (r *reader) done() bool { return r.enough || r.stopped }

// stop ends reading before a position that was not looked at.
func (r *reader) stop(position uint64) {
	r.stopped = true
	if r.examined = position - 1; r.sel.Backward {
		r.examined = position + 1
	}
}

func (r *reader) head() uint64 { return r.tail.head.position }

// limit is the last position there is, in the direction of reading.
func (r *reader) limit() uint64 {
	if r.sel.Backward {
		return 1
	}
	return r.head()
}

// start returns the first position to look at; forward that may be one beyond
// the head, and backward 0.
func (r *reader) start() (uint64, error) {
	head := r.head()
	after, err := r.after()
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
func (r *reader) after() (uint64, error) {
	id, inclusive := r.sel.AfterID, r.sel.Backward
	switch {
	case !r.sel.Since.IsZero():
		id, inclusive = firstID(r.sel.Since), true
	case r.sel.FromVersion > 1:
		return r.beforeVersion()
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
		position = r.head()
	}
	return min(position, r.head()), nil
}

// afterID returns the position behind which the events with an id of at least
// id begin, and false when there are none. The tail knows unless they begin
// before it; then the log does.
func (r *reader) afterID(id event.ID, inclusive bool) (position uint64, ok bool, err error) {
	position, ok = r.tail.after(id, inclusive)
	if ok && position > r.tail.base || !ok && r.tail.base < r.head() {
		return position, ok, nil
	}
	logged, found, err := r.log.after(id, inclusive)
	switch {
	case err != nil || found:
		return logged, found, err
	case logged < r.tail.base:
		return 0, false, &event.CorruptError{Position: logged + 1, Message: "it is missing in the log"}
	}
	return position, ok, nil
}

// beforeVersion returns a position behind which FromVersion is, or will be, and
// that the index has nothing of the stream behind when it does not have that
// version.
func (r *reader) beforeVersion() (uint64, error) {
	position, version, err := r.index.fromVersion(r.sel.Stream, r.sel.FromVersion)
	if err != nil || position == 0 {
		return 0, err
	}
	f := finder{view: r.index}
	defer f.close()
	e, err := f.at(position)
	if err == nil && (e.Stream() != r.sel.Stream || e.Version() != version) {
		err = errListedWrongly(position)
	}
	if err != nil {
		return 0, err
	}
	return min(position-1, r.head()), nil
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

// all reads without a filter: what the tail holds from there, the rest from the
// log.
func (r *reader) all(from uint64) error {
	if r.sel.Backward {
		for ; from > r.tail.held && !r.done(); from-- {
			r.give(r.tail.at(from))
		}
		return r.scan(from, 1)
	}
	if from <= r.tail.held {
		if err := r.scan(from, r.tail.held); err != nil {
			return err
		}
		from = r.tail.held + 1
	}
	for ; from <= r.head() && !r.done(); from++ {
		r.give(r.tail.at(from))
	}
	return nil
}

// scan reads the log from one position to another, which both exist.
func (r *reader) scan(from, to uint64) error {
	if r.done() || from == 0 {
		return nil
	}
	scan, err := r.log.scan(from, r.sel.Backward)
	if err != nil {
		return err
	}
	defer scan.close()
	for !r.done() && scan.position > 0 && !before(to, scan.position, r.sel.Backward) {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		if err := r.batch(scan, to); err != nil {
			return err
		}
	}
	return nil
}

// batch reads what a scan has before it, as far as a position.
func (r *reader) batch(scan *scan, to uint64) error {
	n, err := scan.ahead(to)
	for i := int(scan.index(scan.position)); n > 0 && !r.enough; n, i = n-1, i+1 {
		record, ok := scan.window.batch.Placed(i, scan.position)
		if !ok {
			e, err := scan.next() // says what is wrong
			if err != nil {
				return err
			}
			r.give(e)
			continue
		}
		scan.advance()
		r.give(event.Trusted(record))
	}
	return err
}

// forward reads with a filter: the index up to its checkpoint, the tail above.
func (r *reader) forward(from uint64) error {
	if from <= r.indexed {
		if err := r.indexedOnly(from, r.indexed); err != nil {
			return err
		}
	}
	if from = max(from, r.indexed+1); !r.done() && from <= r.head() {
		return r.follow(r.tail, from, r.head(), tailEvents{r.tail, r.log})
	}
	return nil
}

// backward reads with a filter: the tail down to the index's checkpoint, the
// index below.
func (r *reader) backward(from uint64) error {
	if from > r.indexed {
		if err := r.follow(r.tail, from, r.indexed+1, tailEvents{r.tail, r.log}); err != nil {
			return err
		}
	}
	if from = min(from, r.indexed); !r.done() && from > 0 {
		return r.indexedOnly(from, 1)
	}
	return nil
}

func (r *reader) indexedOnly(from, to uint64) error {
	f := finder{view: r.index, window: window{backward: r.sel.Backward}}
	defer f.close()
	return r.follow(r.index, from, to, &f)
}

// eventsOf finds the events that a source lists.
type eventsOf interface {
	// gather is told which are asked for next.
	gather(positions []uint64) error
	at(position uint64) (event.Event, error)
}

// tailEvents are those that a tail lists. The log has what the tail does not
// hold.
type tailEvents struct {
	tail *tail
	log  logView
}

func (t tailEvents) gather([]uint64) error { return nil }

func (t tailEvents) at(position uint64) (event.Event, error) {
	if position > t.tail.held {
		return t.tail.at(position), nil
	}
	return t.log.at(t.tail.placeAt(position))
}

// follow reads what a source lists between two positions.
func (r *reader) follow(s source, from, to uint64, events eventsOf) error {
	p, err := planSelection(s, r.sel)
	if err != nil {
		return err
	}
	p.bound, p.done = r.bound, r.ctx.Done()
	l := newListing(p, from, to)
	defer l.close()
	for size := atFirst; !l.ended; size = min(8*size, ahead) {
		if r.sel.Limit > 0 {
			size = min(size, r.sel.Limit)
		}
		l.read(size)
		if err := events.gather(l.positions); err != nil {
			return err
		}
		for _, h := range l.hits {
			if err := r.listed(h, events); err != nil || r.done() {
				return err
			}
		}
	}
	if l.stopped > 0 {
		r.stop(l.stopped)
		return r.ctx.Err()
	}
	return l.err
}

// listed gives the event of a hit, if it is what the source says.
func (r *reader) listed(h hit, events eventsOf) error {
	e, err := events.at(h.position)
	if err != nil {
		return err
	}
	if !r.sel.Matches(e) || h.version != 0 && h.version != e.Version() {
		return errListedWrongly(h.position)
	}
	if r.sel.FromVersion == 0 || e.Version() >= r.sel.FromVersion {
		r.give(e)
	}
	return nil
}
