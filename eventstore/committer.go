package eventstore

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/commit"
	"github.com/verbatim-es/verbatim/internal/journal"
)

const (
	// maxBatchAppends and maxBatchBytes bound one commit. A single append may be
	// larger.
	maxBatchAppends = 4096
	maxBatchBytes   = 8 << 20
	// maxLinger is how long a commit waits at most for the appenders that the
	// one before it released: usually they come back at once, and one sync for
	// all of them is better than two for two halves.
	maxLinger = 100 * time.Microsecond
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
	// published is called after a batch became visible,
	// turnedReadOnly once, when the store takes no more, and clockBehind when the
	// clock is found behind the last id: once, until it is not any more.
	published      func()
	turnedReadOnly func(error)
	clockBehind    func(now time.Time, last event.ID)
	now            func() time.Time
	entropy        commit.Entropy
	maxQueued      int // bytes
	maxBatch       int // bytes

	failed atomic.Pointer[event.UnavailableError] // why the store is read-only

	// expected is the number of waiting appends that end the next linger early,
	// until its latest time. They belong to who leads.
	expected int
	until    time.Time
	waiting  atomic.Int64 // length of queue

	behind bool // the clock was, at the last commit; of who leads
	// batch and proposals are scratch space of who leads.
	batch     []*pending
	proposals []*commit.Proposal

	mu      sync.Mutex
	queue   []*pending
	wave    *wave // of the queue; nil when nobody waits for it
	queued  int   // bytes
	leading bool
	closed  bool
	idle    sync.Cond // leading became false
}

// pending is a proposal and, once it was committed, its outcome.
type pending struct {
	proposal *commit.Proposal
	taken    bool // by a batch; guarded by the committer's mutex
	// wave is the one whose end brings the outcome. It is another one later when
	// the batch was full.
	wave    atomic.Pointer[wave]
	outcome commit.Outcome
	err     error
}

// wave is the proposers that one batch releases, all at once.
type wave struct{ done chan struct{} }

// submit has the proposal decided and committed.
func (c *committer) submit(ctx context.Context, p *commit.Proposal) (commit.Outcome, error) {
	w := &pending{proposal: p}
	lead, err := c.enqueue(w)
	switch {
	case err != nil:
		return commit.Outcome{}, err
	case lead:
		c.lead()
		return w.outcome, w.err
	}
	for {
		at := w.wave.Load()
		select {
		case <-at.done:
			if w.wave.Load() == at {
				return w.outcome, w.err
			}
		case <-ctx.Done():
			return c.abandon(ctx, w)
		}
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
	c.waiting.Store(int64(len(c.queue)))
	c.queued += size
	if !c.leading {
		c.leading = true
		return true, nil
	}
	if c.wave == nil {
		c.wave = &wave{make(chan struct{})}
	}
	w.wave.Store(c.wave)
	return false, nil
}

// abandon gives up waiting. What no batch has taken yet will not happen.
func (c *committer) abandon(ctx context.Context, w *pending) (commit.Outcome, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !w.taken {
		c.queue = slices.DeleteFunc(c.queue, func(other *pending) bool { return other == w })
		c.waiting.Store(int64(len(c.queue)))
		c.queued -= w.proposal.Size
		return commit.Outcome{}, ctx.Err()
	}
	return commit.Outcome{}, &event.UnavailableError{
		Message: "the append was being committed when the caller stopped waiting",
		Unknown: true,
		Cause:   ctx.Err(),
	}
}

// lead commits the first batch, which holds the leader's own proposal: nobody
// queues while nobody leads.
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
	c.linger()
	if batch, released := c.take(); len(batch) > 0 {
		c.run(batch, released)
		// Not all of those released or waiting: a group that waits for its own
		// size breaks in two when one of it is late.
		c.expected = (len(batch) + int(c.waiting.Load())) * 9 / 10
		c.until = time.Now().Add(maxLinger)
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

// linger waits for those that the last commit released. It costs a lone
// appender nothing: there is nobody else to expect. It yields instead of
// sleeping, since timers are coarser than the whole wait.
func (c *committer) linger() {
	for c.waiting.Load() < int64(c.expected) && time.Now().Before(c.until) {
		runtime.Gosched()
	}
}

// take returns what is committed next, and who waits for it. The batch is valid
// until the next one.
func (c *committer) take() (batch []*pending, released *wave) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, bytes := 0, 0
	for n < len(c.queue) && n < maxBatchAppends {
		size := c.queue[n].proposal.Size
		if n > 0 && bytes+size > c.maxBatch {
			break
		}
		c.queue[n].taken = true
		bytes += size
		n++
	}
	c.batch = append(c.batch[:0], c.queue[:n]...)
	c.queue = slices.Delete(c.queue, 0, n)
	c.waiting.Store(int64(len(c.queue)))
	c.queued -= bytes
	released, c.wave = c.wave, nil
	if n > 0 && len(c.queue) > 0 {
		c.wave = &wave{make(chan struct{})}
		for _, w := range c.queue {
			w.wave.Store(c.wave)
		}
	}
	return c.batch, released
}

// run decides a batch, makes it durable, and only then visible.
func (c *committer) run(batch []*pending, released *wave) {
	c.proposals = c.proposals[:0]
	for _, w := range batch {
		c.proposals = append(c.proposals, w.proposal)
	}
	decided, err := c.commit(c.proposals)
	for i, w := range batch {
		if w.err = err; err == nil {
			w.outcome = decided.Outcomes[i]
		}
	}
	if released != nil {
		close(released.done)
	}
	clear(batch)
	clear(c.proposals)
}

func (c *committer) commit(proposals []*commit.Proposal) (commit.Batch, error) {
	if failed := c.failed.Load(); failed != nil {
		return commit.Batch{}, failed
	}
	before, now := c.recent.snapshot(), c.now()
	batch := commit.Decide(before, proposals, now, c.entropy)
	c.stats.decided(&batch)
	if batch.ClockBehind && !c.behind {
		c.clockBehind(now, before.head.id)
	}
	c.behind = batch.ClockBehind
	if len(batch.Events) == 0 {
		return batch, nil
	}
	if seeded == bugVisibleEarly {
		c.publish(batch.Events)
	}
	start := time.Now()
	if err := c.persist(batch.Events); err != nil {
		return commit.Batch{}, c.fail(err)
	}
	c.stats.committed(&batch, time.Since(start))
	if seeded != bugVisibleEarly {
		c.publish(batch.Events)
	}
	c.published()
	return batch, nil
}

func (c *committer) publish(events []event.Event) {
	c.recent.publish(events)
	c.waiters.wake(events)
}

// fail judges a failed commit. When nothing was written, because the log has no
// space to make room in the journal, the next append may go better. After
// anything else what the disk would do with another write is not known, so
// there is none.
func (c *committer) fail(err error) error {
	var refused *event.UnavailableError
	if errors.As(err, &refused) {
		return refused
	}
	c.readOnly("a write to the journal failed", err)
	return &event.UnavailableError{
		Message: "a write to the journal failed: the store is read-only until it is opened again",
		Unknown: errors.Is(err, event.ErrOutcomeUnknown),
		Cause:   err,
	}
}

// readOnly refuses all further appends. The first reason stays. The outcome of
// an append that is refused is known, also when that of the one that failed is
// not.
func (c *committer) readOnly(what string, err error) {
	if failed := (*journal.FailedError)(nil); errors.As(err, &failed) {
		err = failed.Err
	}
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
