package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/wampbus/internal/dial"
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
	// Event is the event, verified; zero for es.head and es.schema.
	Event event.Event
	// Position is that of the event, or of the head. Previous is the position
	// of the event before it on its topic, 0 if none: when the subscriber has
	// another, it missed something and reads it with ReadPage.
	Position, Previous uint64

	// resumed marks the place where messages may be missing, since the session
	// was lost: it is no message.
	resumed bool
}

// Subscription is a subscription to a topic. It goes on in the next session
// when one is lost.
type Subscription struct {
	client *Client
	topic  string
	match  Match
	fn     func(Live)
	done   chan struct{}

	mu      sync.Mutex
	session *session // whose messages count
	wake    chan struct{}
	waiting []Live
	size    int
	err     error
	ended   bool
}

// SubscribeTopic calls fn for every message of a topic, one after the other on a
// goroutine of its own, until ctx ends, the client is over, or fn falls behind.
// fn may use the client. It returns when the server has accepted.
//
// It is a hint, not the log: what is published while the client has no session
// does not come, which Live.Previous of the next message tells.
// [Client.Subscribe] misses nothing.
func (c *Client) SubscribeTopic(ctx context.Context, topic string, match Match, fn func(Live)) (*Subscription, error) {
	return c.subscribeTopic(ctx, topic, match, func(l Live) {
		if !l.resumed {
			fn(l)
		}
	})
}

// subscribeTopic has fn called for the marks, too.
func (c *Client) subscribeTopic(ctx context.Context, topic string, match Match, fn func(Live)) (*Subscription, error) {
	s := &Subscription{client: c, topic: topic, match: match, fn: fn, done: make(chan struct{}), wake: make(chan struct{}, 1)}
	on, id, err := s.establish(ctx)
	if err == nil && !c.spawn(func() { s.run(ctx, on, id) }) {
		err = c.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("subscribe to %q: %w", topic, err)
	}
	return s, nil
}

// spawn runs a part of the client that Close waits for, unless the client is
// over.
func (c *Client) spawn(part func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return false
	}
	c.parts.Go(part)
	return true
}

// establish subscribes in the client's session, or in the next.
func (s *Subscription) establish(ctx context.Context) (on *session, id wamp.ID, err error) {
	for {
		if on, err = s.client.acquire(ctx, on); err != nil {
			return nil, 0, err
		}
		if id, err = on.subscribe(ctx, s); err == nil || !errors.As(err, new(*lostError)) {
			return on, id, err
		}
	}
}

// subscribe subscribes and returns the router's id for the topic.
func (s *session) subscribe(ctx context.Context, sub *Subscription) (wamp.ID, error) {
	s.topics.Lock()
	defer s.topics.Unlock()
	id, wait, err := s.expect()
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	s.subs[subscribing(id)] = []*Subscription{sub}
	s.mu.Unlock()
	options := wamp.Dict{}
	if sub.match != "" {
		options[wamp.OptMatch] = string(sub.match)
	}
	subscription, err := s.subscribed(ctx, id, wait, &wamp.Subscribe{Request: id, Options: options, Topic: wamp.URI(sub.topic)})
	if err != nil {
		s.mu.Lock()
		delete(s.subs, subscribing(id))
		s.mu.Unlock()
	}
	return subscription, err
}

// subscribing is where a subscription waits for its id: beyond those of WAMP.
func subscribing(request wamp.ID) wamp.ID { return request | 1<<63 }

// attach gives the subscription that was asked for its id. The caller holds mu.
func (s *session) attach(request, subscription wamp.ID) {
	for _, sub := range s.subs[subscribing(request)] {
		sub.begin(s)
		s.subs[subscription] = append(s.subs[subscription], sub)
	}
	delete(s.subs, subscribing(request))
}

// begin has the messages of a session count from now on, and no other's.
func (s *Subscription) begin(on *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.session != nil {
		s.waiting = append(s.waiting, Live{resumed: true})
		s.signal()
	}
	s.session = on
}

func (s *session) subscribed(ctx context.Context, id wamp.ID, wait chan wamp.Message, m wamp.Message) (wamp.ID, error) {
	if err := s.send(ctx, m); err != nil {
		s.forget(id)
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
		s.forget(id)
		return 0, ctx.Err()
	case <-s.done:
		return 0, &lostError{cause: s.ended()}
	}
}

// deliver hands an event to its subscriptions. It does not wait.
func (s *session) deliver(m *wamp.Event) {
	s.mu.Lock()
	subs := slices.Clone(s.subs[m.Subscription])
	s.mu.Unlock()
	for _, sub := range subs {
		live, size, err := sub.live(m)
		if err != nil {
			sub.end(err)
			continue
		}
		sub.put(s, live, size)
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
	if live.Event, err = event.Decode(record); err != nil {
		return live, 0, fmt.Errorf("an event on %q: %w", live.Topic, err)
	}
	live.Event.Live = true
	if live.Event.Position() != live.Position {
		return live, 0, fmt.Errorf("an event on %q says that it is at position %d, its record that it is at %d", live.Topic, live.Position, live.Event.Position())
	}
	return live, 64 + len(record), s.client.checkData(live.Event)
}

func (s *Subscription) put(from *session, live Live, size int) {
	s.mu.Lock()
	if s.session != from {
		s.mu.Unlock()
		return
	}
	over := s.size > 0 && s.size+size > s.client.options.EventQueue
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

// run calls the function, in one session after the other, and unsubscribes in
// the end.
func (s *Subscription) run(ctx context.Context, on *session, id wamp.ID) {
	defer close(s.done)
	for {
		s.follow(ctx, on)
		if s.Err() != nil {
			on.unsubscribe(s, id)
			s.flush(ctx)
			return
		}
		var err error
		if on, id, err = s.establish(ctx); err != nil {
			s.end(err)
			s.flush(ctx)
			return
		}
	}
}

// follow calls the function until the session is over, or the subscription.
func (s *Subscription) follow(ctx context.Context, on *session) {
	for {
		if s.flush(ctx) {
			return
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			s.end(ctx.Err())
		case <-on.done:
			if s.client.life.Err() != nil {
				s.end(ErrClosed)
			}
			s.flush(ctx)
			return
		}
	}
}

// flush calls the function for what waits, and reports whether the subscription
// is over.
func (s *Subscription) flush(ctx context.Context) (over bool) {
	for {
		s.mu.Lock()
		batch := s.waiting
		over = s.ended
		s.waiting, s.size = nil, 0
		s.mu.Unlock()
		if len(batch) == 0 {
			return over
		}
		for _, live := range batch {
			if ctx.Err() != nil {
				break
			}
			s.fn(live)
		}
	}
}

// unsubscribe forgets the subscription, if there is one, and unsubscribes when
// no other is there of its topic.
func (s *session) unsubscribe(sub *Subscription, id wamp.ID) {
	s.topics.Lock()
	defer s.topics.Unlock()
	s.mu.Lock()
	others := slices.DeleteFunc(slices.Clone(s.subs[id]), func(other *Subscription) bool { return other == sub })
	s.subs[id] = others
	if len(others) == 0 {
		delete(s.subs, id)
	}
	over := s.err != nil
	s.request++
	request := s.request
	s.mu.Unlock()
	if len(others) == 0 && !over {
		ctx, cancel := context.WithTimeout(context.Background(), dial.WriteTimeout)
		defer cancel()
		_ = s.send(ctx, &wamp.Unsubscribe{Request: request, Subscription: id})
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
