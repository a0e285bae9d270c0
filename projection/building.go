package projection

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

const (
	// nearly is how many events behind the live views a build is let in: they
	// wait for it, within Options.Patience.
	nearly = 4096
	// quietAfter is how long the live views must have had nothing to do for
	// builds beside them to store large batches.
	quietAfter = time.Second
	// The rows that a build stores at first and at least beside busy live
	// views.
	firstRows, fewestRows = 2048, 64
)

// startBuilds starts a fold of every build that catches up and has none, as far
// as it is due. When one is due later, wait tells when; stop ends that.
func (e *Engine) startBuilds(ctx context.Context) (wait <-chan time.Time, stop func()) {
	next, now := time.Duration(math.MaxInt64), time.Now()
	if due := e.closingUntil.Sub(now); e.closing != nil && due > 0 {
		next = due
	} else if e.closing != nil {
		e.closing.closeAfter = now.Add(10 * e.options.Patience)
		e.closing = nil
	}
	busy := !e.quiet(now) && len(e.liveBuilds()) > 0
	for _, v := range e.all {
		for _, b := range v.builds {
			if !e.catchesUp(b) {
				continue
			}
			if b.reached.position >= e.batch.to.position {
				if due := b.joinAfter.Sub(now); due > 0 {
					next = min(next, due)
				}
				continue
			}
			if due := e.buildAfter.Sub(now); due > 0 && busy {
				next = min(next, due)
				continue
			}
			if due := b.nextBuild.Sub(now); due > 0 {
				next = min(next, due)
				continue
			}
			e.startBuild(ctx, b, now, busy)
		}
	}
	if next == math.MaxInt64 {
		return nil, func() {}
	}
	timer := time.NewTimer(next)
	return timer.C, func() { timer.Stop() }
}

// catchesUp reports whether a build could be given events now.
func (e *Engine) catchesUp(b *build) bool {
	return e.states[b].catchesUp() && b.fold == nil && b.failed == nil && !e.isStuck(b.view)
}

func (e *Engine) quiet(now time.Time) bool { return now.Sub(e.lastLive) >= quietAfter }

// share is how many bytes each build that catches up, and the live ones
// together, may take in memory.
func (e *Engine) share() int {
	catching, live := 0, 0
	for _, s := range e.states {
		switch {
		case s.catchesUp():
			catching++
		case s.status == statusLive:
			live = 1
		}
	}
	return max(1, e.options.BatchBytes/max(1, catching+live))
}

// keep is how many bytes of a share may be taken by rows that are stored: the
// next batch needs room, too.
func (e *Engine) keep() int { return e.share() / 4 * 3 }

// startBuild lets a build catch up a little. Beside live views that have work,
// it folds as many rows as can be stored within Options.BuildHold, beside others
// as many as can be stored within a second.
func (e *Engine) startBuild(ctx context.Context, b *build, now time.Time, busy bool) {
	l := limit{
		target: e.batch.to.position, rows: math.MaxInt, events: e.options.BatchEvents,
		bytes: e.share(), elapsed: e.batchLasts,
	}
	switch {
	case busy && e.rowCost == 0:
		l.rows, l.elapsed = firstRows, longChunk
	case busy:
		l.rows, l.elapsed = max(fewestRows, int(e.options.BuildHold/e.rowCost)), longChunk
	case e.rowCost > 0 && len(e.liveBuilds()) > 0:
		l.rows = max(fewestRows, int(flushAfter/e.rowCost))
	}
	if b.overlay.size() >= l.bytes {
		b.restart(b.reached) // its part has become smaller
	}
	if rate := e.options.BuildRate; rate > 0 {
		l.events = min(l.events, max(1, rate/10))
	}
	if l.target-b.reached.position <= nearly && e.closing == nil && now.After(b.closeAfter) && now.After(b.joinAfter) {
		e.closing = b
		e.closingUntil = now.Add(e.options.Patience)
	}
	e.begin(ctx, b, func(f *fold) {
		f.limit = l
		f.catchUp()
	})
}

// absorb stores what a build has folded while it catches up.
func (e *Engine) absorb(ctx context.Context, f *fold) error {
	b := f.build
	b.fold = nil
	if e.closing == b {
		e.closing = nil
	}
	switch {
	case errors.Is(f.err, errLogChanged):
		return e.reset(ctx)
	case f.err != nil:
		return f.err
	case e.states[b].status == unused:
		return nil // dropped meanwhile
	}
	return e.storeBuild(b)
}

// storeBuild stores how far a build is that is not live, and that it is parked
// when its handler failed. A rebuild that failed, or is damaged, is given up.
func (e *Engine) storeBuild(b *build) error {
	from := e.states[b].at
	if b.failed == nil && b.reached == from {
		return nil
	}
	if b.failed != nil && b != b.view.main {
		return e.giveUp(b)
	}
	next := state{status: e.states[b].status, at: b.reached}
	if b.failed != nil {
		next = parkedState(b)
	}
	began := time.Now()
	caughtUp := b.view.buildRate
	caughtUp.add(b.reached.position-from.position, began)
	var rows uint64
	err := e.env.Update(func(txn *lmdbenv.Txn) (err error) {
		if err := b.overlay.flush(txn, e.at); err != nil {
			return err
		}
		if rows, err = entries(txn, b.rows); err != nil {
			return err
		}
		if err := e.catalog.putState(txn, b, next); err != nil {
			return err
		}
		if err := e.catalog.putPace(txn, b, caughtUp); err != nil {
			return err
		}
		return e.at(beforeCommit)
	})
	switch {
	case isDamage(err) && b != b.view.main:
		b.failed = damageAt(b, from.position+1, err)
		return e.giveUp(b)
	case isDamage(err):
		return e.parkDamaged(b, err)
	case err != nil:
		return fmt.Errorf("view %q: store positions %d to %d: %w", b.view, from.position+1, next.at.position, err)
	}
	if err := e.at(afterCommit); err != nil {
		return err
	}
	e.pace(b, from, began, len(b.overlay.dirty))
	now := time.Now()
	e.update(func() {
		e.count(b, rows, now)
		b.view.buildRate = caughtUp
		*e.states[b] = next
		if b.failed != nil {
			e.park(b, next)
		}
	})
	b.goOn(e.keep())
	return nil
}

// pace learns what storing costs, and says when builds may go on: with live
// views that have work, builds store at most half of the time.
func (e *Engine) pace(b *build, from checkpoint, began time.Time, rows int) {
	now := time.Now()
	took := now.Sub(began)
	e.tookToStore(took)
	if rows >= fewestRows {
		cost := took / time.Duration(rows)
		e.rowCost = (3*e.rowCost + cost) / 4
		if e.rowCost == 0 {
			e.rowCost = max(1, cost)
		}
	}
	e.buildAfter = now.Add(took)
	if rate := e.options.BuildRate; rate > 0 {
		events := b.reached.position - from.position
		start := b.nextBuild
		if start.Before(began.Add(-watchEvery)) {
			start = began
		}
		b.nextBuild = start.Add(time.Duration(float64(events) / float64(rate) * float64(time.Second)))
	}
}

// giveUp ends a rebuild that failed.
func (e *Engine) giveUp(b *build) error {
	failed := b.failed
	err := e.env.Update(func(txn *lmdbenv.Txn) error {
		if err := b.clear(txn); err != nil {
			return err
		}
		return e.catalog.remove(txn, b.view.name, b.slot)
	})
	if err != nil {
		return err
	}
	e.update(func() {
		*e.states[b] = state{}
		b.view.failures++
		b.view.answer(false, failed)
	})
	b.restart(checkpoint{})
	e.logger.Error("rebuild is given up, the view stays as it is", "view", b.view.name, "version", b.view.version, "error", failed)
	return nil
}

// storeAbandoned parks builds whose handlers were left behind.
func (e *Engine) storeAbandoned() error {
	for len(e.abandoned) > 0 {
		b := e.abandoned[0]
		e.abandoned = e.abandoned[1:]
		if e.closing == b {
			e.closing = nil
		}
		if err := e.storeBuild(b); err != nil {
			return err
		}
	}
	return nil
}

// takeOvers makes the builds that have reached the live ones part of them.
func (e *Engine) takeOvers() error {
	for _, v := range e.all {
		for _, b := range v.builds {
			if !e.catchesUp(b) || b.reached.position != e.batch.to.position && seeded != bugSwitchEarly {
				continue
			}
			if time.Now().Before(b.joinAfter) {
				continue
			}
			if err := e.flush(); err != nil {
				return err
			}
			if e.states[b].at != e.live && seeded != bugSwitchEarly {
				continue
			}
			if err := e.takeOver(b); err != nil {
				return err
			}
		}
	}
	return nil
}

// takeOver makes a build live. A rebuild becomes its version's main build, and
// the old one is emptied in the same transaction.
func (e *Engine) takeOver(b *build) error {
	v, old := b.view, b.view.main
	next := state{status: statusLive, at: e.live}
	var rows uint64
	err := e.env.Update(func(txn *lmdbenv.Txn) (err error) {
		if old != b {
			if err := old.clear(txn); err != nil {
				return err
			}
			if err := e.catalog.remove(txn, v.name, old.slot); err != nil {
				return err
			}
			if e.serves(v) {
				if err := e.catalog.putServing(txn, v.name, b.slot); err != nil {
					return err
				}
			}
		}
		if rows, err = entries(txn, b.rows); err != nil {
			return err
		}
		if err := e.catalog.putState(txn, b, next); err != nil {
			return err
		}
		return e.at(beforeTakeOver)
	})
	if err != nil {
		return fmt.Errorf("view %q: take over: %w", v, err)
	}
	e.logger.Info("view is live", "view", v.name, "version", v.version, "position", e.live.position)
	if old != b {
		e.discard(old)
		old.restart(checkpoint{})
	}
	b.restart(e.live)
	b.joined = time.Now()
	e.update(func() {
		*e.states[b] = next
		v.main, v.rows, v.buildRate = b, rows, rate{}
		if old == b {
			v.answer(true, nil)
			return
		}
		*e.states[old] = state{}
		v.answerAll(nil)
	})
	return nil
}
