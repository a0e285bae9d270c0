package projection

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// errAgain aborts a transaction that must be run again without a build that
// failed in it.
var errAgain = errors.New("run again")

// failure is where a build's handler failed.
type failure struct {
	index int // in the events of the run
	err   *HandlerError
}

// run is one attempt to apply events to builds in one transaction.
type run struct {
	engine   *Engine
	from     checkpoint
	events   []event.Event
	failures map[*build]*failure // of this attempt and earlier ones

	applied map[*build]uint64 // events handed to handlers
	rows    map[*build]uint64
	states  map[*build]state // of builds that failed
}

// all applies the events. It returns errAgain when a handler failed.
func (r *run) all(txn *lmdbenv.Txn, builds []*build) error {
	r.applied, r.rows, r.states = make(map[*build]uint64), make(map[*build]uint64), make(map[*build]state)
	again := false
	for _, b := range builds {
		failed, err := r.one(txn, b)
		if err != nil {
			return err
		}
		again = again || failed
	}
	if again {
		return errAgain
	}
	for _, b := range builds {
		if r.failures[b] != nil {
			if err := r.park(txn, b); err != nil {
				return err
			}
		}
		stat, err := txn.Stat(b.rows)
		if err != nil {
			return err
		}
		r.rows[b] = stat.Entries
	}
	if r.engine.options.beforeCommit != nil {
		return r.engine.options.beforeCommit()
	}
	return nil
}

// one applies the events to one build, up to where it failed in an earlier
// attempt.
func (r *run) one(txn *lmdbenv.Txn, b *build) (failed bool, err error) {
	events := r.events
	if f := r.failures[b]; f != nil {
		events = events[:f.index]
	}
	tx := newTx(b)
	defer func() { tx.txn = nil }()
	wanted := b.view.types.has
	for i, applying := range events {
		if !r.engine.options.Upcasters.MayBecome(applying, wanted) {
			continue
		}
		tx.txn = txn
		err := r.hand(b.view, tx, applying)
		if tx.failed != nil {
			return false, tx.failed
		}
		if err != nil {
			r.failures[b] = &failure{index: i, err: &HandlerError{
				View: b.view.name, Position: applying.Position(), Event: applying.ID(), Type: applying.Type(), Cause: err,
			}}
			return true, nil
		}
		r.applied[b]++
	}
	return false, nil
}

// panicError is what a handler panicked with.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// hand passes a stored event to a view's handler, as what it is read as today.
func (r *run) hand(v *view, tx *Tx, stored event.Event) error {
	for e, err := range r.engine.options.Upcasters.Events(stored) {
		if err != nil {
			return err
		}
		if !v.types.has(e.Type()) {
			continue
		}
		if err := handle(v, tx, e); err != nil {
			return err
		}
		if tx.failed != nil {
			return nil // the transaction's own trouble, reported by the caller
		}
	}
	return nil
}

func handle(v *view, tx *Tx, applying event.Event) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &panicError{value: value, stack: debug.Stack()}
		}
	}()
	return v.apply(tx, applying)
}

// park stores where a build stands still, or gives it up when another one
// serves the view.
func (r *run) park(txn *lmdbenv.Txn, b *build) error {
	if !r.engine.serves(b) {
		r.states[b] = state{}
		return r.engine.abandon(txn, b)
	}
	f := r.failures[b]
	at := r.from
	if f.index > 0 {
		before := r.events[f.index-1]
		at.position, at.id = before.Position(), before.ID()
	}
	r.states[b] = state{status: statusParked, at: at, parked: &Parked{
		Position: f.err.Position, Event: f.err.Event, Type: f.err.Type,
		Message: f.err.Cause.Error(), Time: time.Now().UTC().Truncate(time.Millisecond),
	}}
	return r.engine.catalog.putState(txn, b, r.states[b])
}

// publish makes the run's outcome visible, after its commit, under the engine's
// lock.
func (r *run) publish(builds []*build) {
	now := time.Now()
	for _, b := range builds {
		c := r.engine.counters[b.view.name]
		c.applied += r.applied[b]
		c.rate.add(r.applied[b], now)
		if r.engine.serves(b) {
			c.rows = r.rows[b]
		}
		if f := r.failures[b]; f != nil {
			*r.engine.states[b] = r.states[b]
			c.failures++
			c.answer(r.engine.serves(b), f.err)
			r.log(f.err)
		}
	}
}

func (r *run) log(err *HandlerError) {
	attributes := []any{"view", err.View, "position", err.Position, "event", err.Event, "type", err.Type, "error", err.Cause}
	var panicked *panicError
	if errors.As(err.Cause, &panicked) {
		attributes = append(attributes, "stack", string(panicked.stack))
	}
	r.engine.logger.Error("view is parked, its handler failed", attributes...)
}
