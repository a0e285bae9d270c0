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
	// retryEvery is how long the publisher waits when the log can't be read.
	retryEvery = time.Second
)

// publisher follows the log and publishes what was committed, in position
// order. It is one goroutine, and the only source of es.event and es.head.
type publisher struct {
	bus *Bus
	// deliver hands a publication on; pace is called after each page.
	deliver func(*publication)
	pace    func(context.Context)

	at      event.Head            // as of the last event published
	topics  map[string]*topicHead // by type
	headAt  time.Time             // when es.head was published last
	headDue bool                  // something happened since
}

// topicHead is where a type's events are published, and the position of the
// last one.
type topicHead struct {
	topic string
	last  uint64
}

// newPublisher starts behind the log's head: what is there is history.
func newPublisher(ctx context.Context, b *Bus, deliver func(*publication), pace func(context.Context)) (*publisher, error) {
	head, err := b.options.Log.Head(ctx)
	if err != nil {
		return nil, err
	}
	return &publisher{bus: b, deliver: deliver, pace: pace, at: head, topics: make(map[string]*topicHead), headAt: time.Now()}, nil
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
	for e, err := range page.Events() {
		if err != nil {
			return err
		}
		if err := p.publish(ctx, e, len(page.Records)); err != nil {
			return err
		}
	}
	p.pace(ctx)
	return nil
}

// restart follows a log that was replaced, from its head.
func (p *publisher) restart(ctx context.Context) error {
	head, err := p.bus.options.Log.Head(ctx)
	if err == nil {
		p.at, p.headDue = head, true
		clear(p.topics)
	}
	return err
}

func (p *publisher) publish(ctx context.Context, e event.Event, within int) error {
	to := p.topics[e.Type()]
	if to == nil {
		last, err := p.before(ctx, e)
		if err != nil {
			return err
		}
		to = &topicHead{topic: p.topic(e.Type()), last: last}
		p.topics[e.Type()] = to
	}
	p.deliver(&publication{topic: to.topic, record: e.Record(), within: within, position: e.Position(), previous: to.last})
	to.last = e.Position()
	p.at.Position, p.at.ID = e.Position(), e.ID()
	p.headDue = true
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
		p.deliver(&publication{topic: "es.head", notice: wamp.Dict{"store": p.at.Store.String(), "position": p.at.Position, "id": p.at.ID.String()}})
		p.headAt, p.headDue = time.Now(), false
	}
}
