package client

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event"
)

// Match is how a topic is matched.
type Match string

// The ways to match. A wildcard topic matches any one component where it has
// an empty one: "es.event..opened".
const (
	Exact    Match = "exact"
	Prefix   Match = "prefix"
	Wildcard Match = "wildcard"
)

// Live is one message of a topic.
type Live struct {
	// Topic is "es.event.bank.account.opened", or "es.head".
	Topic string
	// Event is the event, verified; zero for es.head.
	Event event.Event
	// Position is that of the event, or of the head. Previous is the position
	// of the event before it on its topic, 0 if none: when the subscriber has
	// another, it missed something and reads it with ReadPage.
	Position, Previous uint64
}

// Subscription is a subscription to a topic.
type Subscription struct {
	topic string
	fn    func(Live)
	limit int
	done  chan struct{}

	mu      sync.Mutex
	wake    chan struct{}
	waiting []Live
	size    int
	err     error
	ended   bool
}

// SubscribeTopic calls fn for every message of a topic, one after the other on a
// goroutine of its own, until ctx ends, the session does, or fn falls behind. fn
// may use the client. It returns when the server has accepted.
func (c *Client) SubscribeTopic(ctx context.Context, topic string, match Match, fn func(Live)) (*Subscription, error) {
	c.topics.Lock()
	defer c.topics.Unlock()
	s := &Subscription{topic: topic, fn: fn, limit: c.options.EventQueue, done: make(chan struct{}), wake: make(chan struct{}, 1)}
	id, wait, err := c.expect()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.subs[subscribing(id)] = []*Subscription{s}
	c.mu.Unlock()
	options := wamp.Dict{}
	if match != "" {
		options[wamp.OptMatch] = string(match)
	}
	subscription, err := c.subscribed(ctx, id, wait, &wamp.Subscribe{Request: id, Options: options, Topic: wamp.URI(topic)})
	if err != nil {
		c.mu.Lock()
		delete(c.subs, subscribing(id))
		c.mu.Unlock()
		return nil, fmt.Errorf("subscribe to %q: %w", topic, err)
	}
	c.parts.Go(func() { s.run(ctx, c, subscription) })
	return s, nil
}

// subscribing is where a subscription waits for its id: beyond those of WAMP.
func subscribing(request wamp.ID) wamp.ID { return request | 1<<63 }

// attach gives the subscription that was asked for its id. The caller holds mu.
func (c *Client) attach(request, subscription wamp.ID) {
	c.subs[subscription] = append(c.subs[subscription], c.subs[subscribing(request)]...)
	delete(c.subs, subscribing(request))
}

func (c *Client) subscribed(ctx context.Context, id wamp.ID, wait chan wamp.Message, m wamp.Message) (wamp.ID, error) {
	if err := c.send(ctx, m); err != nil {
		c.forget(id)
		return 0, err
	}
	select {
	case m := <-wait:
		switch m := m.(type) {
		case *wamp.Subscribed:
			return m.Subscription, nil
		case *wamp.Error:
			return 0, wireError(m)
		}
		return 0, fmt.Errorf("the server answered SUBSCRIBE with %s", m.MessageType())
	case <-ctx.Done():
		c.forget(id)
		return 0, ctx.Err()
	case <-c.done:
		return 0, c.Err()
	}
}

// deliver hands an event to its subscriptions. It does not wait.
func (c *Client) deliver(m *wamp.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.subs[m.Subscription] {
		live, size, err := s.live(m)
		if err != nil {
			s.end(err)
			continue
		}
		s.put(live, size)
	}
}

func (s *Subscription) live(m *wamp.Event) (live Live, size int, err error) {
	f := facts(m.ArgumentsKw)
	live = Live{Topic: s.topic, Position: f.number("position"), Previous: f.number("previous")}
	if topic, ok := m.Details["topic"].(string); ok {
		live.Topic = topic
	}
	if len(m.Arguments) == 0 {
		return live, 64, nil
	}
	record, ok := m.Arguments[0].([]byte)
	if !ok {
		return live, 0, fmt.Errorf("an event on %q holds no record", live.Topic)
	}
	live.Event, err = event.Decode(record)
	live.Event.Live = true
	return live, 64 + len(record), err
}

func (s *Subscription) put(live Live, size int) {
	s.mu.Lock()
	over := s.size > 0 && s.size+size > s.limit
	if !over && !s.ended {
		s.waiting = append(s.waiting, live)
		s.size += size
	}
	s.mu.Unlock()
	if over {
		s.end(ErrFellBehind)
	}
	s.signal()
}

func (s *Subscription) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// end ends the subscription; the first error counts. What waits is still
// delivered when the server ended it, and dropped when the client did.
func (s *Subscription) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	if s.ended, s.err = true, err; !errors.Is(err, event.ErrUnavailable) {
		s.waiting = nil
	}
	s.signal()
}

// run calls the function, and unsubscribes in the end.
func (s *Subscription) run(ctx context.Context, c *Client, id wamp.ID) {
	defer close(s.done)
	defer c.detach(s, id)
	for {
		s.mu.Lock()
		batch, ended := s.waiting, s.ended
		s.waiting, s.size = nil, 0
		s.mu.Unlock()
		for _, live := range batch {
			if ctx.Err() != nil {
				break
			}
			s.fn(live)
		}
		if ended {
			return
		}
		if len(batch) > 0 && ctx.Err() == nil {
			continue
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			s.end(ctx.Err())
		}
	}
}

// detach forgets the subscription, and unsubscribes when it was the last one.
func (c *Client) detach(s *Subscription, id wamp.ID) {
	c.topics.Lock()
	defer c.topics.Unlock()
	c.mu.Lock()
	var others []*Subscription
	for _, other := range c.subs[id] {
		if other != s {
			others = append(others, other)
		}
	}
	c.subs[id] = others
	if len(others) == 0 {
		delete(c.subs, id)
	}
	over := c.err != nil
	c.request++
	request := c.request
	c.mu.Unlock()
	if len(others) == 0 && !over {
		ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
		defer cancel()
		_ = c.send(ctx, &wamp.Unsubscribe{Request: request, Subscription: id})
	}
}

// Done is closed when the subscription is over and fn will not be called again.
func (s *Subscription) Done() <-chan struct{} { return s.done }

// Err returns why the subscription is over, nil while it lives.
func (s *Subscription) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}
