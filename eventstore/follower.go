package eventstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

const (
	// foldInterval is how far the log is behind the journal at most, while the
	// disk keeps up; foldBytes of records end the wait early. Short ones cost
	// throughput: every transaction is two barriers.
	foldInterval = 200 * time.Millisecond
	foldBytes    = 8 << 20
	// indexInterval is the same for the index. Its pages are scattered, so that
	// many events share each that is written. Half of Options.MaxTail of lists end
	// the wait early, and so does indexQuiet without a fold: then it disturbs
	// nobody.
	indexInterval = 10 * time.Second
	indexQuiet    = 500 * time.Millisecond
	// applyEvents and applyBytes are where a transaction ends, at the end of an
	// append.
	applyEvents = 50_000
	applyBytes  = 64 << 20
)

// follower keeps an environment following the tail: the log first, and the
// index behind it. It applies batches of whole appends, each in one synced
// transaction together with the checkpoint. When there is nothing to follow it
// does nothing.
type follower struct {
	name string // of what follows, in errors
	// limit is the position up to which it may follow.
	limit func() uint64
	// apply takes the next events of (after, limit] up, durably, and returns the
	// position of the last; applied is called with it afterwards.
	apply    func(after, limit uint64) (last uint64, err error)
	applied  func(last uint64)
	fatal    func(error) // it can't follow any more
	interval time.Duration
	quiet    time.Duration // without more to follow, that ends the wait early
	due      func() bool   // there is so much to follow that the wait ends early

	kicked  chan struct{}
	full    chan struct{}
	closing chan struct{}
	done    chan struct{}

	mu      sync.Mutex
	at      uint64        // checkpoint
	moved   chan struct{} // closed, and replaced, by every attempt to move it
	took    Durations     // of attempts that moved it
	lastErr error         // of the last attempt
	broken  bool
}

// start completes f, and has it follow from a position on.
func (f *follower) start(at uint64) {
	f.at = at
	f.kicked, f.full = make(chan struct{}, 1), make(chan struct{}, 1)
	f.closing, f.done = make(chan struct{}), make(chan struct{})
	f.moved = make(chan struct{})
	go f.run()
}

// grew says that there is more to follow. It never blocks.
func (f *follower) grew() {
	signal(f.kicked)
	if f.due() {
		signal(f.full)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (f *follower) position() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at
}

func (f *follower) durations() Durations {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.took
}

// run follows until close, and then up to the limit.
func (f *follower) run() {
	defer close(f.done)
	for {
		select {
		case <-f.closing:
			f.flush()
			return
		case <-f.kicked:
		}
		f.wait()
		if f.flush(); f.stuck() != nil {
			signal(f.kicked) // a full disk: once more, later
		}
	}
}

// wait waits until it is time to follow.
func (f *follower) wait() {
	latest, quiet, kicked := time.NewTimer(f.interval), time.NewTimer(f.quiet), f.kicked
	defer latest.Stop()
	defer quiet.Stop()
	if f.quiet >= f.interval {
		kicked = nil // no commit need wake it
	}
	for {
		select {
		case <-kicked:
			quiet.Reset(f.quiet)
			continue
		case <-quiet.C:
		case <-latest.C:
		case <-f.full:
		case <-f.closing:
		}
		return
	}
}

// stuck returns what keeps it from following, nil when nothing does.
func (f *follower) stuck() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lastErr == nil || f.broken {
		return nil
	}
	return f.lastErr
}

// flush follows up to what is the limit when it begins.
func (f *follower) flush() {
	limit := f.limit()
	for {
		f.mu.Lock()
		at, broken := f.at, f.broken
		f.mu.Unlock()
		if broken || at >= limit {
			return
		}
		start := time.Now()
		last, err := f.apply(at, limit)
		f.attempted(last, time.Since(start), err)
		if err != nil {
			return
		}
		f.applied(last)
	}
}

// attempted notes the outcome of a transaction.
func (f *follower) attempted(last uint64, took time.Duration, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch f.lastErr = err; {
	case err == nil:
		f.at = last
		f.took.add(took)
	case !lmdbenv.IsNoSpace(err) || errors.As(err, new(*lmdbenv.CommitError)):
		f.broken = true
		f.fatal(fmt.Errorf("write the %s: %w", f.name, err))
	}
	close(f.moved)
	f.moved = make(chan struct{})
}

// attempt returns a channel that the next attempt to move closes.
func (f *follower) attempt() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.moved
}

// hurry has it follow without delay. It fails when the last attempt did.
func (f *follower) hurry() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lastErr != nil {
		return f.behind(f.lastErr)
	}
	signal(f.kicked)
	signal(f.full)
	return nil
}

// retry has it try again when it is stuck, and waits for that.
func (f *follower) retry(ctx context.Context) error {
	f.mu.Lock()
	moved, stuck := f.moved, f.lastErr != nil && !f.broken
	f.mu.Unlock()
	if !stuck {
		return nil
	}
	signal(f.kicked)
	signal(f.full)
	select {
	case <-moved:
		return nil
	case <-f.done:
		return errClosed()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// await has it follow up to a position without delay, and waits for it.
func (f *follower) await(ctx context.Context, position uint64) error {
	for {
		moved := f.attempt()
		if f.position() >= position {
			return nil
		}
		if err := f.hurry(); err != nil {
			return err
		}
		select {
		case <-moved:
		case <-f.done:
			return errClosed()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *follower) behind(err error) error {
	return fmt.Errorf("the %s stays behind: %w", f.name, err)
}

// close waits until it has reached the limit.
func (f *follower) close() error {
	close(f.closing)
	<-f.done
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lastErr != nil {
		return fmt.Errorf("%w; it follows when the store is opened again", f.behind(f.lastErr))
	}
	return nil
}
