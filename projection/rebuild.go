package projection

import (
	"context"
	"fmt"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// request asks the follower, the only writer, for something.
type request struct {
	view   string
	resume bool // go on with a parked view, instead of a rebuild
	done   chan error
}

func (r request) answer(err error) { r.done <- err }

// Rebuild builds a view again from the log's beginning, beside the one that is
// there, which is read meanwhile and goes on. When the new build reaches the
// others' position it takes over, in one transaction, and Rebuild returns. When
// the handler fails, the new build is thrown away, the view stays what it was,
// and Rebuild returns the [*HandlerError].
//
// The end of ctx ends the waiting, not the rebuild, which also goes on after a
// restart. A second Rebuild of the same view joins the first.
func (e *Engine) Rebuild(ctx context.Context, view string) error {
	return e.ask(ctx, request{view: view})
}

// Resume lets a parked view go on with the event that it is parked at, after
// its handler was repaired, and returns when it is live again, or the
// [*HandlerError] when it is parked again. The end of ctx ends the waiting
// only. A view that is not parked is left alone.
func (e *Engine) Resume(ctx context.Context, view string) error {
	return e.ask(ctx, request{view: view, resume: true})
}

func (e *Engine) ask(ctx context.Context, r request) error {
	if e.views[r.view] == nil {
		return &event.UnknownError{Kind: "view", Name: r.view}
	}
	r.done = make(chan error, 1)
	e.mu.Lock()
	if e.closed || e.stopped {
		e.mu.Unlock()
		return ErrClosed
	}
	e.requests = append(e.requests, r)
	if e.interrupt != nil {
		e.interrupt()
	}
	e.mu.Unlock()
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("view %q: it is still being built: %w", r.view, context.Cause(ctx))
	}
}

// serveAll starts what was asked for since the last time.
func (e *Engine) serveAll() error {
	e.mu.Lock()
	requests := e.requests
	e.requests = nil
	e.mu.Unlock()
	for i, r := range requests {
		if err := e.serve(r); err != nil {
			for _, unserved := range requests[i:] {
				unserved.answer(err)
			}
			return err
		}
	}
	return nil
}

// serve starts what a request asks for. Its answer comes when it is done.
func (e *Engine) serve(r request) error {
	builds, slot := e.builds[r.view], e.serving[r.view]
	b, next := builds[1-slot], state{status: statusBuilding, at: checkpoint{store: e.live.store}}
	if r.resume {
		b = builds[slot]
		next.at = e.states[b].at
		if e.states[b].status != statusParked {
			r.answer(nil)
			return nil
		}
	}
	if e.states[b].status == statusBuilding {
		e.update(func() { e.counters[r.view].wait(r) })
		return nil
	}
	err := e.env.Update(func(txn *lmdbenv.Txn) error {
		if r.resume {
			return e.catalog.putState(txn, b, next)
		}
		if err := b.clear(txn); err != nil {
			return err
		}
		return e.catalog.create(txn, b, next)
	})
	if err != nil {
		return fmt.Errorf("view %q: start to build: %w", r.view, err)
	}
	e.logger.Info("view is being built", "view", r.view, "from", next.at.position, "to", e.live.position)
	e.update(func() {
		*e.states[b] = next
		e.counters[r.view].wait(r)
	})
	return nil
}
