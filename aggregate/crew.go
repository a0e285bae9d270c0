package aggregate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// crew are the goroutines that a handler calls deciders on, so that a caller can
// leave one that never returns. They wait for the next task: a new goroutine would
// have to grow its stack first, which takes longer than most deciders do.
type crew struct {
	abandoned atomic.Int64 // tasks that go on although their callers have left

	mu      sync.Mutex
	idle    []*worker // the one that worked last comes last
	rested  int       // so many of the first have not worked since the last look
	looking bool      // a look is due
}

// lull is how long a worker waits for a task before it ends: at least, and at most
// twice that.
const lull = 100 * time.Millisecond

// worker is a goroutine that runs one task after the other.
type worker struct {
	crew  *crew
	tasks chan task   // closed when there are no more
	done  chan error  // how the task ended
	over  atomic.Bool // the task has ended, or was left: whichever came first
}

// abandonedError is the end of a context while a decider ran.
type abandonedError struct{ cause error }

func (e *abandonedError) Error() string {
	return fmt.Sprintf("the decider did not return in time and was left behind: %v", e.cause)
}

func (e *abandonedError) Unwrap() error { return e.cause }

func wasAbandoned(err error) bool {
	if err == nil {
		return false
	}
	var abandoned *abandonedError
	return errors.As(err, &abandoned)
}

// errEnded is what a decider ends with that called runtime.Goexit.
var errEnded = errors.New("the decider ended its goroutine")

// left is how many tasks go on although their callers have left.
func (c *crew) left() int { return int(c.abandoned.Load()) }

// do has a worker run the task, and leaves both behind when the context ends
// first.
func (c *crew) do(ctx context.Context, t task) error {
	w := c.take()
	w.tasks <- t
	select {
	case err := <-w.done:
		return c.release(w, err)
	case <-ctx.Done():
	}
	c.abandoned.Add(1)
	if w.over.CompareAndSwap(false, true) {
		return &abandonedError{ctx.Err()}
	}
	c.abandoned.Add(-1) // it has just ended
	return c.release(w, <-w.done)
}

// release takes back a worker whose task has ended with err, unless it ended too.
func (c *crew) release(w *worker, err error) error {
	if err != errEnded {
		w.over.Store(false)
		c.give(w)
	}
	return err
}

func (c *crew) take() *worker {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := len(c.idle) - 1
	if last < 0 {
		w := &worker{crew: c, tasks: make(chan task, 1), done: make(chan error, 1)}
		go w.work()
		return w
	}
	w := c.idle[last]
	c.idle[last] = nil
	c.idle = c.idle[:last]
	c.rested = min(c.rested, last)
	return w
}

func (c *crew) give(w *worker) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = append(c.idle, w)
	if !c.looking {
		c.looking = true
		time.AfterFunc(lull, c.look)
	}
}

// look ends the workers that have not worked since the last look.
func (c *crew) look() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.idle[:c.rested] {
		close(w.tasks)
	}
	c.idle = slices.Delete(c.idle, 0, c.rested)
	c.rested = len(c.idle)
	if c.looking = c.rested > 0; c.looking {
		time.AfterFunc(lull, c.look)
	}
}

func (w *worker) work() {
	working := false
	defer func() {
		if working {
			w.end(errEnded)
		}
	}()
	for t := range w.tasks {
		working = true
		err := protect(t)
		working = false
		if !w.end(err) {
			return
		}
	}
}

// end tells the caller how the task ended, and reports whether there still is one.
func (w *worker) end(err error) bool {
	if !w.over.CompareAndSwap(false, true) {
		w.crew.abandoned.Add(-1)
		return false
	}
	w.done <- err
	return true
}
