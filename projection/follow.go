package projection

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

const (
	// longPoll is how long one read waits for events; protocol 1 allows a
	// minute.
	longPoll = 50 * time.Second
	// pageBytes is how much of the log is read at once: so much that a local
	// store puts it together in memory that it uses again.
	pageBytes = 768 << 10
	// The pauses after trouble with the log or the disk.
	firstPause = 50 * time.Millisecond
	lastPause  = 5 * time.Second
	// watchEvery is how often the follower looks after handlers, and for
	// requests of other processes.
	watchEvery = time.Second
)

// errLogChanged means that the log is another one, or has lost its end.
var errLogChanged = errors.New("the log is another one, or behind what was applied")

// follow applies the log until ctx ends. It is the only writer, and all that
// happens to builds happens on its goroutine, but for folds.
func (e *Engine) follow(ctx context.Context) {
	defer close(e.done)
	defer e.end()
	ticker := time.NewTicker(e.watchEvery())
	defer ticker.Stop()
	pause := firstPause
	for ctx.Err() == nil {
		err := e.step(ctx, ticker.C)
		if ctx.Err() != nil {
			return
		}
		if err == nil || errors.Is(err, errStartedOver) {
			pause = firstPause
			e.clearTrouble()
			continue
		}
		err = errors.Join(err, e.startOver())
		e.update(func() { e.trouble = err })
		var commit *lmdbenv.CommitError
		if errors.As(err, &commit) {
			e.logger.Error("views stand still: the disk failed in a commit, reopen them", "error", err)
			return
		}
		e.logger.Error("views stand still, trying again", "error", err, "in", pause)
		if !sleep(ctx, pause) {
			return
		}
		pause = min(2*pause, lastPause)
	}
}

// watchEvery is watchEvery, or less where handlers have less time.
func (e *Engine) watchEvery() time.Duration { return min(watchEvery, e.options.HandlerTimeout) }

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (e *Engine) clearTrouble() {
	if e.trouble != nil {
		e.logger.Info("views follow the log again")
		e.update(func() { e.trouble = nil })
	}
}

// end answers those who wait for a follower that is gone.
func (e *Engine) end() {
	if err := e.startOver(); err != nil {
		e.logger.Error("the last batch of views was not stored", "error", err)
	}
	e.polls.Wait()
	if err := e.publishStuck(nil); err != nil { // nobody watches them any more
		e.logger.Error("es views goes on to show handlers that have not returned", "error", err)
	}
	e.update(func() {
		e.stopped = true
		for _, r := range e.requests {
			r.answer(ErrClosed)
		}
		for _, v := range e.all {
			v.answerAll(ErrClosed)
		}
	})
}

// startOver forgets all that was read and folded and is not stored. Every
// build is again where its checkpoint is. An error is that of what was being
// stored.
func (e *Engine) startOver() error {
	err := e.conclude()
	if errors.Is(err, errStartedOver) {
		err = nil
	}
	e.dropPoll()
	for _, v := range e.all {
		e.halt(v.builds[:]...)
	}
	e.batch = batch{to: e.live}
	e.closing = nil
	for _, v := range e.all {
		for _, b := range v.builds {
			s := e.states[b]
			b.restart(s.at)
			if s.status == statusLive {
				b.restart(e.live)
			}
		}
	}
	return err
}

// step does the next thing there is to do, or waits for it.
func (e *Engine) step(ctx context.Context, tick <-chan time.Time) error {
	if err := e.serveAll(); err != nil {
		return err
	}
	if err := e.takeOvers(); err != nil {
		return err
	}
	e.poll(ctx)
	wait, stop, err := e.startBuilds(ctx)
	if err != nil {
		return err
	}
	defer stop()
	pages := e.polling.pages
	if e.closing != nil {
		pages = nil // the live views wait for the one that is nearly there
	}
	select { // live events first
	case p := <-pages:
		return e.take(ctx, p)
	default:
	}
	if len(e.ready) > 0 {
		f := e.ready[0]
		e.ready = e.ready[1:]
		return e.absorb(ctx, f)
	}
	select {
	case p := <-pages:
		return e.take(ctx, p)
	case f := <-e.results:
		return e.absorb(ctx, f)
	case <-e.storeEnds():
		return e.conclude()
	case <-wait:
		return nil
	case <-e.wake:
		return nil
	case now := <-tick:
		return errors.Join(e.watch(now), e.storeDue(), e.readInbox())
	case <-ctx.Done():
		return nil
	}
}

// polling is a read of the log that waits for events.
type polling struct {
	pages  chan polled
	from   checkpoint
	cancel context.CancelFunc
}

type polled struct {
	page page
	err  error
}

// poll makes sure that the next events for the live views are being read.
func (e *Engine) poll(ctx context.Context) {
	if e.polling.pages != nil && e.polling.from == e.batch.to {
		return
	}
	e.dropPoll()
	ctx, cancel := context.WithCancel(ctx)
	p := polling{pages: make(chan polled, 1), from: e.batch.to, cancel: cancel}
	e.polling = p
	e.polls.Go(func() {
		page, err := e.read(ctx, p.from, e.options.BatchEvents, longPoll)
		p.pages <- polled{page, err}
	})
}

func (e *Engine) dropPoll() {
	if e.polling.cancel != nil {
		e.polling.cancel()
	}
	e.polling = polling{}
}

// page is what the log has behind a checkpoint.
type page struct {
	events []event.Event
	head   uint64
	more   bool
}

// read reads the events behind a checkpoint. None means that nothing came in
// time.
func (e *Engine) read(ctx context.Context, from checkpoint, limit int, wait time.Duration) (page, error) {
	found, err := e.log.ReadPage(ctx,
		event.Selection{After: from.position, Limit: limit},
		event.PageOptions{MaxBytes: pageBytes, Wait: wait, Store: from.store})
	var changed *event.StoreChangedError
	switch {
	case errors.As(err, &changed):
		return page{}, errLogChanged
	case err != nil:
		return page{}, fmt.Errorf("read the log after position %d: %w", from.position, err)
	case found.Store != from.store || found.Head < from.position:
		return page{}, errLogChanged
	}
	events, err := decode(found, from.position)
	return page{events: events, head: found.Head, more: found.More}, err
}

// decode returns the page's events, which must follow each other without a gap.
func decode(page event.Page, after uint64) ([]event.Event, error) {
	events := make([]event.Event, 0, page.Count)
	for found, err := range page.Events() {
		if err != nil {
			return nil, fmt.Errorf("the log's page after position %d: %w", after, err)
		}
		if found.Position() != after+1 {
			return nil, fmt.Errorf("the log went on with position %d after %d", found.Position(), after)
		}
		after++
		events = append(events, found)
	}
	return events, nil
}

// take applies what a poll has read to the live views.
func (e *Engine) take(ctx context.Context, p polled) error {
	e.dropPoll()
	switch {
	case errors.Is(p.err, errLogChanged):
		return e.reset(ctx)
	case p.err != nil:
		return errors.Join(e.flush(), p.err)
	}
	if p.page.head != e.head {
		e.update(func() { e.head = p.page.head })
	}
	return e.advance(ctx, p.page)
}

// reset starts again from 0 on a log whose past is not the one that was
// applied.
func (e *Engine) reset(ctx context.Context) error {
	if err := e.startOver(); err != nil {
		return err
	}
	head, err := e.log.Head(ctx)
	if err != nil {
		return fmt.Errorf("ask the log for its end: %w", err)
	}
	if confirmed, err := e.confirmed(ctx, head, e.live); err != nil || confirmed {
		return err
	}
	e.logger.Warn("the log is another one, or behind: views are built again from 0",
		"store", head.Store, "head", head.Position, "expected_store", e.live.store, "expected_position", e.live.position)
	fresh := checkpoint{store: head.Store}
	states := make(map[*build]state)
	err = e.env.Update(func(txn *lmdbenv.Txn) error {
		for b, s := range e.states {
			if s.status == unused {
				continue
			}
			if err := b.clear(txn); err != nil {
				return err
			}
			states[b] = state{status: s.status, at: fresh}
			if b == b.view.main {
				states[b] = state{status: statusLive, at: fresh}
			}
			if err := e.catalog.putState(txn, b, states[b]); err != nil {
				return err
			}
		}
		for _, v := range e.all {
			if err := e.catalog.removeSkips(txn, v.name, v.version); err != nil {
				return err
			}
		}
		return e.catalog.putLive(txn, fresh, head.Position)
	})
	if err != nil {
		return err
	}
	e.update(func() {
		e.live, e.head = fresh, head.Position
		for b, s := range states {
			*e.states[b] = s
			b.view.rows = 0
		}
		for _, v := range e.all {
			v.skips = nil
			v.answerReset()
		}
	})
	return e.startOver()
}
