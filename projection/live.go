package projection

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

const (
	// flushAfter is how long the live views may fold, far behind the log's
	// end, before they store what they have; or storeShare times as long as it
	// took the last time to store, at most flushAtLast: where the disk is slow,
	// each page is written less often.
	flushAfter, flushAtLast = time.Second, 10 * time.Second
	storeShare              = 4
	// The live views take so many events at once that the slowest needs about
	// so long for them.
	shortChunk, longChunk = 50 * time.Millisecond, 200 * time.Millisecond
	firstChunk            = 256
	// mostAway is how many times Options.Patience a slow view stays away.
	mostAway = 32
)

// batch is what the live builds have folded since they were last stored.
type batch struct {
	to     checkpoint
	began  time.Time
	events int
}

func (e *Engine) liveBuilds() (builds []*build) {
	for _, v := range e.all {
		for _, b := range v.builds {
			if e.states[b].status == statusLive {
				builds = append(builds, b)
			}
		}
	}
	return builds
}

// advance folds a page into the live builds and stores it, or goes on to the
// next page first when there is more and the batch has room. With no live
// build it goes on all the same: the others have to meet somewhere.
func (e *Engine) advance(ctx context.Context, p page) error {
	if n := len(p.events); n > 0 && p.more {
		e.readAhead(ctx, p.events[n-1])
	}
	for events := p.events; len(events) > 0; {
		n := min(len(events), e.chunk, max(1, e.options.BatchEvents-e.batch.events))
		n, err := e.foldLive(ctx, events[:n])
		if err != nil {
			return err
		}
		events = events[n:]
		if e.full() {
			if err := e.store(e.keep()); err != nil {
				return err
			}
		}
	}
	if p.more {
		return nil
	}
	return e.flush()
}

// readAhead reads the next page while this one is folded.
func (e *Engine) readAhead(ctx context.Context, last event.Event) {
	to := e.batch.to
	e.batch.to.position, e.batch.to.id = last.Position(), last.ID()
	e.poll(ctx)
	e.batch.to = to
}

// full reports whether the batch is to be stored. That its time is over is no
// reason while the one before is being stored.
func (e *Engine) full() bool {
	return e.batch.events >= e.options.BatchEvents || e.liveRoom() == 0 ||
		time.Since(e.batch.began) >= e.batchLasts && !e.isStoring()
}

// liveRoom is how many bytes the live builds may still take in memory. The last
// bit of their part counts as none: it would only be shared out in ever smaller
// ones.
func (e *Engine) liveRoom() int {
	share := e.share()
	left := share
	for _, b := range e.liveBuilds() {
		left -= b.overlay.size()
	}
	if left < share/16 {
		return 0
	}
	return left
}

// tookToStore learns how long a batch should take from how long one took to
// store.
func (e *Engine) tookToStore(took time.Duration) {
	e.batchLasts = min(flushAtLast, max(flushAfter, storeShare*took))
}

// foldLive applies events to every live build, all at the same time, and returns
// how many: fewer than there are when there is no more memory. Builds that take
// longer than Options.Patience while others wait are left behind, to catch up on
// their own.
func (e *Engine) foldLive(ctx context.Context, events []event.Event) (n int, err error) {
	began := time.Now()
	if e.batch.events == 0 {
		e.batch.began = began
	}
	for _, b := range e.liveBuilds() {
		if e.isStuck(b.view) {
			if err := e.leave(b); err != nil {
				return 0, err
			}
		}
	}
	live := e.liveBuilds()
	beside, room := new(group), e.liveRoom()/max(1, len(live))
	running := 0
	for _, b := range live {
		if b.failed == nil {
			e.beginLive(ctx, b, events, beside, b.overlay.size()+room)
			running++
		}
	}
	if running > 0 {
		e.lastLive = began
	}
	if err := e.await(ctx, running); err != nil {
		return 0, err
	}
	if beside.full.Load() {
		if events, err = e.lineUp(ctx, events); err != nil {
			return 0, err
		}
	}
	last := events[len(events)-1]
	e.batch.to.position, e.batch.to.id = last.Position(), last.ID()
	e.batch.events += len(events)
	if running > 0 {
		e.lastLive = time.Now()
	}
	switch took := time.Since(began); {
	case took > longChunk:
		e.chunk = max(1, e.chunk/2)
	case took < shortChunk:
		e.chunk = min(2*e.chunk, e.options.BatchEvents)
	}
	return len(events), nil
}

func (e *Engine) beginLive(ctx context.Context, b *build, events []event.Event, beside *group, bytes int) {
	e.begin(ctx, b, func(f *fold) {
		f.beside, f.limit.bytes = beside, bytes
		f.apply(events)
	})
}

// lineUp brings the live builds to the same event, the furthest that one of them
// has reached, whatever memory that takes. It returns the events up to there.
func (e *Engine) lineUp(ctx context.Context, events []event.Event) ([]event.Event, error) {
	before := events[0].Position() - 1
	furthest := before
	for _, b := range e.liveBuilds() {
		if b.failed == nil {
			furthest = max(furthest, b.reached.position)
		}
	}
	if furthest > before {
		events = events[:furthest-before]
	}
	running := 0
	for _, b := range e.liveBuilds() {
		if b.failed == nil && b.reached.position < furthest {
			e.beginLive(ctx, b, events[b.reached.position-before:], new(group), math.MaxInt)
			running++
		}
	}
	return events, e.await(ctx, running)
}

// await waits for the folds of the live builds. Results of others are put
// aside.
func (e *Engine) await(ctx context.Context, running int) error {
	var patience <-chan time.Time
	if len(e.all) > 1 {
		timer := time.NewTimer(e.options.Patience)
		defer timer.Stop()
		patience = timer.C
	}
	ticker := time.NewTicker(e.watchEvery())
	defer ticker.Stop()
	for running > 0 {
		select {
		case f := <-e.results:
			if e.states[f.build].status != statusLive {
				e.ready = append(e.ready, f)
				continue
			}
			f.build.fold = nil
			running--
			if f.err != nil {
				return f.err
			}
		case <-patience:
			return e.leaveBehind()
		case now := <-ticker.C:
			if err := e.watch(now); err != nil {
				return err
			}
			if running = e.runningLive(); running == 0 {
				return nil
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (e *Engine) runningLive() (n int) {
	for _, b := range e.liveBuilds() {
		if b.fold != nil {
			n++
		}
	}
	return n
}

// leaveBehind takes the builds that are still folding out of the live ones.
func (e *Engine) leaveBehind() error {
	for _, b := range e.liveBuilds() {
		if b.fold == nil {
			continue
		}
		b.fold.stop.Store(true)
		if err := e.leave(b); err != nil {
			return err
		}
	}
	return nil
}

// leave takes a build out of the live ones, from their checkpoint on.
func (e *Engine) leave(b *build) error {
	if err := e.conclude(); err != nil {
		return err
	}
	e.logger.Warn("view is slower than the others can wait for, it catches up on its own", "view", b.view.name, "version", b.view.version)
	e.left = append(e.left, b)
	b.stayAway(time.Now(), e.options.Patience)
	e.update(func() { *e.states[b] = state{status: statusBuilding, at: e.live} })
	return nil
}

// stayAway keeps a build from the live views for a while, twice as long when it
// was with them for no longer than that.
func (b *build) stayAway(now time.Time, patience time.Duration) {
	if now.Sub(b.joined) > b.away {
		b.away = patience
	} else {
		b.away = min(2*b.away, mostAway*patience)
	}
	b.joinAfter = now.Add(b.away)
}

// parkLater makes sure that a build that failed outside of a batch or of a
// catch-up is parked by the next flush.
func (e *Engine) parkLater(b *build) {
	if e.states[b].status != statusLive {
		e.abandoned = append(e.abandoned, b)
	}
}

// flush stores what the live builds have folded, and how far they are, in one
// transaction, and gives their memory back.
func (e *Engine) flush() error { return e.store(0) }

// storeDue stores what can't wait for more of the log: builds that failed or are
// too slow, and a batch that has lasted long enough when its next page does not
// come.
func (e *Engine) storeDue() error {
	waits := len(e.left) > 0 || len(e.abandoned) > 0 || e.anyFailed()
	if e.batch.events > 0 && !waits && !e.full() {
		return nil
	}
	return e.store(e.keep())
}

// store is flush for builds that go on: they keep the rows that they have in
// memory when all of them together take less than so many bytes, and do so while
// the transaction is under way.
func (e *Engine) store(keep int) error {
	if err := e.conclude(); err != nil {
		return err
	}
	if err := e.storeAbandoned(); err != nil {
		return err
	}
	if e.batch.to == e.live && len(e.left) == 0 && !e.anyFailed() {
		return nil
	}
	if err := e.at(beforeStore); err != nil {
		return err
	}
	if seeded == bugCheckpointFirst {
		if err := e.env.Update(func(txn *lmdbenv.Txn) error { return e.catalog.putLive(txn, e.batch.to, e.head) }); err != nil {
			return err
		}
	}
	builds := e.liveBuilds()
	taken := batchTaken{from: e.live, to: e.batch.to, head: e.head, left: make(map[*build]state)}
	goOn := len(e.left) == 0
	each := keep / max(1, len(builds))
	for _, b := range builds {
		goOn = goOn && b.mayKeep(each)
		taken.builds = append(taken.builds, b.take())
	}
	for _, b := range e.left {
		taken.left[b] = *e.states[b]
	}
	e.batch = batch{to: taken.to}
	e.write(
		func(txn *lmdbenv.Txn) error { return e.storeBatch(txn, &taken) },
		func(s *storing) error {
			if err := e.storedBatch(s, &taken); err != nil || goOn {
				return err
			}
			for _, b := range builds {
				b.goOn(each)
			}
			return nil
		})
	if goOn {
		return nil
	}
	return e.conclude()
}

// batchTaken is a batch that is stored.
type batchTaken struct {
	from, to checkpoint
	head     uint64
	builds   []*pending
	left     map[*build]state
	damaged  *build // whose rows and entries disagree
}

func (e *Engine) storeBatch(txn *lmdbenv.Txn, taken *batchTaken) error {
	for _, p := range taken.builds {
		if err := p.flush(txn, e.at); err != nil {
			if isDamage(err) {
				taken.damaged = p.build
			}
			return err
		}
		if p.failed == nil {
			continue
		}
		if err := e.catalog.putState(txn, p.build, parkedState(p.at, p.failed)); err != nil {
			return err
		}
	}
	for b, s := range taken.left {
		if err := e.catalog.putState(txn, b, s); err != nil {
			return err
		}
	}
	if err := e.catalog.putLive(txn, taken.to, taken.head); err != nil {
		return err
	}
	return e.at(beforeCommit)
}

func (e *Engine) storedBatch(s *storing, taken *batchTaken) error {
	if taken.damaged != nil {
		return e.parkDamaged(taken.damaged, s.err)
	}
	if s.err != nil && seeded != bugLostBatch {
		return fmt.Errorf("store positions %d to %d: %w", taken.from.position+1, taken.to.position, s.err)
	}
	if err := e.at(afterCommit); err != nil {
		return err
	}
	now := time.Now()
	e.update(func() {
		e.live = taken.to
		for _, p := range taken.builds {
			e.count(p, now)
			if p.failed != nil {
				e.park(p.build, parkedState(p.at, p.failed), p.failed)
			}
		}
	})
	e.left = nil
	e.tookToStore(s.took)
	return nil
}

func (e *Engine) anyFailed() bool {
	for _, b := range e.liveBuilds() {
		if b.failed != nil {
			return true
		}
	}
	return false
}

// count adds what a build has stored to its view's numbers, under the lock.
func (e *Engine) count(p *pending, now time.Time) {
	v := p.build.view
	v.applied += p.applied
	v.rate.add(p.applied, now)
	if p.build == v.main {
		v.rows = p.total
	}
}

func parkedState(at checkpoint, failed *HandlerError) state {
	return state{status: statusParked, at: at, parked: &Parked{
		Position: failed.Position, Event: failed.Event, Type: failed.Type,
		Message: failed.Cause.Error(), Time: time.Now().UTC().Truncate(time.Millisecond),
	}}
}

// park publishes that a build stands still, under the lock.
func (e *Engine) park(b *build, s state, failed *HandlerError) {
	*e.states[b] = s
	b.view.failures++
	b.view.answer(b == b.view.main, failed)
	e.logFailure(failed)
}

func (e *Engine) logFailure(err *HandlerError) {
	attributes := []any{"view", err.View, "version", err.Version, "position", err.Position, "event", err.Event, "type", err.Type, "error", err.Cause}
	var panicked *panicError
	if errors.As(err.Cause, &panicked) {
		attributes = append(attributes, "stack", string(panicked.stack))
	}
	e.logger.Error("view is parked, its handler failed", attributes...)
}

// damageAt is why a build stops that met damage between a position and the end
// of its batch: no event is at fault.
func damageAt(b *build, position uint64, damage error) *HandlerError {
	return &HandlerError{View: b.view.name, Version: b.view.version, Position: position, Cause: damage}
}

func isDamage(err error) bool {
	var damage *DamageError
	return errors.As(err, &damage)
}

// parkDamaged parks a build whose stored rows and entries disagree, where its
// checkpoint is, and lets the others begin their batch again.
func (e *Engine) parkDamaged(b *build, damage error) error {
	if err := e.startOver(); err != nil {
		return err
	}
	failed := damageAt(b, b.reached.position+1, damage)
	s := parkedState(b.reached, failed)
	if err := e.env.Update(func(txn *lmdbenv.Txn) error { return e.catalog.putState(txn, b, s) }); err != nil {
		return err
	}
	e.update(func() { e.park(b, s, failed) })
	return errStartedOver
}
