package wampbus

import (
	"context"
	"errors"
	"time"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/schema"
)

const (
	// headBusy is the least time between two es.head, headIdle the most.
	headBusy = 100 * time.Millisecond
	headIdle = 10 * time.Second
	// paceEvery is after how many events the publisher looks whether sessions
	// keep up.
	paceEvery = 64
	// retryEvery is how long the publisher waits when the log can't be read.
	retryEvery = time.Second
)

// publisher follows the log and publishes what was committed, in position
// order. It is one goroutine, and the only source of es.event and es.head.
type publisher struct {
	bus  *Bus
	peer *localPeer

	at       event.Head        // as of the last event published
	previous map[string]uint64 // by topic
	request  wamp.ID
	headAt   time.Time // when es.head was published last
	headDue  bool      // something happened since
}

// newPublisher starts behind the log's head: what is there is history.
func newPublisher(ctx context.Context, b *Bus, peer *localPeer) (*publisher, error) {
	head, err := b.options.Log.Head(ctx)
	if err != nil {
		return nil, err
	}
	return &publisher{bus: b, peer: peer, at: head, previous: make(map[string]uint64), headAt: time.Now()}, nil
}

// run publishes until ctx ends, and then what was committed by then.
func (p *publisher) run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := p.step(ctx, p.untilHead()); err != nil && ctx.Err() == nil {
			p.bus.log.Error("live events are delayed: the log can't be read", "error", err)
			timer := time.NewTimer(retryEvery)
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
			timer.Stop()
		}
		p.publishHead(false)
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.bus.limits.Shutdown)
	defer cancel()
	for before := uint64(0); ; before = p.at.Position {
		if err := p.step(last, 0); err != nil || p.at.Position == before {
			break
		}
	}
	p.publishHead(true)
	p.barrier()
}

// barrier returns when the router has handed out everything published before:
// its broker works in order, and answers this itself.
func (p *publisher) barrier() {
	p.request++
	if _, err := p.peer.request(&wamp.Unsubscribe{Request: p.request, Subscription: wamp.MaxID}); err != nil {
		p.bus.log.Debug("the router did not confirm the last events", "error", err)
	}
}

// step publishes one page.
func (p *publisher) step(ctx context.Context, wait time.Duration) error {
	page, err := p.bus.options.Log.ReadPage(ctx, event.Selection{After: p.at.Position}, event.PageOptions{Wait: wait, Store: p.at.Store})
	var changed *event.StoreChangedError
	if errors.As(err, &changed) {
		return p.restart(ctx)
	}
	if err != nil {
		return err
	}
	n := 0
	for e, err := range page.Events() {
		if err != nil {
			return err
		}
		if err := p.publish(ctx, e); err != nil {
			return err
		}
		if n++; n%paceEvery == 0 {
			p.bus.pace(ctx)
		}
	}
	p.bus.pace(ctx)
	return nil
}

// restart follows a log that was replaced, from its head.
func (p *publisher) restart(ctx context.Context) error {
	head, err := p.bus.options.Log.Head(ctx)
	if err == nil {
		p.at, p.headDue = head, true
		clear(p.previous)
	}
	return err
}

func (p *publisher) publish(ctx context.Context, e event.Event) error {
	topic := p.topic(e.Type())
	previous, known := p.previous[topic]
	if !known {
		var err error
		if previous, err = p.before(ctx, e); err != nil {
			return err
		}
	}
	p.send(topic, wamp.List{e.Record()}, wamp.Dict{"position": e.Position(), "previous": previous})
	p.previous[topic] = e.Position()
	p.at.Position, p.at.ID = e.Position(), e.ID()
	p.headDue = true
	p.bus.stats.published.Add(1)
	p.bus.stats.publishedPosition.Store(e.Position())
	return nil
}

func (p *publisher) topic(typ string) string {
	if table, _, ok := p.bus.options.Schemas.Lookup(typ); ok {
		return "es.event." + table.Wire
	}
	return "es.event." + schema.Snake(typ)
}

// before returns the position of the event of that type before e, 0 if none.
func (p *publisher) before(ctx context.Context, e event.Event) (uint64, error) {
	s := event.Selection{After: e.Position(), Types: []string{e.Type()}, Backward: true, Limit: 1}
	if e.Position() == 1 {
		return 0, nil // after 0 would be from the head
	}
	for {
		page, err := p.bus.options.Log.ReadPage(ctx, s, event.PageOptions{Store: p.at.Store})
		if err != nil {
			return 0, err
		}
		for found, err := range page.Events() {
			if err != nil {
				return 0, err
			}
			return found.Position(), nil
		}
		if !page.More || page.Last <= 1 {
			return 0, nil
		}
		s.After = page.Last
	}
}

// untilHead is how long to wait for events before es.head is due.
func (p *publisher) untilHead() time.Duration {
	interval := headIdle
	if p.headDue {
		interval = headBusy
	}
	return max(time.Until(p.headAt.Add(interval)), time.Millisecond)
}

func (p *publisher) publishHead(now bool) {
	since := time.Since(p.headAt)
	if p.headDue && (now || since >= headBusy) || since >= headIdle {
		p.send("es.head", nil, wamp.Dict{"store": p.at.Store.String(), "position": p.at.Position, "id": p.at.ID.String()})
		p.headAt, p.headDue = time.Now(), false
	}
}

func (p *publisher) send(topic string, args wamp.List, kwargs wamp.Dict) {
	p.request++
	p.peer.send(&wamp.Publish{Request: p.request, Options: wamp.Dict{}, Topic: wamp.URI(topic), Arguments: args, ArgumentsKw: kwargs})
}
