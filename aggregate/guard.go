package aggregate

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

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

// task is something that calls a decider.
type task interface{ run() error }

// guard runs a task. A panic is a [*PanicError]. When the context can end, the
// task runs on a goroutine of its own; when the context ends first, the task is
// left behind, and whoever called guard must not look at it any more.
func (h *Handler[S]) guard(ctx context.Context, t task) error {
	if ctx.Done() == nil {
		return protect(t)
	}
	if h.crew.left() >= h.opts.MaxAbandoned {
		return &event.UnavailableError{Message: fmt.Sprintf("%d deciders of %q were left behind and have not returned: find out why they don't, and restart", h.opts.MaxAbandoned, h.def.Category)}
	}
	return h.crew.do(ctx, t)
}

func protect(t task) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: debug.Stack()}
		}
	}()
	return t.run()
}

// explain says where a decider panicked, and drops what the cache has of the
// aggregate: the decider may have reached what it should not.
func (h *Handler[S]) explain(err error, of *slot[S], command string) error {
	var panicked *PanicError
	if !errors.As(err, &panicked) {
		return err
	}
	h.stats.panics.Add(1)
	h.slots.remove(of)
	panicked.Stream, panicked.Command = of.stream, command
	return err
}
