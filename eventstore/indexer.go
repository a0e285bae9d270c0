package eventstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

const (
	// flushInterval is how far the index is behind the log at most, while the
	// disk keeps up. Short ones cost throughput: index pages are scattered.
	flushInterval = 200 * time.Millisecond
	// flushEvents ends the wait early.
	flushEvents = 20_000
	// applyEvents and applyBytes bound one transaction of the index.
	applyEvents = 50_000
	applyBytes  = 64 << 20
)

// indexer keeps the index following the log.
type indexer struct {
	index   *index
	store   event.ID
	recent  *recent
	fatal   func(error) // the index can't follow any more
	kicked  chan struct{}
	full    chan struct{}
	closing chan struct{}
	done    chan struct{}

	mu      sync.Mutex
	at      place         // checkpoint
	moved   chan struct{} // closed, and replaced, by every attempt to move it
	lastErr error         // of the last attempt
	broken  bool
}

func newIndexer(x *index, store event.ID, at place, r *recent, fatal func(error)) *indexer {
	return &indexer{
		index: x, store: store, recent: r, fatal: fatal, at: at,
		kicked: make(chan struct{}, 1), full: make(chan struct{}, 1),
		closing: make(chan struct{}), done: make(chan struct{}), moved: make(chan struct{}),
	}
}

// kick says that the log has grown. It never blocks.
func (x *indexer) kick() {
	signal(x.kicked)
	if x.recent.snapshot().head.position-x.position() >= flushEvents {
		signal(x.full)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (x *indexer) position() uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.at.position
}

// run follows until close, and then up to the head.
func (x *indexer) run() {
	defer close(x.done)
	timer := time.NewTimer(flushInterval)
	defer timer.Stop()
	for {
		select {
		case <-x.closing:
			x.flush()
			return
		case <-x.kicked:
		}
		timer.Reset(flushInterval)
		select {
		case <-x.closing:
		case <-x.full:
		case <-timer.C:
		}
		if x.flush(); x.behind() {
			signal(x.kicked) // a full disk: once more, later
		}
	}
}

func (x *indexer) behind() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.lastErr != nil && !x.broken
}

// flush brings the index up to the tail's head, and trims the tail.
func (x *indexer) flush() {
	t := x.recent.snapshot()
	for {
		x.mu.Lock()
		at, broken := x.at, x.broken
		x.mu.Unlock()
		if broken || at.position >= t.head.position {
			return
		}
		events := t.batch(at.position)
		err := x.index.apply(x.store, events)
		x.mu.Lock()
		if x.lastErr = err; err == nil {
			x.at = placeOf(events[len(events)-1])
		} else if x.broken = !lmdbenv.IsNoSpace(err) || errors.As(err, new(*lmdbenv.CommitError)); x.broken {
			x.fatal(fmt.Errorf("write the index: %w", err))
		}
		at = x.at
		close(x.moved)
		x.moved = make(chan struct{})
		x.mu.Unlock()
		if err != nil {
			return
		}
		x.recent.trim(at.position)
	}
}

// await has the index follow up to a position without delay, and waits for it.
func (x *indexer) await(ctx context.Context, position uint64) error {
	for {
		x.mu.Lock()
		at, moved, err := x.at.position, x.moved, x.lastErr
		x.mu.Unlock()
		if at >= position {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the index stays behind the log: %w", err)
		}
		signal(x.kicked)
		signal(x.full)
		select {
		case <-moved:
		case <-x.done:
			return errClosed()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// close waits until the index has reached the head.
func (x *indexer) close() error {
	close(x.closing)
	<-x.done
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.lastErr != nil {
		return fmt.Errorf("the index stays behind the log, and follows when the store is opened again: %w", x.lastErr)
	}
	return nil
}

// batch returns the events behind a position, as many as one transaction of
// the index takes.
func (t *tail) batch(after uint64) (events []event.Event) {
	bytes := 0
	for position := after + 1; position <= t.head.position; position++ {
		e := t.at(position)
		if bytes += len(e.Record()); len(events) > 0 && (bytes > applyBytes || len(events) >= applyEvents) {
			break
		}
		events = append(events, e)
	}
	return events
}

// catchUp makes the index fit the log, when the store is opened: it is emptied
// unless its checkpoint names an event of this log, and follows up to the head.
func catchUp(x *index, l *eventLog, head place) (rebuilt bool, err error) {
	var at checkpoint
	if err := x.env.View(func(txn *lmdbenv.Txn) error {
		at, err = x.checkpoint(txn)
		return err
	}); err != nil || !fits(at, l, head) {
		rebuilt = at.position > 0 || err != nil
		if err := x.reset(l.store); err != nil {
			return rebuilt, err
		}
		at = checkpoint{store: l.store}
	}
	for at.position < head.position {
		events, err := l.copyAfter(at.position, head.position)
		if err != nil {
			return rebuilt, err
		}
		if err := x.apply(l.store, events); err != nil {
			return rebuilt, err
		}
		at.place = placeOf(events[len(events)-1])
	}
	return rebuilt, nil
}

// fits reports whether a checkpoint is of this log and not beyond its head.
func fits(at checkpoint, l *eventLog, head place) bool {
	if at.store != l.store || at.position > head.position {
		return false
	}
	if at.position == 0 {
		return true
	}
	return l.env.View(func(txn *lmdbenv.Txn) error {
		_, err := logView{l, txn}.at(at.place)
		return err
	}) == nil
}

// copyAfter returns the next events for one transaction of the index.
func (l *eventLog) copyAfter(after, head uint64) (events []event.Event, err error) {
	err = l.env.View(func(txn *lmdbenv.Txn) error {
		scan, err := logView{l, txn}.scan(after+1, false)
		if err != nil {
			return err
		}
		defer scan.close()
		for bytes := 0; scan.position <= head && len(events) < applyEvents && bytes < applyBytes; {
			e, err := scan.next()
			if err != nil {
				return err
			}
			bytes += len(e.Record())
			events = append(events, e.Clone())
		}
		return nil
	})
	return events, err
}
