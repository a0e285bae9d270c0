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
	// The pauses after trouble with the log or the disk.
	firstPause = 50 * time.Millisecond
	lastPause  = 5 * time.Second
)

// errLogChanged means that the log is another one, or has lost its end.
var errLogChanged = errors.New("the log is another one, or behind what was applied")

// follow applies the log until ctx ends. It is the only writer.
func (e *Engine) follow(ctx context.Context) {
	defer close(e.done)
	defer e.end()
	pause := firstPause
	for ctx.Err() == nil {
		err := e.step(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			pause = firstPause
			e.clearTrouble()
			continue
		}
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
	e.update(func() {
		e.stopped = true
		for _, r := range e.requests {
			r.answer(ErrClosed)
		}
		for _, c := range e.counters {
			c.answerAll(ErrClosed)
		}
	})
}

// step serves requests, applies what is new to the live builds and one batch
// to each build that is catching up.
func (e *Engine) step(ctx context.Context) error {
	if err := e.serveAll(); err != nil {
		return err
	}
	building := e.building()
	wait := longPoll
	if len(building) > 0 {
		wait = 0
	}
	err := e.advanceLive(ctx, wait)
	if errors.Is(err, errLogChanged) {
		return e.reset(ctx)
	}
	if err != nil {
		return err
	}
	for _, b := range building {
		if err := e.catchUp(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// building are the builds that catch up, in an order that does not change.
func (e *Engine) building() (builds []*build) {
	for _, name := range e.order {
		for _, b := range e.builds[name] {
			if e.states[b].status == statusBuilding {
				builds = append(builds, b)
			}
		}
	}
	return builds
}

func (e *Engine) liveBuilds() (builds []*build) {
	for _, name := range e.order {
		for _, b := range e.builds[name] {
			if e.states[b].status == statusLive {
				builds = append(builds, b)
			}
		}
	}
	return builds
}

// advanceLive applies the next page to the live builds. With none of them it
// goes on all the same: the others have to meet somewhere.
func (e *Engine) advanceLive(ctx context.Context, wait time.Duration) error {
	events, err := e.next(ctx, e.live, e.options.BatchEvents, wait)
	if err != nil || len(events) == 0 {
		return err
	}
	return e.apply(e.liveBuilds(), e.live, events, func(txn *lmdbenv.Txn, to checkpoint) (func(), error) {
		return func() { e.live = to }, e.catalog.putLive(txn, to)
	})
}

// catchUp brings a build closer to the live ones, and among them when it is
// there.
func (e *Engine) catchUp(ctx context.Context, b *build) error {
	s := e.states[b]
	switch {
	case s.status != statusBuilding || s.at.position > e.live.position:
		return nil
	case s.at.position == e.live.position:
		return e.takeOver(b)
	}
	limit := min(uint64(e.options.BatchEvents), e.live.position-s.at.position)
	events, err := e.next(ctx, s.at, int(limit), 0)
	if errors.Is(err, errLogChanged) {
		return e.reset(ctx)
	}
	if err != nil || len(events) == 0 {
		return err
	}
	return e.apply([]*build{b}, s.at, events, func(txn *lmdbenv.Txn, to checkpoint) (func(), error) {
		next := state{status: statusBuilding, at: to}
		return func() { *s = next }, e.catalog.putState(txn, b, next)
	})
}

// next reads the events behind a checkpoint. None means that nothing came in
// time, or that a request did.
func (e *Engine) next(ctx context.Context, from checkpoint, limit int, wait time.Duration) ([]event.Event, error) {
	polling, cancel := context.WithCancel(ctx)
	defer cancel()
	if !e.beginPoll(cancel) {
		wait = 0
	}
	page, err := e.log.ReadPage(polling,
		event.Selection{After: from.position, Limit: limit},
		event.PageOptions{MaxBytes: e.options.BatchBytes, Wait: wait, Store: from.store})
	e.endPoll()
	var changed *event.StoreChangedError
	switch {
	case errors.As(err, &changed):
		return nil, errLogChanged
	case err != nil && polling.Err() != nil && ctx.Err() == nil:
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read the log after position %d: %w", from.position, err)
	case page.Store != from.store || page.Head < from.position:
		return nil, errLogChanged
	}
	if page.Head != e.head {
		e.update(func() { e.head = page.Head })
	}
	return decode(page, from.position)
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

// beginPoll reports whether there is time to wait, until a request calls
// cancel.
func (e *Engine) beginPoll(cancel context.CancelFunc) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.interrupt = cancel
	return len(e.requests) == 0
}

func (e *Engine) endPoll() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.interrupt = nil
}

// reset starts again from 0 on a log whose past is not the one that was
// applied.
func (e *Engine) reset(ctx context.Context) error {
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
			states[b] = state{status: statusBuilding, at: fresh}
			if e.serves(b) {
				states[b] = state{status: statusLive, at: fresh}
			}
			if err := e.catalog.putState(txn, b, states[b]); err != nil {
				return err
			}
		}
		return e.catalog.putLive(txn, fresh)
	})
	if err != nil {
		return err
	}
	e.update(func() {
		e.live, e.head = fresh, head.Position
		for b, s := range states {
			*e.states[b] = s
			e.counters[b.view.name].rows = 0
		}
	})
	return nil
}

// apply hands events to builds that are all at the checkpoint from, and commits
// what they wrote together with how far they got. advance stores the new
// checkpoint and returns how to publish it.
//
// Builds whose handler fails are left out from the failing event on, and
// parked there; the transaction is run again without them.
func (e *Engine) apply(builds []*build, from checkpoint, events []event.Event, advance func(*lmdbenv.Txn, checkpoint) (func(), error)) error {
	last := events[len(events)-1]
	to := checkpoint{store: from.store, position: last.Position(), id: last.ID()}
	failures := make(map[*build]*failure)
	for {
		run := &run{engine: e, from: from, events: events, failures: failures}
		var publish func()
		err := e.env.Update(func(txn *lmdbenv.Txn) (err error) {
			// First, so that the state of a build that failed wins.
			if publish, err = advance(txn, to); err != nil {
				return err
			}
			return run.all(txn, builds)
		})
		if errors.Is(err, errAgain) {
			continue
		}
		if err != nil {
			return fmt.Errorf("apply positions %d to %d: %w", from.position+1, to.position, err)
		}
		e.update(func() {
			publish()
			run.publish(builds)
		})
		return nil
	}
}

// takeOver makes a build that has reached the live ones one of them. When
// another build served the view until now, it is emptied in the same
// transaction.
func (e *Engine) takeOver(b *build) error {
	name := b.view.name
	old := e.builds[name][e.serving[name]]
	next := state{status: statusLive, at: e.states[b].at}
	var rows uint64
	err := e.env.Update(func(txn *lmdbenv.Txn) error {
		if old != b {
			if err := old.clear(txn); err != nil {
				return err
			}
			if err := e.catalog.remove(txn, name, old.slot); err != nil {
				return err
			}
			if err := e.catalog.putServing(txn, name, b.slot); err != nil {
				return err
			}
		}
		stat, err := txn.Stat(b.rows)
		if err != nil {
			return err
		}
		rows = stat.Entries
		return e.catalog.putState(txn, b, next)
	})
	if err != nil {
		return fmt.Errorf("view %q: take over: %w", name, err)
	}
	e.logger.Info("view is live", "view", name, "position", next.at.position)
	e.update(func() {
		*e.states[b] = next
		e.serving[name] = b.slot
		c := e.counters[name]
		c.rows = rows
		if old == b {
			c.answer(true, nil)
			return
		}
		*e.states[old] = state{}
		c.answerAll(nil)
	})
	return nil
}

// abandon gives up a build that nobody reads: a rebuild whose handler failed.
func (e *Engine) abandon(txn *lmdbenv.Txn, b *build) error {
	if err := b.clear(txn); err != nil {
		return err
	}
	return e.catalog.remove(txn, b.view.name, b.slot)
}
