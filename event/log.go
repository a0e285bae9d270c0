package event

import (
	"context"
	"iter"
	"time"
)

// Reader reads a log, local or remote.
type Reader interface {
	// ReadPage returns the next page of a selection. It is the one read that
	// everything else is built on; see [Page] for what its fields promise.
	ReadPage(ctx context.Context, s Selection, o PageOptions) (Page, error)
	// Head returns the end of the log.
	Head(ctx context.Context) (Head, error)
}

// Appender appends to a log, local or remote.
type Appender interface {
	// Append makes the events durable, all or none, and returns where they
	// are. An append whose outcome can't be known fails with
	// [ErrOutcomeUnknown]; every other error means that nothing was stored.
	Append(ctx context.Context, a Append) (Receipt, error)
}

// Log is a log of events.
type Log interface {
	Reader
	Appender
}

// KeyReader finds an earlier append by its idempotency key. Local stores and the
// clients of a bus are; it lets a command handler recognise a repeated command
// before deciding.
type KeyReader interface {
	// AppendByKey returns the receipt of the append with that key, marked
	// repeated. An [*UnknownError] of kind "procedure" says that the log behind
	// a bus has no such look-up.
	AppendByKey(ctx context.Context, key string) (Receipt, bool, error)
}

// Head describes the end of a log.
type Head struct {
	Store ID
	// Position and ID are those of the last event, zero in an empty log.
	Position uint64
	ID       ID
	// First is the position of the first event, 0 in an empty log.
	First uint64
}

// Read yields the selected events up to the head at the time it gets there.
// The sequence ends with at most one error, and cancellation is one.
func Read(ctx context.Context, r Reader, s Selection) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		from := s.FromVersion
		var o PageOptions
		for {
			page, err := r.ReadPage(ctx, s, o)
			if err != nil {
				yield(Event{}, err)
				return
			}
			if !yieldPage(page, from, false, yield) || !page.More {
				return
			}
			if s.Limit > 0 {
				if s.Limit -= page.Count; s.Limit <= 0 {
					return
				}
			}
			s, o.Store = s.from(page.Last), page.Store
		}
	}
}

// SubscribeOptions are optional.
type SubscribeOptions struct {
	// CaughtUp is called when the subscription has delivered everything up to
	// the head for the first time, with the head's position, on the goroutine
	// of the loop.
	CaughtUp func(position uint64)
}

// longPoll is how long one page of a subscription waits. Protocol 1 allows up
// to 60 s; a little less leaves room for the answer's way.
const longPoll = 50 * time.Second

// Subscribe yields the selected events from history and then, as they become
// durable, live, without gap or duplicate, until ctx ends (which the last
// error says) or the loop breaks. Limit and Backward are refused.
func Subscribe(ctx context.Context, r Reader, s Selection, opts SubscribeOptions) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if s.Limit != 0 || s.Backward {
			yield(Event{}, &ArgumentError{Argument: "limit", Message: "a subscription goes forward without end"})
			return
		}
		live, from, o := false, s.FromVersion, PageOptions{}
		for {
			page, err := r.ReadPage(ctx, s, o)
			if err != nil {
				yield(Event{}, err)
				return
			}
			if !yieldPage(page, from, live, yield) {
				return
			}
			if !page.More && !live {
				live = true
				if opts.CaughtUp != nil {
					opts.CaughtUp(page.Head)
				}
			}
			s, o.Store = s.from(page.Last), page.Store
			if live {
				o.Wait = longPoll
			}
		}
	}
}

// yieldPage reports whether the consumer wants more. Versions below from, which
// the first page had no need to mention when the stream was shorter, are left
// out.
func yieldPage(page Page, from uint64, live bool, yield func(Event, error) bool) bool {
	for e, err := range page.Events() {
		if err == nil && e.Version() < from {
			continue
		}
		e.Live = live
		if !yield(e, err) || err != nil {
			return false
		}
	}
	return true
}
