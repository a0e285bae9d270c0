package client

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/verbatim-es/verbatim/event"
)

// longPoll is how long a call waits at the server that has nothing to say yet.
const longPoll = 50 * time.Second

// Subscribe yields the selected events from history and then live, as
// [event.Subscribe] does: in order, without gap or duplicate, over any number
// of reconnects, until ctx ends, the client is over, or the loop breaks. A store
// that was replaced by another ends it with an [*event.StoreChangedError].
//
// The whole log comes live by its topic, as it is published; every other
// selection by calls that wait at the server, which filters. A loop that does
// not keep up goes back to reading pages.
func (c *Client) Subscribe(ctx context.Context, s event.Selection, opts event.SubscribeOptions) iter.Seq2[event.Event, error] {
	if !s.Unfiltered() || s.Limit != 0 || s.Backward || !s.Since.IsZero() || !s.AfterID.IsZero() {
		return event.Subscribe(ctx, c, s, opts)
	}
	return func(yield func(event.Event, error) bool) {
		f := &follower{client: c, ctx: ctx, opts: opts, yield: yield, last: s.After}
		defer f.untap()
		if err := f.run(); !errors.Is(err, errBroken) {
			yield(event.Event{}, err)
		}
	}
}

// errBroken ends a follower whose loop broke.
var errBroken = errors.New("the loop broke")

// follower yields the whole log: pages up to the head, then what its topic
// brings as long as that is the next position, and pages again when it is not.
type follower struct {
	client *Client
	ctx    context.Context
	opts   event.SubscribeOptions
	yield  func(event.Event, error) bool

	last  uint64 // the position yielded last
	store event.ID
	live  bool
	tap   *tap // nil while there is none
	calls bool // the topic is not to be had: calls wait instead
}

// run follows until there is a reason not to: it never returns nil.
func (f *follower) run() error {
	for {
		if err := f.pages(); err != nil {
			return err
		}
		if f.tap == nil && !f.calls {
			if err := f.open(); err != nil {
				return err
			}
			continue // what was published before the topic was there
		}
		if f.tap != nil {
			if err := f.drain(); err != nil {
				return err
			}
		}
	}
}

// pages reads up to the head, and waits there where nothing else does.
func (f *follower) pages() error {
	for {
		o := event.PageOptions{Store: f.store}
		if f.live && f.calls {
			o.Wait = longPoll
		}
		page, err := f.client.ReadPage(f.ctx, event.Selection{After: f.last}, o)
		if err != nil {
			return err
		}
		for e, err := range page.Events() {
			if err != nil {
				return err
			}
			e.Live = f.live
			if !f.yield(e, nil) {
				return errBroken
			}
		}
		f.last, f.store = page.Last, page.Store
		if page.More {
			continue
		}
		if !f.live {
			f.live = true
			if f.opts.CaughtUp != nil {
				f.opts.CaughtUp(page.Head)
			}
		}
		return nil
	}
}

// open subscribes to the topics. A server that does not allow it leaves the
// follower to calls.
func (f *follower) open() error {
	t, err := f.client.openTap(f.ctx)
	if f.tap = t; err == nil {
		return nil
	}
	if f.ctx.Err() != nil {
		return f.ctx.Err()
	}
	f.calls = true
	return f.client.Err()
}

func (f *follower) untap() {
	if f.tap != nil {
		f.tap.close()
		f.tap = nil
	}
}

// drain yields what the topics bring, until pages must be read again.
func (f *follower) drain() error {
	for {
		select {
		case l := <-f.tap.lives:
			switch {
			case l.resumed, l.Position > f.last && (l.Event.IsZero() || l.Position > f.last+1):
				return nil // something is missing
			case l.Position <= f.last: // a page had it
			default:
				if !f.yield(l.Event, nil) {
					return errBroken
				}
				f.last = l.Position
			}
		case <-f.tap.sub.Done():
			f.untap()
			if err := f.ctx.Err(); err != nil {
				return err
			}
			return f.client.Err()
		case <-f.ctx.Done():
			return f.ctx.Err()
		}
	}
}

// tap is what the bus publishes about the log, in order: its events, and how
// far it is. It ends when its reader does not keep up.
type tap struct {
	sub    *Subscription
	cancel context.CancelFunc
	lives  chan Live
}

func (c *Client) openTap(ctx context.Context) (*tap, error) {
	ctx, cancel := context.WithCancel(ctx)
	t := &tap{cancel: cancel, lives: make(chan Live, 64)}
	var err error
	t.sub, err = c.subscribeTopic(ctx, "es.", Prefix, func(l Live) {
		select {
		case t.lives <- l:
		case <-ctx.Done():
		}
	})
	if err != nil {
		cancel()
		return nil, err
	}
	return t, nil
}

// close ends the subscription; nothing comes afterwards.
func (t *tap) close() {
	t.cancel()
	<-t.sub.Done()
}
