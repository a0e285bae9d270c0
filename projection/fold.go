package projection

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/verbatim-es/verbatim/event"
)

// errHandlerTimeout ends the context of a handler that takes too long, errHalt
// that of a fold whose outcome nobody wants any more.
var (
	errHandlerTimeout = errors.New("the handler took longer than Options.HandlerTimeout")
	errHalt           = errors.New("the views are being closed or started over")
)

// fold is events being applied to one build's overlay, on a goroutine of its
// own: the follower goes on without it when its handler takes long, and leaves
// it behind when its handler never returns.
type fold struct {
	engine *Engine
	build  *build
	tx     *Tx
	skips  map[uint64]Skipped
	ctx    context.Context
	cancel context.CancelCauseFunc
	// handed counts the events handed to the handler, and is odd while it has
	// one, under tx.mu. The follower watches it.
	handed uint64
	// stop asks the fold to end behind the event at hand.
	stop atomic.Bool
	done chan struct{} // closed at the end

	// The follower's: what it saw when it looked the last time.
	seen      uint64
	since     time.Time
	cancelled time.Time // when its context was ended, zero while it was not
	left      time.Time // when it was left behind
	// current is the event at hand, under tx.mu.
	current event.Event

	// The fold's: the type that it looked up last, and whether it is wanted.
	asked  string
	wanted bool

	// What follows is the outcome, to be read once the fold is among the
	// engine's results. err is trouble with the log or the environment; how far
	// the overlay is stands in the build.
	err   error
	limit limit
	// beside are the folds of the other live builds, nil for a build that
	// catches up.
	beside *group
}

// group is what the folds of the live builds share, which have to end at the
// same event.
type group struct {
	// full means that one of them has as much memory as it may take.
	full atomic.Bool
}

// limit says when a fold has done enough. It stops behind an event.
type limit struct {
	bytes int // of the overlay
	// What follows is for builds that catch up.
	target  uint64 // the position to stop at
	rows    int    // that changed
	events  int
	elapsed time.Duration
}

// begin starts a fold of a build that has none in flight. work runs on its
// goroutine.
func (e *Engine) begin(ctx context.Context, b *build, work func(*fold)) {
	f := &fold{engine: e, build: b, skips: b.view.skips, done: make(chan struct{}), since: time.Now()}
	if seeded == bugSkipForgotten && b != b.view.main {
		f.skips = nil
	}
	f.ctx, f.cancel = context.WithCancelCause(ctx)
	f.tx = newTx(f.ctx, b)
	b.fold = f
	go func() {
		if f.err = f.tx.begin(e); f.err == nil {
			work(f)
		}
		f.end()
	}()
}

// end hands the outcome to the follower, unless it has left the fold behind.
func (f *fold) end() {
	f.cancel(nil)
	if !f.tx.expire() {
		close(f.done)
		f.engine.nudge()
		return
	}
	if f.tx.failed != nil && f.err == nil {
		f.err = f.tx.failed
	}
	close(f.done)
	f.engine.results <- f // has room for one of every build
}

// apply hands events to the handler, and reports whether it got through them. It
// has tx.mu but for while the handler has an event.
func (f *fold) apply(events []event.Event) bool {
	f.tx.mu.Lock()
	defer f.tx.mu.Unlock()
	for i := range events {
		if f.stop.Load() || f.beside != nil && f.beside.full.Load() {
			return false
		}
		if !f.follows(events[i]) {
			return false
		}
		if _, skip := f.skipped(events[i]); !skip && f.wants(events[i]) && !f.one(events[i]) {
			return false
		}
		f.build.reached.position, f.build.reached.id = events[i].Position(), events[i].ID()
		if f.build.overlay.size() >= f.limit.bytes {
			if f.beside != nil {
				f.beside.full.Store(true)
			}
			return false
		}
	}
	return true
}

// follows reports whether an event is the one behind what the build has
// applied: a gap is an error, whoever made it. It is false, too, when the fold
// was left behind.
func (f *fold) follows(e event.Event) bool {
	if f.tx.expired {
		return false
	}
	if at := f.build.reached.position; e.Position() != at+1 {
		f.err = fmt.Errorf("view %q: position %d was to be applied behind %d", f.build.view, e.Position(), at)
		return false
	}
	return true
}

func (f *fold) skipped(e event.Event) (s Skipped, skip bool) {
	if len(f.skips) == 0 {
		return s, false
	}
	s, skip = f.skips[e.Position()]
	return s, skip && s.Event == e.ID()
}

// wants reports whether the handler is to see what an event is read as today.
func (f *fold) wants(e event.Event) bool {
	types := &f.build.view.types
	if f.engine.options.Upcasters != nil {
		return f.engine.options.Upcasters.MayBecome(e, types.has)
	}
	if typ := e.Type(); typ != f.asked { // most are as the one before
		f.asked, f.wanted = typ, types.has(typ)
	}
	return f.wanted
}

// one applies one event, and takes back what it changed when its handler fails.
func (f *fold) one(e event.Event) bool {
	f.current = e
	f.handed++
	f.tx.mu.Unlock()
	err := f.hand(e)
	f.tx.mu.Lock()
	f.handed++
	switch {
	case f.tx.expired:
		return false
	case f.tx.failed != nil:
		return false // the environment's trouble: everything is done again
	case err != nil:
		f.build.overlay.revert()
		if errors.Is(context.Cause(f.ctx), errHalt) {
			return false
		}
		f.build.failed = f.failure(e, err)
		return false
	}
	f.build.overlay.keep()
	f.build.applied++
	return true
}

func (f *fold) failure(e event.Event, cause error) *HandlerError {
	return &HandlerError{View: f.build.view.name, Version: f.build.view.version, Position: e.Position(), Event: e.ID(), Type: e.Type(), Cause: cause}
}

// hand passes a stored event to the view's handler, as what it is read as
// today.
func (f *fold) hand(stored event.Event) error {
	v := f.build.view
	if f.engine.options.Upcasters == nil {
		return handle(v, f.tx, stored)
	}
	for e, err := range f.engine.options.Upcasters.Events(stored) {
		if err != nil {
			return err
		}
		if !v.types.has(e.Type()) {
			continue
		}
		if err := handle(v, f.tx, e); err != nil {
			return err
		}
	}
	return nil
}

// panicError is what a handler panicked with.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

func handle(v *view, tx *Tx, applying event.Event) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &panicError{value: value, stack: debug.Stack()}
		}
	}()
	return v.apply(tx, applying)
}

// chunkSize is how many events a build that catches up takes before it looks at
// its limit.
const chunkSize = 128

// catchUp reads the log behind where the build is and applies it, until it has
// done enough. It runs on the fold's goroutine.
func (f *fold) catchUp() {
	began, events := time.Now(), 0
	at, full := f.progress()
	if full || at.position >= f.limit.target {
		return
	}
	ctx, cancel := context.WithCancel(f.ctx)
	next := f.readAhead(ctx, at, f.limit.events)
	defer func() {
		cancel()
		for range next { // until its goroutine has ended
		}
	}()
	for {
		read, ok := <-next
		if f.err = read.err; !ok || f.err != nil {
			return
		}
		page := read.page.events
		if len(page) == 0 {
			return // the log has less than the live views have applied: they find out
		}
		at.position, at.id = page[len(page)-1].Position(), page[len(page)-1].ID()
		events += len(page)
		next = f.readAhead(ctx, at, f.limit.events-events)
		for chunk := range slices.Chunk(page, chunkSize) {
			if !f.apply(chunk) {
				return
			}
			if _, full := f.progress(); full || time.Since(began) >= f.limit.elapsed {
				return
			}
		}
	}
}

// readAhead reads the events behind a checkpoint, at most so many, while others
// are folded. The channel is closed behind the answer, or at once when there is
// nothing more to read.
func (f *fold) readAhead(ctx context.Context, at checkpoint, limit int) <-chan polled {
	next := make(chan polled, 1)
	limit = int(min(uint64(limit), f.limit.target-at.position))
	if limit <= 0 {
		close(next)
		return next
	}
	go func() {
		defer close(next)
		page, err := f.engine.read(ctx, at, limit, 0)
		next <- polled{page, err}
	}()
	return next
}

// progress returns where the build is, and whether it has as much as it may. It
// has when the fold was left behind: then the build is the follower's again.
func (f *fold) progress() (at checkpoint, full bool) {
	f.tx.mu.Lock()
	defer f.tx.mu.Unlock()
	if f.tx.expired {
		return at, true
	}
	o := f.build.overlay
	return f.build.reached, len(o.changed) >= f.limit.rows || o.size() >= f.limit.bytes
}

// watch looks after the folds in flight: a handler that takes too long has its
// context ended, and one that does not care is left behind. An error is trouble
// with the environment.
func (e *Engine) watch(now time.Time) error {
	for _, v := range e.all {
		for _, b := range v.builds {
			if f := b.fold; f != nil {
				e.watchFold(f, now)
			}
		}
	}
	return e.countStuck(now)
}

func (e *Engine) watchFold(f *fold, now time.Time) {
	f.tx.mu.Lock()
	handed := f.handed
	f.tx.mu.Unlock()
	if handed != f.seen || handed%2 == 0 {
		f.seen, f.since = handed, now
		return
	}
	switch {
	case f.cancelled.IsZero() && now.Sub(f.since) >= e.options.HandlerTimeout:
		f.cancelled = now
		f.cancel(errHandlerTimeout)
	case !f.cancelled.IsZero() && now.Sub(f.cancelled) >= e.options.handlerGrace:
		e.abandon(f, errHandlerTimeout)
	}
}

// abandon leaves a fold behind whose handler does not return: from here on it
// can't touch anything, and its view is parked at the event it has. It reports
// whether it did: see fold.leave.
func (e *Engine) abandon(f *fold, cause error) bool {
	f.cancel(cause)
	if !f.leave(cause == errHandlerTimeout) {
		return false
	}
	b := f.build
	b.fold = nil
	b.overlay.revert()
	// The handler may still look at rows: their memory is not used again.
	b.overlay.lent = true
	if cause == errHandlerTimeout {
		b.failed = f.failure(f.current, &StuckError{After: time.Since(f.since).Round(time.Millisecond)})
		e.parkLater(b)
	}
	f.left = time.Now()
	e.stuck = append(e.stuck, f)
	return true
}

// returns waits for a fold that was left behind, and reports whether it has
// ended in time.
func (f *fold) returns(within time.Duration) bool {
	timer := time.NewTimer(max(0, within))
	defer timer.Stop()
	select {
	case <-f.done:
		return true
	case <-timer.C:
		return f.ended()
	}
}

func (f *fold) ended() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// leave expires the fold's transaction, and reports whether it did: not when the
// fold has ended, and its outcome is on the way, and with ifSeen only when it
// stands where it was seen.
func (f *fold) leave(ifSeen bool) bool {
	f.tx.mu.Lock()
	defer f.tx.mu.Unlock()
	if ifSeen && f.handed != f.seen {
		return false
	}
	return f.tx.expireLocked()
}

// halt ends the folds of these builds and waits for them, for a while. What
// they folded is worth nothing afterwards.
func (e *Engine) halt(builds ...*build) { e.haltWithin(e.options.handlerGrace, builds...) }

// discard is halt for builds that nobody wants any more: the follower waits for
// none of their handlers.
func (e *Engine) discard(builds ...*build) { e.haltWithin(0, builds...) }

func (e *Engine) haltWithin(grace time.Duration, builds ...*build) {
	e.ready = slices.DeleteFunc(e.ready, func(f *fold) bool {
		gone := slices.Contains(builds, f.build)
		if gone {
			f.build.fold = nil
		}
		return gone
	})
	running := 0
	for _, b := range builds {
		if b.fold != nil {
			b.fold.stop.Store(true)
			b.fold.cancel(errHalt)
			running++
		}
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	for running > 0 {
		select {
		case f := <-e.results:
			if !slices.Contains(builds, f.build) {
				e.ready = append(e.ready, f)
				continue
			}
			f.build.fold = nil
			running--
		case <-timer.C:
			// Those that can't be abandoned have ended, and report at once.
			for _, b := range builds {
				if b.fold != nil && e.abandon(b.fold, errHalt) {
					running--
				}
			}
		}
	}
}
