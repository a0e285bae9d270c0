package eventstore

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/commit"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// Bounds of one commit. A single append may be larger.
const (
	maxBatchAppends = 4096
	maxBatchBytes   = 16 << 20
)

// committer commits one batch after the other. It has no goroutine of its own:
// a proposer that finds it idle leads its first commit, and what came in
// meanwhile is committed by a goroutine that ends when nothing is left.
type committer struct {
	recent  *recent
	waiters *waiters
	stats   *stats
	// persist makes a batch durable.
	persist func([]event.Event) error
	// committed is called after a batch became visible, and turnedReadOnly
	// once, when the store takes no more.
	committed      func()
	turnedReadOnly func(error)
	now            func() time.Time
	entropy        commit.Entropy
	maxQueued      int // bytes

	failed atomic.Pointer[event.UnavailableError] // why the store is read-only

	mu      sync.Mutex
	queue   []*pending
	queued  int // bytes
	leading bool
	closed  bool
	idle    sync.Cond // leading became false
}

// pending is a proposal and, once done is closed, its outcome.
type pending struct {
	proposal *commit.Proposal
	taken    bool // by a batch; guarded by the committer's mutex
	done     chan struct{}
	outcome  commit.Outcome
	err      error
}

// submit has the proposal decided and committed.
func (c *committer) submit(ctx context.Context, p *commit.Proposal) (commit.Outcome, error) {
	w := &pending{proposal: p, done: make(chan struct{})}
	lead, err := c.enqueue(w)
	if err != nil {
		return commit.Outcome{}, err
	}
	if lead {
		c.lead()
	}
	select {
	case <-w.done:
		return w.outcome, w.err
	default:
	}
	select {
	case <-w.done:
		return w.outcome, w.err
	case <-ctx.Done():
		return c.abandon(ctx, w)
	}
}

func (c *committer) enqueue(w *pending) (lead bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false, errClosed()
	}
	if failed := c.failed.Load(); failed != nil {
		return false, failed
	}
	size := w.proposal.Size
	if c.queued > 0 && c.queued+size > c.maxQueued {
		return false, &event.UnavailableError{Message: "overloaded: too many bytes of appends are waiting for the disk, try again later"}
	}
	c.queue = append(c.queue, w)
	c.queued += size
	lead, c.leading = !c.leading, true
	return lead, nil
}

// abandon gives up waiting. What no batch has taken yet will not happen.
func (c *committer) abandon(ctx context.Context, w *pending) (commit.Outcome, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !w.taken {
		c.queue = slices.DeleteFunc(c.queue, func(other *pending) bool { return other == w })
		c.queued -= w.proposal.Size
		return commit.Outcome{}, ctx.Err()
	}
	return commit.Outcome{}, &event.UnavailableError{
		Message: "the append was being committed when the caller stopped waiting",
		Unknown: true,
		Cause:   ctx.Err(),
	}
}

// lead commits the first batch, which holds the leader's own proposal.
func (c *committer) lead() {
	if c.round() {
		go func() {
			for c.round() {
			}
		}()
	}
}

// round commits one batch and reports whether another one waits. If not, the
// next proposer leads.
func (c *committer) round() (more bool) {
	if batch := c.take(); len(batch) > 0 {
		c.run(batch)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) > 0 {
		return true
	}
	c.leading = false
	c.idle.Broadcast()
	return false
}

func (c *committer) take() (batch []*pending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, bytes := 0, 0
	for n < len(c.queue) && n < maxBatchAppends {
		size := c.queue[n].proposal.Size
		if n > 0 && bytes+size > maxBatchBytes {
			break
		}
		c.queue[n].taken = true
		bytes += size
		n++
	}
	batch = slices.Clone(c.queue[:n])
	c.queue = slices.Delete(c.queue, 0, n)
	c.queued -= bytes
	return batch
}

// run decides a batch, makes it durable, and only then visible.
func (c *committer) run(batch []*pending) {
	proposals := make([]*commit.Proposal, len(batch))
	for i, w := range batch {
		proposals[i] = w.proposal
	}
	decided, err := c.commit(proposals)
	for i, w := range batch {
		if w.err = err; err == nil {
			w.outcome = decided.Outcomes[i]
		}
		close(w.done)
	}
}

func (c *committer) commit(proposals []*commit.Proposal) (commit.Batch, error) {
	if failed := c.failed.Load(); failed != nil {
		return commit.Batch{}, failed
	}
	batch := commit.Decide(c.recent.snapshot(), proposals, c.now(), c.entropy)
	c.stats.decided(&batch)
	if len(batch.Events) == 0 {
		return batch, nil
	}
	start := time.Now()
	if err := c.persist(batch.Events); err != nil {
		return commit.Batch{}, c.fail(err)
	}
	c.stats.committed(&batch, time.Since(start))
	c.recent.publish(batch.Events)
	c.waiters.wake(batch.Events)
	c.committed()
	return batch, nil
}

// fail judges a failed commit. When the disk was full nothing was written, and
// the next append may go better. After anything else what LMDB or the disk
// would do with another commit is not known, so there is none.
func (c *committer) fail(err error) error {
	var unknown *lmdbenv.CommitError
	if !errors.As(err, &unknown) && lmdbenv.IsNoSpace(err) {
		return &event.UnavailableError{Message: "no space for the append", Cause: err}
	}
	c.readOnly("a commit to the log failed", err)
	return &event.UnavailableError{
		Message: "a commit to the log failed: the store is read-only until it is opened again",
		Unknown: errors.As(err, &unknown),
		Cause:   err,
	}
}

// readOnly refuses all further appends. The first reason stays.
func (c *committer) readOnly(what string, err error) {
	failed := &event.UnavailableError{Message: "the store is read-only until it is opened again: " + what, Cause: err}
	if c.failed.CompareAndSwap(nil, failed) {
		c.turnedReadOnly(failed)
	}
}

func (c *committer) queueLen() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.queue)
}

// close refuses further appends and waits for those that were accepted.
func (c *committer) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for c.leading {
		c.idle.Wait()
	}
}
