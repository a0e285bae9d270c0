package wampbus_test

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/wampbus"
	"github.com/verbatim-es/verbatim/wampbus/client"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// inbox collects what a subscription delivers.
type inbox struct {
	mu   sync.Mutex
	live []client.Live
}

func (b *inbox) put(l client.Live) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.live = append(b.live, l)
}

func (b *inbox) all() []client.Live {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.live)
}

func (b *inbox) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.live)
}

func subscribe(t *testing.T, c *client.Client, topic string, match client.Match) *inbox {
	t.Helper()
	b := new(inbox)
	if _, err := c.SubscribeTopic(t.Context(), topic, match, b.put); err != nil {
		t.Fatal(err)
	}
	return b
}

// What is published is the record as stored, on the topic of its type, with the
// position of the one before it; subscriptions may be exact, by prefix and by
// wildcard, and see the same.
func TestTopics(t *testing.T) {
	t.Parallel()
	for _, f := range codec.Formats {
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel()
			store, err := memstore.New(account.Schema)
			if err != nil {
				t.Fatal(err)
			}
			history := (&house{store: store}).deposit(t, "1", 4) // before there is a bus
			h := openOn(t, store, store, nil)
			c := h.dial(t, client.Options{Serialization: f.String()})
			exact := subscribe(t, c, account.CreditedTopic, client.Exact)
			again := subscribe(t, c, account.CreditedTopic, client.Exact)
			prefix := subscribe(t, c, "es.event.bank.account.", client.Prefix)
			wildcard := subscribe(t, c, "es.event..account.", client.Wildcard)
			other := subscribe(t, c, account.ClosedTopic, client.Exact)
			h.deposit(t, "2", 6)
			events := h.deposit(t, "1", 4)[len(history):]
			credits := only(events, func(e event.Event) bool { return e.Type() == account.CreditedType })
			for name, got := range map[string]*inbox{"prefix": prefix, "wildcard": wildcard} {
				eventually(t, name, func() bool { return got.len() == len(events) })
				sameLive(t, name, got.all(), events, history)
			}
			for name, got := range map[string]*inbox{"exact": exact, "exact again": again} {
				eventually(t, name, func() bool { return got.len() == len(credits) })
				sameLive(t, name, got.all(), credits, history)
			}
			if n := other.len(); n != 0 {
				t.Errorf("%d events on a topic that had none", n)
			}
			page, err := c.ReadPage(deadline(t), event.Selection{After: history[len(history)-1].Position()}, event.PageOptions{})
			if err != nil {
				t.Fatal(err)
			}
			var live []byte
			for _, l := range prefix.all() {
				live = append(live, l.Event.Record()...)
			}
			if !bytes.Equal(live, page.Records) {
				t.Error("live events and a page of the same are not the same bytes")
			}
		})
	}
}

// sameLive compares what was delivered with the events of the log: bytes,
// topics, positions, and the chain of previous ones.
func sameLive(t *testing.T, what string, got []client.Live, want, history []event.Event) {
	t.Helper()
	previous := map[string]uint64{}
	for _, e := range history {
		previous[e.Type()] = e.Position()
	}
	for i, e := range want {
		l := got[i]
		if !bytes.Equal(l.Event.Record(), e.Record()) || l.Position != e.Position() || !l.Event.Live {
			t.Errorf("%s: delivery %d is %v at %d, want %v", what, i, l.Event, l.Position, e)
		}
		if topic := map[string]string{account.OpenedType: account.OpenedTopic, account.CreditedType: account.CreditedTopic}[e.Type()]; l.Topic != topic {
			t.Errorf("%s: delivery %d has topic %q, want %q", what, i, l.Topic, topic)
		}
		if l.Previous != previous[e.Type()] {
			t.Errorf("%s: delivery %d follows %d, want %d", what, i, l.Previous, previous[e.Type()])
		}
		previous[e.Type()] = e.Position()
	}
}

// es.head follows activity within a tenth of a second.
func TestHeadTopic(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	w := h.join(t, codec.JSON)
	w.send(&wamp.Subscribe{Request: 1, Options: wamp.Dict{}, Topic: "es.head"})
	w.receive()
	events := h.deposit(t, "1", 2)
	last := events[1]
	for {
		e, ok := w.receive().(*wamp.Event)
		if !ok {
			t.Fatal("no event")
		}
		if len(e.Arguments) != 0 {
			t.Errorf("es.head holds %v", e.Arguments)
		}
		if number(t, e.ArgumentsKw["position"]) == last.Position() {
			sameFacts(t, "es.head", e.ArgumentsKw, wamp.Dict{"store": h.store.StoreID().String(), "position": int64(2), "id": last.ID().String()})
			return
		}
	}
}

// A burst larger than the router's channels reaches a subscriber that keeps
// reading, whole and in order: nothing is dropped in between.
func TestBurst(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	c := h.dial(t, client.Options{})
	slow := h.dial(t, client.Options{Serialization: "json"})
	all := subscribe(t, c, "es.event.", client.Prefix)
	others := subscribe(t, slow, account.CreditedTopic, client.Exact)
	const n = 6000
	h.deposit(t, "1", 1)
	var credits []event.Proposed
	for i := range 500 {
		credits = append(credits, account.NewCredited(account.CreditedFields{Amount: int64(i)}))
	}
	for range n / len(credits) {
		if _, err := h.store.Append(deadline(t), event.Append{Stream: "account-1", Events: credits}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all were delivered", func() bool { return all.len() == n+1 && others.len() == n })
	for i, l := range all.all() {
		if l.Position != uint64(i+1) {
			t.Fatalf("delivery %d is position %d", i, l.Position)
		}
	}
	if s := h.bus.Stats(); s.Ended != 0 || s.PublishedPosition != n+1 || s.QueueHigh == 0 || s.BytesOut == 0 {
		t.Errorf("stats %+v", s)
	}
}

// A subscriber that never reads is ended when its queue is full, and told why;
// others get everything meanwhile, and calls are served.
func TestSlowSubscriber(t *testing.T) {
	t.Parallel()
	h := open(t, func(o *wampbus.Options) { o.Limits.Queue = 64 << 10 })
	stuck := h.join(t, codec.MessagePack)
	stuck.send(&wamp.Subscribe{Request: 1, Options: wamp.Dict{"match": "prefix"}, Topic: "es.event."})
	stuck.receive()
	// It reads no more from here on.
	c := h.dial(t, client.Options{})
	healthy := subscribe(t, c, "es.event.", client.Prefix)
	h.deposit(t, "1", 1)
	memo := account.NewCredited(account.CreditedFields{Amount: 1, Memo: string(bytes.Repeat([]byte("m"), 16<<10))})
	n := 1
	for ; h.bus.Stats().Ended == 0; n++ {
		if _, err := h.store.Append(deadline(t), event.Append{Stream: "account-1", Events: []event.Proposed{memo}}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the healthy one has it", func() bool { return healthy.len() > n })
		if n > 10000 {
			t.Fatal("a client that does not read was sent 160 MB")
		}
	}
	h.alive(t)
	if reason := stuck.ended(); reason != "es.close.too_slow" && reason != "" { // "" when it came too late to be written
		t.Errorf("ended with %q", reason)
	}
	eventually(t, "its session is gone", func() bool { return h.bus.Stats().Sessions == 1 })
}

// A client that reads slowly is served as fast as it reads, however much it
// asks for at once: its own calls wait, its session does not end.
func TestSlowCaller(t *testing.T) {
	t.Parallel()
	h := open(t, func(o *wampbus.Options) { o.Limits.Queue = 256 << 10 })
	h.deposit(t, "1", 1)
	memo := account.NewCredited(account.CreditedFields{Amount: 1, Memo: string(bytes.Repeat([]byte("m"), 64<<10))})
	for range 40 {
		if _, err := h.store.Append(deadline(t), event.Append{Stream: "account-1", Events: []event.Proposed{memo}}); err != nil {
			t.Fatal(err)
		}
	}
	w := h.join(t, codec.MessagePack)
	const calls = 50
	for i := range calls {
		w.send(&wamp.Call{Request: wamp.ID(i + 1), Options: wamp.Dict{}, Procedure: "es.read", ArgumentsKw: wamp.Dict{"max_bytes": 200 << 10}})
	}
	for range calls {
		m := w.receive()
		if r, ok := m.(*wamp.Result); !ok || number(t, r.ArgumentsKw["count"]) == 0 {
			t.Fatalf("got %s", describe(m))
		}
	}
	if s := h.bus.Stats(); s.Ended != 0 || s.QueueHigh > 600<<10 {
		t.Errorf("ended %d, at most %d bytes waited", s.Ended, s.QueueHigh)
	}
}

// A caller that asks for much and reads nothing holds up no other: the router
// never waits for it.
func TestSlowCallerAlone(t *testing.T) {
	t.Parallel()
	h := open(t, func(o *wampbus.Options) {
		o.Limits.Queue = 256 << 10
		o.Limits.Write, o.Limits.KeepAlive = patience, patience // those who are stuck stay
	})
	h.deposit(t, "1", 1)
	memo := account.NewCredited(account.CreditedFields{Amount: 1, Memo: string(bytes.Repeat([]byte("m"), 100<<10))})
	for range 10 {
		if _, err := h.store.Append(deadline(t), event.Append{Stream: "account-1", Events: []event.Proposed{memo}}); err != nil {
			t.Fatal(err)
		}
	}
	var stuck []*wire
	for range 4 {
		w := h.join(t, codec.MessagePack)
		for i := range 60 {
			w.send(&wamp.Call{Request: wamp.ID(i + 1), Options: wamp.Dict{}, Procedure: "es.read", ArgumentsKw: wamp.Dict{"max_bytes": 1 << 20}})
		}
		stuck = append(stuck, w)
	}
	eventually(t, "their calls are stuck", func() bool { return h.bus.Stats().CallsInFlight >= 4*30 })
	w := h.join(t, codec.MessagePack)
	began := time.Now()
	for range 20 {
		w.result("es.read", nil, wamp.Dict{"after": 5})
	}
	if took := time.Since(began); took > 20*time.Second { // the router retries for a minute
		t.Errorf("20 calls of another session took %v", took)
	}
	for _, w := range stuck { // none was ended, and none has lost a call
		for range 60 {
			if m, ok := w.receive().(*wamp.Result); !ok {
				t.Fatalf("got %#v", m)
			}
		}
	}
}

// Floods of requests are answered, within limits, and end no other session.
func TestFloods(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	bystander := h.join(t, codec.JSON)
	flood := h.join(t, codec.MessagePack)
	const n = 2000
	go func() {
		for i := range n {
			flood.send(&wamp.Subscribe{Request: wamp.ID(i + 1), Options: wamp.Dict{}, Topic: wamp.URI("es.event.x" + strconv.Itoa(i))})
		}
		for i := range n {
			flood.send(&wamp.Call{Request: wamp.ID(n + i + 1), Options: wamp.Dict{}, Procedure: "es.head"})
		}
	}()
	subscribed, answered := 0, 0
	for subscribed+answered < 2*n {
		switch m := flood.receive().(type) {
		case *wamp.Subscribed:
			subscribed++
		case *wamp.Result:
			answered++
		case *wamp.Error:
			if m.Error != "es.error.too_large" {
				t.Fatalf("got %s", describe(m))
			}
			if m.Type == wamp.SUBSCRIBE {
				subscribed++
			} else {
				answered++
			}
		default:
			t.Fatalf("got %#v", m)
		}
	}
	bystander.result("es.head", nil, nil)
}

// A subscription whose function does not keep up ends, and says so.
func TestSlowFunction(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	c := h.dial(t, client.Options{EventQueue: 1})
	release := make(chan struct{})
	defer close(release)
	s, err := c.SubscribeTopic(t.Context(), "es.event.", client.Prefix, func(client.Live) { <-release })
	if err != nil {
		t.Fatal(err)
	}
	h.deposit(t, "1", 10)
	eventually(t, "it ends", func() bool { return s.Err() != nil })
	if s.Err() != client.ErrFellBehind {
		t.Errorf("it ended with %v", s.Err())
	}
}

// Ending a subscription leaves others on the same topic alone.
func TestUnsubscribe(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	c := h.dial(t, client.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	first, err := c.SubscribeTopic(ctx, "es.event.", client.Prefix, func(client.Live) {})
	if err != nil {
		t.Fatal(err)
	}
	second := subscribe(t, c, "es.event.", client.Prefix)
	cancel()
	<-first.Done()
	third := subscribe(t, c, "es.event.", client.Prefix)
	h.deposit(t, "1", 3)
	for _, b := range []*inbox{second, third} {
		eventually(t, "the others have it", func() bool { return b.len() == 3 })
	}
}

// event.Subscribe over the bus goes from history to live.
func TestSubscribeLog(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	h.deposit(t, "1", 5)
	c := h.dial(t, client.Options{Serialization: "cbor"})
	next := uint64(1)
	for e, err := range event.Subscribe(deadline(t), c, event.Selection{}, event.SubscribeOptions{CaughtUp: func(position uint64) {
		if position != 5 {
			t.Errorf("caught up at %d, want 5", position)
		}
		h.deposit(t, "2", 5)
	}}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Position() != next || e.Live != (next > 5) {
			t.Errorf("got %v (live %v), want position %d", e, e.Live, next)
		}
		if next++; next > 10 {
			return
		}
	}
}
