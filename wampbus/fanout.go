package wampbus

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// publication is what the bus publishes: an event, or a notice with keyword
// arguments only.
type publication struct {
	topic              string
	record             []byte // nil for a notice
	within             int    // the size of the memory that the record is a part of, in bytes
	position, previous uint64
	notice             wamp.Dict
}

// publish is the message that makes a router that is not ours publish it.
func (p *publication) publish(request wamp.ID) *wamp.Publish {
	m := &wamp.Publish{Request: request, Options: wamp.Dict{}, Topic: wamp.URI(p.topic), ArgumentsKw: p.notice}
	if p.record != nil {
		m.Arguments = wamp.List{p.record}
		m.ArgumentsKw = wamp.Dict{"position": p.position, "previous": p.previous}
	}
	return m
}

// fanout puts what is published into the outboxes of those who subscribed. The
// router keeps the subscriptions and answers for them; the events go past it,
// because it would drop them where a channel is full, and encode them for each
// subscriber. Subscribers of one subscription get the same bytes, which are
// encoded once for each format.
type fanout struct {
	mu sync.Mutex
	// exact are subscriptions by topic and id. A topic has two for the moment
	// when the router has ended one and somebody who left is still in it.
	exact    map[string]map[wamp.ID]*subscription
	patterns map[wamp.ID]*subscription
	scratch  [3][]byte // by format, for reuse
}

// interest is what a client subscribes to.
type interest struct{ topic, match string }

func (i interest) pattern() bool {
	return i.match == wamp.MatchPrefix || i.match == wamp.MatchWildcard
}

type subscription struct {
	interest
	id          wamp.ID // the router's
	subscribers map[*session]struct{}
}

func (s *subscription) matches(topic string) bool {
	if s.match == wamp.MatchPrefix {
		return wamp.URI(topic).PrefixMatch(wamp.URI(s.topic))
	}
	return wamp.URI(topic).WildcardMatch(wamp.URI(s.topic))
}

func newFanout() *fanout {
	return &fanout{exact: make(map[string]map[wamp.ID]*subscription), patterns: make(map[wamp.ID]*subscription)}
}

// add enters a subscriber under the id that the router gave the subscription,
// and says so: every event published after that word is behind it in the queue.
func (f *fanout) add(s *session, id wamp.ID, to interest, say func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	say()
	of := f.patterns
	if !to.pattern() {
		if of = f.exact[to.topic]; of == nil {
			of = make(map[wamp.ID]*subscription)
			f.exact[to.topic] = of
		}
	}
	if of[id] == nil {
		of[id] = &subscription{interest: to, id: id, subscribers: make(map[*session]struct{})}
	}
	of[id].subscribers[s] = struct{}{}
}

// remove takes a subscriber out.
func (f *fanout) remove(s *session, id wamp.ID, from interest) {
	f.mu.Lock()
	defer f.mu.Unlock()
	of := f.patterns
	if !from.pattern() {
		of = f.exact[from.topic]
	}
	sub := of[id]
	if sub == nil {
		return
	}
	if delete(sub.subscribers, s); len(sub.subscribers) > 0 {
		return
	}
	if delete(of, id); len(of) == 0 && !from.pattern() {
		delete(f.exact, from.topic)
	}
}

// deliver queues a publication for every subscriber. It enters those whose queue
// is more than half full into crowded, unless that is nil.
func (f *fanout) deliver(p *publication, crowded map[*session]struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := wamp.ID(1 + rand.Uint64N(uint64(wamp.MaxID)))
	for _, sub := range f.exact[p.topic] {
		f.deliverTo(sub, p, id, crowded)
	}
	for _, sub := range f.patterns {
		if sub.matches(p.topic) {
			f.deliverTo(sub, p, id, crowded)
		}
	}
}

func (f *fanout) deliverTo(sub *subscription, p *publication, id wamp.ID, crowded map[*session]struct{}) {
	var encoded [3]codec.Parts
	for s := range sub.subscribers {
		parts := &encoded[s.format]
		if parts.Len() == 0 {
			var err error
			if *parts, err = f.encode(s.format, sub, p, id); err != nil {
				s.end(reasonInternal, closeInternal, err.Error())
				continue
			}
		}
		if s.put(frameMessage, *parts, 0) && crowded != nil {
			crowded[s] = struct{}{}
		}
	}
}

// encode returns the EVENT. What is not its body is valid until the next one.
func (f *fanout) encode(as codec.Format, sub *subscription, p *publication, id wamp.ID) (parts codec.Parts, err error) {
	e := codec.Event{Subscription: sub.id, Publication: id, Record: p.record, Position: p.position, Previous: p.previous}
	if sub.pattern() {
		e.Topic = p.topic
	}
	if as != codec.JSON && len(p.record) > codec.Refer && len(p.record) < p.within/4 {
		// The queues would hold on to all of the page for the sake of a part.
		p.record, p.within = append([]byte(nil), p.record...), 0
		e.Record = p.record
	}
	if p.record != nil {
		parts = as.Event(f.scratch[as][:0], &e)
	} else {
		details := wamp.Dict{}
		if e.Topic != "" {
			details["topic"] = e.Topic
		}
		parts, err = as.Parts(f.scratch[as][:0], &wamp.Event{Subscription: e.Subscription, Publication: id, Details: details, ArgumentsKw: p.notice})
	}
	f.scratch[as] = parts.Head[:0]
	return parts, err
}

// graceTime is how long the publisher waits for the sessions whose queues are
// more than half full to bring them down to a quarter.
const graceTime = time.Second

// pace waits for a session that is crowded, so that a burst larger than a queue
// reaches those who read as fast as they can. One that does not get there in
// time is not waited for again until it has emptied its queue: either it
// does, or it is ended when the queue is full. Only the publisher calls it.
func (s *session) pace(ctx context.Context, until time.Time) {
	emptied := s.box.timesEmptied()
	if s.lagged && s.laggedAt == emptied {
		return
	}
	s.lagged, s.laggedAt = !s.box.ease(ctx, s.ctx, time.Until(until)), emptied
}
