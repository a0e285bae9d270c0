package aggregate

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/verbatim-es/verbatim/event"
)

// PanicError says that a decider panicked. Nothing was stored, and the state
// that it may have worked on is forgotten.
type PanicError struct {
	// Stream is the aggregate's, and Command the full type name of the command;
	// "" when there was none, in [Handler.Load].
	Stream, Command string
	// Value is what the decider panicked with, and Stack where.
	Value any
	Stack []byte
}

func (e *PanicError) Error() string {
	if e.Command == "" {
		return fmt.Sprintf("the decider panicked when %s was loaded: %v", e.Stream, e.Value)
	}
	return fmt.Sprintf("the decider panicked at command %s for %s: %v", e.Command, e.Stream, e.Value)
}

// abandonedError is the end of a context while a decider ran.
type abandonedError struct{ cause error }

func (e *abandonedError) Error() string {
	return fmt.Sprintf("the decider did not return in time and was left behind: %v", e.cause)
}

func (e *abandonedError) Unwrap() error { return e.cause }

// errEnded is what a decider ends with that called runtime.Goexit.
var errEnded = errors.New("the decider ended its goroutine")

// task is something that calls a decider.
type task interface{ run() error }

// guard runs a task. A panic is a [*PanicError]. When the context can end, the
// task runs on a goroutine of its own; when the context ends first, the task is
// left behind, and whoever called guard must not look at it any more.
func (h *Handler[S]) guard(ctx context.Context, t task) error {
	if ctx.Done() == nil {
		return protect(t)
	}
	if h.stats.abandoned.Load() >= int64(h.opts.MaxAbandoned) {
		return &event.UnavailableError{Message: fmt.Sprintf("%d deciders of %q were left behind and have not returned: find out why they don't, and restart", h.opts.MaxAbandoned, h.def.Category)}
	}
	r := idle.Get().(*running)
	r.task, r.abandoned = t, &h.stats.abandoned
	go r.start()
	select {
	case err := <-r.done:
		r.release()
		return err
	case <-ctx.Done():
		return r.leave(ctx.Err())
	}
}

// running is a task on a goroutine of its own. It is used again for another one,
// unless it was left behind.
type running struct {
	task      task
	abandoned *atomic.Int64 // how many tasks run on that were left
	over      atomic.Bool   // it has ended, or was left: whichever came first
	done      chan error
	start     func() // run, which allocates only once so
}

// idle has what is running nothing.
var idle = sync.Pool{New: func() any {
	r := &running{done: make(chan error, 1)}
	r.start = r.run
	return r
}}

func (r *running) release() {
	r.task, r.abandoned = nil, nil
	r.over.Store(false)
	idle.Put(r)
}

func (r *running) run() {
	err := errEnded
	defer func() {
		if !r.over.CompareAndSwap(false, true) {
			r.abandoned.Add(-1)
			return
		}
		r.done <- err // whoever takes it may use r again
	}()
	err = protect(r.task)
}

// leave returns the task's error if it has just ended.
func (r *running) leave(cause error) error {
	r.abandoned.Add(1)
	if r.over.CompareAndSwap(false, true) {
		return &abandonedError{cause}
	}
	r.abandoned.Add(-1)
	err := <-r.done
	r.release()
	return err
}

func protect(t task) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: debug.Stack()}
		}
	}()
	return t.run()
}

func wasAbandoned(err error) bool {
	if err == nil {
		return false
	}
	var abandoned *abandonedError
	return errors.As(err, &abandoned)
}

// explain says where a decider panicked, and drops what the cache has of the
// aggregate: the decider may have reached what it should not.
func (h *Handler[S]) explain(err error, of slotted, command string) error {
	var panicked *PanicError
	if !errors.As(err, &panicked) {
		return err
	}
	h.stats.panics.Add(1)
	h.slots.remove(of.id)
	panicked.Stream, panicked.Command = of.stream, command
	return err
}
