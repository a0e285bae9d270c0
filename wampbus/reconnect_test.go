package wampbus_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gammazero/nexus/v3/router/auth"
	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/wampbus"
	"github.com/verbatim-es/verbatim/wampbus/client"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// cable is a network between clients and a bus that can be cut, and hold back
// what the bus sends. The bus behind it may be exchanged.
type cable struct {
	listener net.Listener
	parts    sync.WaitGroup

	mu    sync.Mutex
	to    string
	conns map[net.Conn]struct{}
	held  chan struct{} // closed when bytes may pass

	pause time.Duration // between pieces of what the bus sends, of that size; 0 for none
	piece int
}

func lay(t testing.TB, h *house) *cable {
	t.Helper()
	return layTo(t, h.address())
}

func layTo(t testing.TB, address string) *cable {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{listener: listener, conns: make(map[net.Conn]struct{}), held: make(chan struct{})}
	close(c.held)
	c.to = address
	c.parts.Go(c.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		c.release()
		c.cut()
		c.parts.Wait()
	})
	return c
}

func (c *cable) url() string { return "ws://" + c.listener.Addr().String() + "/" }

// lead has new connections end at another house.
func (c *cable) lead(h *house) {
	address := ""
	if h != nil {
		address = h.address()
	}
	c.leadTo(address)
}

func (c *cable) leadTo(address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.to = address
}

func (h *house) address() string { return strings.TrimSuffix(strings.TrimPrefix(h.url, "ws://"), "/") }

// cut breaks all connections.
func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.conns {
		_ = conn.Close()
	}
}

// cutOne breaks one connection, whichever, and reports whether there was one.
func (c *cable) cutOne() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.conns {
		_ = conn.Close()
		return true
	}
	return false
}

// slow has what the bus sends come in pieces. It is set before there are
// connections.
func (c *cable) slow(pause time.Duration, piece int) { c.pause, c.piece = pause, piece }

// hold keeps back what the bus sends, until release.
func (c *cable) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = make(chan struct{})
}

func (c *cable) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.held:
	default:
		close(c.held)
	}
}

func (c *cable) accept() {
	for {
		near, err := c.listener.Accept()
		if err != nil {
			return
		}
		c.mu.Lock()
		to := c.to
		c.mu.Unlock()
		far, err := net.Dial("tcp", to)
		if to == "" || err != nil {
			_ = near.Close()
			continue
		}
		c.mu.Lock()
		c.conns[near], c.conns[far] = struct{}{}, struct{}{}
		c.mu.Unlock()
		c.parts.Go(func() { _, _ = io.Copy(far, near); c.drop(near, far) })
		c.parts.Go(func() { _, _ = io.Copy(holding{c, near}, far); c.drop(near, far) })
	}
}

func (c *cable) drop(conns ...net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		_ = conn.Close()
		delete(c.conns, conn)
	}
}

type holding struct {
	cable *cable
	to    io.Writer
}

func (h holding) Write(b []byte) (int, error) {
	h.cable.mu.Lock()
	held := h.cable.held
	h.cable.mu.Unlock()
	<-held
	if h.cable.pause == 0 {
		return h.to.Write(b)
	}
	written := 0
	for piece := range slices.Chunk(b, h.cable.piece) {
		<-time.After(h.cable.pause)
		n, err := h.to.Write(piece)
		if written += n; err != nil {
			return written, err
		}
	}
	return written, nil
}

func (c *cable) dial(t *testing.T, o client.Options) *client.Client {
	t.Helper()
	if o.ReconnectMin == 0 {
		o.ReconnectMin, o.ReconnectMax = 5*time.Millisecond, 50*time.Millisecond
	}
	o.Unverified = o.Schemas == nil
	cl, err := client.Dial(deadline(t), c.url(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cl.Close() })
	return cl
}

var opened = event.Append{Stream: "account-1", Events: []event.Proposed{account.NewOpened("ada")}}

func (h *house) append(t *testing.T, a event.Append) event.Receipt {
	t.Helper()
	receipt, err := h.store.Append(deadline(t), a)
	if err != nil {
		t.Fatal(err)
	}
	return receipt
}

// What goes on while the connection breaks goes on when it is back: a waiting
// read, a subscription to a topic, and one to the log.
func TestReconnect(t *testing.T) {
	t.Parallel()
	h, log := openSpy(t, nil)
	line := lay(t, h)
	statuses := make(chan client.Status, 100)
	c := line.dial(t, client.Options{OnStatus: func(s client.Status) { statuses <- s }})
	topic := subscribe(t, c, "es.event.", client.Prefix)
	caughtUp := make(chan struct{})
	followed := make(chan event.Event, 100)
	var following sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	following.Go(func() {
		for e, err := range c.Subscribe(ctx, event.Selection{}, event.SubscribeOptions{CaughtUp: func(uint64) { close(caughtUp) }}) {
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				return
			}
			followed <- e
		}
	})
	<-caughtUp
	read := make(chan event.Page, 1)
	go func() {
		page, err := c.ReadPage(deadline(t), event.Selection{}, event.PageOptions{Wait: 59 * time.Second})
		if err != nil {
			t.Error(err)
		}
		read <- page
	}()
	<-log.waits
	line.lead(nil)
	line.cut()
	if s := <-statuses; s.State != client.Connected || s.Sessions != 1 || s.Store != h.store.StoreID() {
		t.Errorf("first %+v", s)
	}
	if s := <-statuses; s.State != client.Reconnecting || !errors.Is(s.Err, event.ErrUnavailable) {
		t.Errorf("then %+v", s)
	}
	if s := <-statuses; s.State != client.Reconnecting || s.Attempts != 1 || s.Err == nil {
		t.Errorf("then %+v", s)
	}
	h.append(t, opened) // nobody is told
	line.lead(h)
	page := <-read
	if page.Count != 1 || page.Last != 1 {
		t.Errorf("the waiting read: %+v", page)
	}
	if e := <-followed; e.Position() != 1 || !e.Live {
		t.Errorf("the log brought %v", e)
	}
	if s := c.Status(); s.State != client.Connected || s.Sessions != 2 || s.Attempts != 0 || s.Store != h.store.StoreID() {
		t.Errorf("now %+v", s)
	}
	eventually(t, "the topic is subscribed to again", func() bool {
		h.append(t, event.Append{Stream: "account-1", Events: []event.Proposed{account.NewClosed()}})
		return topic.len() > 0
	})
	if l := topic.all()[0]; l.Topic != account.ClosedTopic || l.Event.Position() < 2 {
		t.Errorf("the topic brought %+v", l)
	}
	stop()
	following.Wait()
	if err := c.Close(); err != nil || !errors.Is(c.Err(), client.ErrClosed) || c.Status().State != client.Closed {
		t.Errorf("closed: %v, %v, %+v", err, c.Err(), c.Status())
	}
}

// An append with a key whose answer is lost is made again, and is one append;
// one without has an unknown outcome.
func TestRepeatedAppend(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	line := lay(t, h)
	c := line.dial(t, client.Options{})
	type result struct {
		receipt event.Receipt
		err     error
	}
	sessions := 0
	lose := func(call func() (event.Receipt, error)) result {
		sessions++
		eventually(t, "it is connected", func() bool { return c.Status().Sessions == sessions })
		line.hold()
		before := len(h.events(t))
		done := make(chan result, 1)
		go func() {
			receipt, err := call()
			done <- result{receipt, err}
		}()
		eventually(t, "it is stored", func() bool { return len(h.events(t)) > before })
		line.cut()
		line.release()
		return <-done
	}
	a := opened
	a.Key = "k"
	if r := lose(func() (event.Receipt, error) { return c.Append(deadline(t), a) }); r.err != nil || !r.receipt.Repeated || r.receipt.First != 1 {
		t.Errorf("with a key: %+v, %v", r.receipt, r.err)
	}
	if r := lose(func() (event.Receipt, error) { return c.Append(deadline(t), opened) }); !errors.Is(r.err, event.ErrOutcomeUnknown) {
		t.Errorf("without: %+v, %v", r.receipt, r.err)
	}
	command := func(o client.CommandOptions) func() (event.Receipt, error) {
		return func() (event.Receipt, error) {
			r, err := c.Command(deadline(t), "account", "2", "open", account.NewOpen("ada"), o)
			return event.Receipt{First: r.Position, Repeated: r.Repeated}, err
		}
	}
	if r := lose(command(client.CommandOptions{Key: "c"})); r.err != nil || !r.receipt.Repeated || r.receipt.First != 3 {
		t.Errorf("a command with a key: %+v, %v", r.receipt, r.err)
	}
	if n := len(h.events(t)); n != 3 {
		t.Errorf("%d events are stored, want 3", n)
	}
}

// A call that nothing was sent of waits for a connection, as long as it may.
func TestCallsWait(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	line := lay(t, h)
	c := line.dial(t, client.Options{})
	line.lead(nil)
	line.cut()
	eventually(t, "it is noticed", func() bool { return c.Status().State == client.Reconnecting })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Append(ctx, opened); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, event.ErrOutcomeUnknown) {
		t.Errorf("an append that could not be sent: %v", err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := c.Append(deadline(t), opened)
		done <- err
	}()
	line.lead(h)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A server that shuts down ends no read and refuses no append: they wait for
// the next one.
func TestRestart(t *testing.T) {
	t.Parallel()
	h, log := openSpy(t, nil)
	line := lay(t, h)
	c := line.dial(t, client.Options{})
	read := make(chan error, 1)
	go func() {
		page, err := c.ReadPage(deadline(t), event.Selection{}, event.PageOptions{Wait: 59 * time.Second})
		if err == nil && page.Count != 1 {
			err = errors.New("the page is empty")
		}
		read <- err
	}()
	<-log.waits
	log.gate, log.at = make(chan struct{}), make(chan struct{}, 1)
	running := make(chan error, 1)
	go func() {
		_, err := c.Append(deadline(t), opened)
		running <- err
	}()
	<-log.at // the server drains as long as this goes on
	down := make(chan error, 1)
	go func() { down <- h.bus.Close() }()
	refused := make(chan error, 1)
	go func() {
		_, err := h.dialed(c)
		refused <- err
	}()
	next := serve(t, wampbus.Options{Log: h.store, Schemas: h.store.Schemas(), Anonymous: wampbus.Writer})
	line.lead(next)
	close(log.gate)
	for what, done := range map[string]chan error{"the waiting read": read, "the running append": running, "the refused call": refused, "closing": down} {
		if err := <-done; err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if s := c.Status(); s.Sessions != 2 {
		t.Errorf("%+v", s)
	}
}

// dialed makes calls until the bus is closing, and one more.
func (h *house) dialed(c *client.Client) (event.Head, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for c.Status().Sessions == 1 {
		if _, err := c.Head(ctx); err != nil {
			return event.Head{}, err
		}
	}
	return c.Head(ctx)
}

// Behind a reconnect there may be another store: reads that have a place in the
// old one fail, and others go on.
func TestStoreChanged(t *testing.T) {
	t.Parallel()
	h, log := openSpy(t, nil)
	h.deposit(t, "1", 3)
	line := lay(t, h)
	c := line.dial(t, client.Options{})
	ends := make(chan error, 3)
	for _, s := range []event.Selection{{After: 3}, {Stream: "account-1", FromVersion: 4}} {
		go func() {
			_, err := c.ReadPage(deadline(t), s, event.PageOptions{Wait: 59 * time.Second})
			ends <- err
		}()
		<-log.waits
	}
	caughtUp := make(chan struct{})
	go func() {
		for _, err := range c.Subscribe(deadline(t), event.Selection{}, event.SubscribeOptions{CaughtUp: func(uint64) { close(caughtUp) }}) {
			if err != nil {
				ends <- err
			}
		}
	}()
	<-caughtUp
	other := open(t, nil)
	other.deposit(t, "7", 5)
	line.lead(other)
	line.cut()
	for range 3 {
		var changed *event.StoreChangedError
		if err := <-ends; !errors.As(err, &changed) || changed.Store != other.store.StoreID() {
			t.Errorf("got %v", err)
		}
	}
	page, err := c.ReadPage(deadline(t), event.Selection{}, event.PageOptions{})
	if err != nil || page.Count != 5 || page.Store != other.store.StoreID() || c.Status().Store != page.Store {
		t.Errorf("from the beginning: %d events of %v, %v", page.Count, page.Store, err)
	}
}

// A server that does not have the client any more ends it; so does any end of
// the session, if that is wanted.
func TestNoWayBack(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	line := lay(t, h)
	c := line.dial(t, client.Options{})
	once := line.dial(t, client.Options{NoReconnect: true})
	sub, err := c.SubscribeTopic(t.Context(), "es.head", client.Exact, func(client.Live) {})
	if err != nil {
		t.Fatal(err)
	}
	line.lead(open(t, func(o *wampbus.Options) { o.Anonymous = 0 }))
	line.cut()
	var no *client.Error
	if <-c.Done(); !errors.As(c.Err(), &no) || no.URI != string(wamp.ErrAuthenticationFailed) || c.Status().State != client.Closed {
		t.Errorf("ended with %v", c.Err())
	}
	if <-sub.Done(); !errors.As(sub.Err(), &no) {
		t.Errorf("the subscription ended with %v", sub.Err())
	}
	if _, err := c.Head(deadline(t)); !errors.As(err, &no) {
		t.Errorf("a call: %v", err)
	}
	if _, err := c.SubscribeTopic(t.Context(), "es.head", client.Exact, func(client.Live) {}); !errors.As(err, &no) {
		t.Errorf("another subscription: %v", err)
	}
	if <-once.Done(); !errors.Is(once.Err(), event.ErrUnavailable) {
		t.Errorf("without reconnecting: %v", once.Err())
	}
	if _, err := once.Head(deadline(t)); !errors.Is(err, event.ErrUnavailable) {
		t.Errorf("a call: %v", err)
	}
}

// A loop that does not keep up falls back to pages, and misses nothing.
func TestSubscribeSlowLoop(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	c := h.dial(t, client.Options{EventQueue: 1})
	next := uint64(1)
	for e, err := range c.Subscribe(deadline(t), event.Selection{}, event.SubscribeOptions{CaughtUp: func(uint64) { h.append(t, opened) }}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Position() != next || !e.Live {
			t.Fatalf("got %v, want position %d", e, next)
		}
		if next++; next > 400 {
			break
		}
		if next%100 == 2 {
			h.deposit(t, strconv.FormatUint(next, 10), 100) // more than the queues hold
		}
	}
}

// A client whose role may not subscribe follows by calls; a selection of part
// of the log does so always. Both end with the context.
func TestSubscribeByCalls(t *testing.T) {
	t.Parallel()
	h := open(t, func(o *wampbus.Options) { o.Limits.Subscriptions = 1 })
	c := h.dial(t, client.Options{})
	subscribe(t, c, "es.head", client.Exact)
	for i, s := range []event.Selection{{}, {Types: []string{"bank."}}} {
		ctx, cancel := context.WithCancel(deadline(t))
		from := uint64(len(h.events(t)))
		var got []uint64
		var end error
		for e, err := range c.Subscribe(ctx, s, event.SubscribeOptions{CaughtUp: func(uint64) { h.deposit(t, strconv.Itoa(i), 5) }}) {
			if end = err; err != nil {
				break
			}
			if got = append(got, e.Position()); len(got) == int(from)+5 {
				cancel()
			}
		}
		cancel()
		if !errors.Is(end, context.Canceled) || !slices.IsSorted(got) || len(got) != int(from)+5 {
			t.Errorf("%+v: got %v, ended with %v", s, got, end)
		}
	}
	for _, err := range c.Subscribe(t.Context(), event.Selection{Backward: true}, event.SubscribeOptions{}) {
		if !errors.As(err, new(*event.ArgumentError)) {
			t.Errorf("a subscription backwards: %v", err)
		}
	}
}

// Every way to say who one is, against the router's own authenticators.
func TestCredentials(t *testing.T) {
	t.Parallel()
	store, err := memstore.New(account.Schema)
	if err != nil {
		t.Fatal(err)
	}
	keys := newKeys(t)
	h := serve(t, wampbus.Options{Log: store, Schemas: store.Schemas(), Authenticators: []auth.Authenticator{
		auth.NewTicketAuthenticator(keys, time.Second), auth.NewCRAuthenticator(keys, time.Second), auth.NewCryptoSignAuthenticator(keys, time.Second),
	}})
	for name, good := range map[string][]client.Credential{
		"ticket": {client.Ticket("secret")}, "plain": {client.CRA("secret")}, "salted": {client.CRA("secret")}, "cryptosign": {client.Cryptosign(keys.private)},
	} {
		c, err := client.Dial(deadline(t), h.url, client.Options{Unverified: true, AuthID: name, Credentials: good})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if info, err := c.Info(deadline(t)); err != nil || !slices.Equal(info.Roles, []string{"writer"}) {
			t.Errorf("%s: %+v, %v", name, info, err)
		}
		_ = c.Close()
	}
	for name, bad := range map[string][]client.Credential{
		"ticket": {client.Ticket("wrong")}, "plain": {client.CRA("wrong")}, "salted": {client.CRA("wrong")}, "cryptosign": {client.Cryptosign(newKeys(t).private)},
	} {
		if c, err := client.Dial(deadline(t), h.url, client.Options{Unverified: true, AuthID: name, Credentials: bad}); err == nil {
			_ = c.Close()
			t.Errorf("%s: a wrong secret is in", name)
		}
	}
}

// followTopic does what PROTOCOL.md asks of a subscriber to one topic, which has
// its events up to last: it reads what is missing when an event's previous is
// not the last it has, or es.head is beyond. took is called for each event. It
// returns when a subscription is over.
func followTopic(ctx context.Context, c *client.Client, topic, typ string, last uint64, took func(event.Event)) error {
	ctx, cancel := context.WithCancel(ctx)
	var subs [2]*client.Subscription
	defer func() {
		cancel()
		for _, s := range subs {
			if s != nil {
				<-s.Done()
			}
		}
	}()
	var mu sync.Mutex
	read := last // up to where there is nothing more
	repair := func(to uint64) {
		for e, err := range event.Read(ctx, c, event.Selection{After: last, Types: []string{typ}}) {
			if err != nil {
				return // the next message tells again
			}
			last = e.Position()
			took(e)
		}
		read = max(read, to)
	}
	var err error
	subs[0], err = c.SubscribeTopic(ctx, topic, client.Exact, func(l client.Live) {
		mu.Lock()
		defer mu.Unlock()
		if l.Previous > last {
			repair(l.Previous)
		}
		if l.Position > last && l.Previous <= last {
			last = l.Position
			took(l.Event)
		}
	})
	if err != nil {
		return err
	}
	subs[1], err = c.SubscribeTopic(ctx, "es.head", client.Exact, func(l client.Live) {
		mu.Lock()
		defer mu.Unlock()
		if l.Position > max(read, last) {
			repair(l.Position)
		}
	})
	if err != nil {
		return err
	}
	mu.Lock()
	repair(last) // what was there before
	mu.Unlock()
	select {
	case <-subs[0].Done():
	case <-subs[1].Done():
	}
	return nil
}

// Followers of every kind, over both transports, have every event once and in
// order, while the bus that they follow bursts, stalls, loses their connections
// and is exchanged.
func TestNothingLost(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	line, raw := lay(t, h), layTo(t, h.raw(t, "tcp").Addr().String())
	ctx, stop := context.WithCancel(deadline(t))
	var following sync.WaitGroup
	kinds := []struct {
		cable  *cable
		format codec.Format
		by     string
	}{
		{line, codec.MessagePack, "prefix"}, {line, codec.CBOR, "prefix"}, {line, codec.JSON, "calls"}, {line, codec.CBOR, "topic"},
		{raw, codec.CBOR, "prefix"}, {raw, codec.JSON, "prefix"}, {raw, codec.MessagePack, "calls"}, {raw, codec.MessagePack, "topic"}, {raw, codec.JSON, "topic"},
	}
	at := make([]atomic.Uint64, len(kinds))
	for i, k := range kinds {
		o := client.Options{EventQueue: 8 << 10, Serialization: k.format.String(), Schemas: h.store.Schemas(), ReconnectMin: 5 * time.Millisecond, ReconnectMax: 50 * time.Millisecond}
		url := k.cable.url()
		if k.cable == raw {
			url = "rs://" + raw.listener.Addr().String()
		}
		c, err := client.Dial(deadline(t), url, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		took := func(e event.Event) {
			if e.Position() != at[i].Load()+1 {
				t.Errorf("%v, %s: position %d behind %d", k.format, k.by, e.Position(), at[i].Load())
			}
			at[i].Store(e.Position())
		}
		following.Go(func() {
			events := c.Subscribe(ctx, event.Selection{}, event.SubscribeOptions{})
			switch k.by {
			case "topic":
				for ctx.Err() == nil {
					if err := followTopic(ctx, c, account.OpenedTopic, account.OpenedType, at[i].Load(), took); err != nil && ctx.Err() == nil {
						t.Errorf("%v, %s at %d: %v", k.format, k.by, at[i].Load(), err)
						return
					}
				}
				return
			case "calls":
				events = event.Subscribe(ctx, c, event.Selection{}, event.SubscribeOptions{})
			}
			for e, err := range events {
				if err != nil {
					if ctx.Err() == nil {
						t.Errorf("%v, %s at %d: %v", k.format, k.by, at[i].Load(), err)
					}
					return
				}
				took(e)
			}
		})
	}
	rounds := 40
	if testing.Short() {
		rounds = 10
	}
	bus := h
	for round := range rounds {
		if round%4 == 0 {
			line.hold()
			raw.hold()
		}
		var burst sync.WaitGroup
		for range 64 {
			burst.Go(func() { h.append(t, opened) })
		}
		switch round % 4 {
		case 1:
			line.cut()
			raw.cut()
		case 3:
			next := serve(t, wampbus.Options{Log: h.store, Schemas: h.store.Schemas(), Anonymous: wampbus.Writer})
			line.lead(next)
			raw.leadTo(next.raw(t, "tcp").Addr().String())
			if err := bus.bus.Close(); err != nil {
				t.Error(err)
			}
			bus = next
		}
		burst.Wait()
		line.release()
		raw.release()
	}
	for i, k := range kinds {
		eventually(t, fmt.Sprintf("%v, %s is at the head", k.format, k.by), func() bool { return at[i].Load() == uint64(rounds)*64 })
	}
	stop()
	following.Wait()
}

// A call that breaks the protocol, too large for this server, is not made again
// with every session, key or not; what others had in flight goes on.
func TestViolation(t *testing.T) {
	t.Parallel()
	h, log := openSpy(t, func(o *wampbus.Options) { o.Limits.Message = 64 << 10 })
	c := h.dial(t, client.Options{ReconnectMin: time.Millisecond})
	read := make(chan error, 1)
	go func() {
		page, err := c.ReadPage(deadline(t), event.Selection{}, event.PageOptions{Wait: 59 * time.Second})
		if err == nil && page.Count != 1 {
			err = errors.New("the page is empty")
		}
		read <- err
	}()
	<-log.waits
	large := event.Append{Stream: "account-1", Key: "k", Events: []event.Proposed{account.NewCredited(account.CreditedFields{Amount: 1, Memo: strings.Repeat("x", 1<<20)})}}
	if _, err := c.Append(deadline(t), large); !errors.Is(err, event.ErrOutcomeUnknown) {
		t.Errorf("an append over the server's limit: %v", err)
	}
	eventually(t, "there is another session", func() bool { return c.Status().State == client.Connected && c.Status().Sessions > 1 })
	if s := c.Status(); s.Sessions != 2 {
		t.Errorf("%d sessions, want 2", s.Sessions)
	}
	h.append(t, opened)
	if err := <-read; err != nil {
		t.Error(err)
	}
}

// A subscription whose context ends before the server has answered leaves none
// behind at the server.
func TestLateSubscription(t *testing.T) {
	t.Parallel()
	h := open(t, func(o *wampbus.Options) { o.Limits.Subscriptions = 1 })
	line := lay(t, h)
	c := line.dial(t, client.Options{})
	line.hold()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.SubscribeTopic(ctx, "es.head", client.Exact, func(client.Live) {}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a subscription without answer: %v", err)
	}
	line.release()
	eventually(t, "there is room for another", func() bool {
		_, err := c.SubscribeTopic(t.Context(), "es.schema", client.Exact, func(client.Live) {})
		return err == nil
	})
}

// By default the client sends nothing that a server does not take by default.
func TestLargestMessage(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	c := h.dial(t, client.Options{})
	half := account.NewCredited(account.CreditedFields{Amount: 1, Memo: strings.Repeat("x", 9<<20)})
	large := event.Append{Stream: "account-1", Key: "k", Events: []event.Proposed{half, half}}
	var over *event.TooLargeError
	if _, err := c.Append(deadline(t), large); !errors.As(err, &over) || over.Limit != 16<<20 {
		t.Errorf("an append over the limit: %v", err)
	}
	if s := c.Status(); s.Sessions != 1 {
		t.Errorf("%d sessions, want 1", s.Sessions)
	}
}

// A server that says nothing to a ping is left for another connection; one that
// only has nothing to say is not.
func TestServerGoesSilent(t *testing.T) {
	t.Parallel()
	const silence = 200 * time.Millisecond
	h := open(t, nil)
	raw := h.raw(t, "tcp")
	for _, transport := range []string{"ws", "rs"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			line := lay(t, h)
			url := line.url()
			if transport == "rs" {
				line = layTo(t, raw.Addr().String())
				url = "rs://" + line.listener.Addr().String()
			}
			c, err := client.Dial(deadline(t), url, client.Options{Unverified: true, KeepAlive: silence, ReconnectMin: time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			<-time.After(5 * silence)
			if s := c.Status(); s.Sessions != 1 || s.State != client.Connected {
				t.Errorf("a server with nothing to say: %+v", s)
			}
			began := time.Now()
			line.hold()
			eventually(t, "it is noticed", func() bool { return c.Status().State == client.Reconnecting })
			if took := time.Since(began); took < silence/2 {
				t.Errorf("given up after %v", took)
			}
			line.release()
			eventually(t, "there is another session", func() bool { return c.Status().State == client.Connected && c.Status().Sessions > 1 })
			if _, err := c.Head(deadline(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

// A page that comes slowly is heard, whatever the transport, as long as some of
// it comes.
func TestSlowPage(t *testing.T) {
	t.Parallel()
	const silence = 400 * time.Millisecond
	h := open(t, nil)
	h.append(t, event.Append{Stream: "account-1", Events: []event.Proposed{account.NewCredited(account.CreditedFields{Amount: 1, Memo: strings.Repeat("m", 300<<10)})}})
	raw := h.raw(t, "tcp")
	for transport, to := range map[string]string{"ws": h.address(), "rs": raw.Addr().String()} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			line := layTo(t, to)
			line.slow(10*time.Millisecond, 3<<10)
			c, err := client.Dial(deadline(t), transport+"://"+line.listener.Addr().String(), client.Options{Unverified: true, KeepAlive: silence})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			began := time.Now()
			if page, err := c.ReadPage(deadline(t), event.Selection{}, event.PageOptions{}); err != nil || page.Count != 1 {
				t.Errorf("%d events, %v", page.Count, err)
			}
			if took := time.Since(began); took < 2*silence {
				t.Errorf("it took only %v", took)
			}
			if s := c.Status(); s.Sessions != 1 {
				t.Errorf("%d sessions, want 1", s.Sessions)
			}
		})
	}
}
