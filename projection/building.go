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
func (e *Engine) startBuilds(ctx context.Context) (wait <-chan time.Time, stop func(), err error) {
	next, now := time.Duration(math.MaxInt64), time.Now()
	if due := e.closingUntil.Sub(now); e.closing != nil && due > 0 {
		next = due
	} else if e.closing != nil {
		e.closing.closeAfter = now.Add(10 * e.options.Patience)
		e.closing = nil
	}
	busy := e.busy(now)
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
			if err := e.startBuild(ctx, b, now, busy); err != nil {
				return nil, nil, err
			}
		}
	}
	if next == math.MaxInt64 {
		return nil, func() {}, nil
	}
	timer := time.NewTimer(next)
	return timer.C, func() { timer.Stop() }, nil
}

// catchesUp reports whether a build could be given events now.
func (e *Engine) catchesUp(b *build) bool {
	return e.states[b].catchesUp() && b.fold == nil && b.failed == nil && !e.isStuck(b.view)
}

// busy reports whether there are live views that have work.
func (e *Engine) busy(now time.Time) bool {
	return now.Sub(e.lastLive) < quietAfter && len(e.liveBuilds()) > 0
}

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
func (e *Engine) keep() int { return e.share() / 8 * 7 }

// startBuild lets a build catch up a little. Beside live views that have work,
// it folds as many rows as can be stored within Options.BuildHold. Beside others
// it stores while it folds what follows, so when these get work they may have to
// wait for both: each is as many rows as can be stored within half a second.
func (e *Engine) startBuild(ctx context.Context, b *build, now time.Time, busy bool) error {
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
		l.rows = max(fewestRows, int(flushAfter/2/e.rowCost))
	}
	if b.overlay.size() >= l.bytes { // its part has become smaller
		if err := e.conclude(); err != nil {
			return err
		}
		b.restart(b.reached)
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
	return nil
}

// absorb stores what a build has folded while it catches up.
func (e *Engine) absorb(ctx context.Context, f *fold) error {
	b := f.build
	b.fold = nil
	if e.closing == b {
		e.closing = nil
	}
	if err := e.conclude(); err != nil {
		return err
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
// Unless there are live views that have work, a build that may keep its rows
// goes on while the transaction is under way.
func (e *Engine) storeBuild(b *build) error {
	from := e.states[b].at
	if b.failed == nil && b.reached == from {
		return nil
	}
	if b.failed != nil && b != b.view.main {
		return e.giveUp(b, b.failed)
	}
	if err := e.at(beforeStore); err != nil {
		return err
	}
	now := time.Now()
	goOn := b.mayKeep(e.keep()) && !e.busy(now)
	taken := buildTaken{pending: b.take(), from: from, pace: b.view.buildRate}
	taken.next = state{status: e.states[b].status, at: taken.at}
	if taken.failed != nil {
		taken.next = parkedState(taken.at, taken.failed)
	}
	taken.pace.add(taken.events(), now)
	e.waitToRead(b, taken.events(), now)
	e.write(
		func(txn *lmdbenv.Txn) error { return e.storeTaken(txn, &taken) },
		func(s *storing) error {
			if err := e.storedTaken(s, &taken); err != nil || goOn {
				return err
			}
			b.goOn(e.keep())
			return nil
		})
	if goOn {
		return nil
	}
	return e.conclude()
}

// buildTaken is how far a build that catches up is to be stored.
type buildTaken struct {
	*pending
	from checkpoint
	next state
	pace rate
}

func (t *buildTaken) events() uint64 { return t.at.position - t.from.position }

func (e *Engine) storeTaken(txn *lmdbenv.Txn, taken *buildTaken) error {
	if err := taken.flush(txn, e.at); err != nil {
		return err
	}
	if err := e.catalog.putState(txn, taken.build, taken.next); err != nil {
		return err
	}
	if err := e.catalog.putPace(txn, taken.build, taken.pace); err != nil {
		return err
	}
	return e.at(beforeCommit)
}

func (e *Engine) storedTaken(s *storing, taken *buildTaken) error {
	b := taken.build
	switch {
	case isDamage(s.err) && b != b.view.main:
		return e.giveUp(b, damageAt(b, taken.from.position+1, s.err))
	case isDamage(s.err):
		return e.parkDamaged(b, s.err)
	case s.err != nil:
		return fmt.Errorf("view %q: store positions %d to %d: %w", b.view, taken.from.position+1, taken.at.position, s.err)
	}
	if err := e.at(afterCommit); err != nil {
		return err
	}
	now := time.Now()
	e.learn(s.took, len(taken.rows), now)
	e.update(func() {
		e.count(taken.pending, now)
		b.view.buildRate = taken.pace
		*e.states[b] = taken.next
		if taken.failed != nil {
			e.park(b, taken.next, taken.failed)
		}
	})
	return nil
}

// learn learns from what storing so many rows took, and says when builds may go
// on: with live views that have work, builds store at most half of the time.
func (e *Engine) learn(took time.Duration, rows int, now time.Time) {
	e.tookToStore(took)
	if rows >= fewestRows {
		cost := took / time.Duration(rows)
		e.rowCost = (3*e.rowCost + cost) / 4
		if e.rowCost == 0 {
			e.rowCost = max(1, cost)
		}
	}
	e.buildAfter = now.Add(took)
}

// waitToRead keeps a build that has read so many events to Options.BuildRate.
func (e *Engine) waitToRead(b *build, events uint64, now time.Time) {
	if rate := e.options.BuildRate; rate > 0 {
		start := b.nextBuild
		if start.Before(now.Add(-watchEvery)) {
			start = now
		}
		b.nextBuild = start.Add(time.Duration(float64(events) / float64(rate) * float64(time.Second)))
	}
}

// giveUp ends a rebuild that failed, of which nothing is under way.
func (e *Engine) giveUp(b *build, failed *HandlerError) error {
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
			if !e.catchesUp(b) || e.states[b].at != e.live && seeded != bugSwitchEarly {
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
