package wampbus_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gammazero/nexus/v3/router/auth"
	"github.com/gammazero/nexus/v3/wamp"
	"github.com/gorilla/websocket"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/wampbus"
	"github.com/verbatim-es/verbatim/wampbus/client"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

func newReader(r io.Reader) *bufio.Reader { return bufio.NewReader(r) }

// spy is a log that says which waits are going on.
type spy struct {
	*memstore.Store
	waits chan context.Context // of every read that waits
	gate  chan struct{}        // appends wait for it, unless nil
	at    chan struct{}        // gets a value when an append waits
}

func (s *spy) ReadPage(ctx context.Context, sel event.Selection, o event.PageOptions) (event.Page, error) {
	if o.Wait == 59*time.Second {
		s.waits <- ctx
	}
	return s.Store.ReadPage(ctx, sel, o)
}

func (s *spy) Append(ctx context.Context, a event.Append) (event.Receipt, error) {
	if s.gate != nil {
		s.at <- struct{}{}
		<-s.gate
	}
	return s.Store.Append(ctx, a)
}

func openSpy(t *testing.T, change func(*wampbus.Options)) (*house, *spy) {
	t.Helper()
	store, err := memstore.New(account.Schema)
	if err != nil {
		t.Fatal(err)
	}
	s := &spy{Store: store, waits: make(chan context.Context, 100)}
	return openOn(t, store, s, change), s
}

var longPoll = wamp.Dict{"wait_ms": 59000}

// A long poll holds up nothing, and ends with its cancellation, its timeout, or
// its caller.
func TestLongPoll(t *testing.T) {
	t.Parallel()
	h, log := openSpy(t, nil)
	w := h.join(t, codec.MessagePack)
	for id := wamp.ID(1); id <= 20; id++ {
		w.send(&wamp.Call{Request: id, Options: wamp.Dict{}, Procedure: "es.read", ArgumentsKw: longPoll})
	}
	var first context.Context
	for range 20 {
		first = <-log.waits
	}
	w.id = 100
	w.result("es.head", nil, nil) // is answered meanwhile

	for _, mode := range []string{"killnowait", "kill", "skip"} {
		id := map[string]wamp.ID{"killnowait": 1, "kill": 2, "skip": 3}[mode]
		w.send(&wamp.Cancel{Request: id, Options: wamp.Dict{"mode": mode}})
		if m, ok := w.receive().(*wamp.Error); !ok || m.Error != wamp.ErrCanceled || m.Request != id {
			t.Errorf("%s: %#v", mode, m)
		}
	}
	w.send(&wamp.Call{Request: 200, Options: wamp.Dict{"timeout": 20}, Procedure: "es.read", ArgumentsKw: longPoll})
	if m, ok := w.receive().(*wamp.Error); !ok || m.Error != wamp.ErrTimeout || m.Request != 200 {
		t.Errorf("timeout: %#v", m)
	}
	_ = w.conn.Close()
	select {
	case <-first.Done():
	case <-time.After(patience):
		t.Error("a vanished caller's long poll goes on")
	}
	eventually(t, "no call is in flight", func() bool { return h.bus.Stats().CallsInFlight == 0 })
	if err := first.Err(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// The client's own cancellation reaches the server.
func TestClientCancels(t *testing.T) {
	t.Parallel()
	h, log := openSpy(t, nil)
	c := h.dial(t, client.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := c.ReadPage(ctx, event.Selection{}, event.PageOptions{Wait: 59 * time.Second})
		done <- err
	}()
	at := <-log.waits
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	select {
	case <-at.Done():
	case <-time.After(patience):
		t.Error("the server goes on")
	}
}

// An append whose answer can't arrive has an unknown outcome.
func TestOutcomeUnknown(t *testing.T) {
	t.Parallel()
	h, log := openSpy(t, nil)
	log.gate, log.at = make(chan struct{}), make(chan struct{}, 10)
	c := h.dial(t, client.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-log.at; cancel() }()
	one := event.Append{Stream: "account-1", Events: []event.Proposed{account.NewOpened("ada")}, Key: "k"}
	if _, err := c.Append(ctx, one); !errors.Is(err, event.ErrOutcomeUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	go func() { <-log.at; _ = c.Close() }()
	if _, err := c.Append(deadline(t), one); !errors.Is(err, event.ErrOutcomeUnknown) {
		t.Errorf("closed: %v", err)
	}
	close(log.gate)
	again := h.dial(t, client.Options{})
	if _, err := again.Append(deadline(t), one); err != nil {
		t.Errorf("repeated with its key: %v", err)
	}
	if n := len(h.events(t)); n != 1 {
		t.Errorf("%d events are stored, want 1", n)
	}
	if _, err := c.Head(deadline(t)); !errors.Is(err, client.ErrClosed) {
		t.Errorf("a closed client: %v", err)
	}
}

// Shutting down: running commands are answered, waits end as unavailable, what
// was committed is published, everybody gets a GOODBYE.
func TestShutdown(t *testing.T) {
	t.Parallel()
	for name, shut := range map[string]func(*house) error{
		"serve": func(h *house) error { h.stop(); return <-h.over },
		"close": func(h *house) error { return h.bus.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, log := openSpy(t, nil)
			w := h.join(t, codec.MessagePack)
			subscriber := h.join(t, codec.CBOR)
			subscriber.send(&wamp.Subscribe{Request: 1, Options: wamp.Dict{"match": "prefix"}, Topic: "es.event."})
			subscriber.receive()
			w.send(&wamp.Call{Request: 1, Options: wamp.Dict{}, Procedure: "es.read", ArgumentsKw: longPoll})
			<-log.waits
			log.gate, log.at = make(chan struct{}), make(chan struct{}, 1)
			w.send(&wamp.Call{Request: 2, Options: wamp.Dict{}, Procedure: "es.command.account.open", Arguments: wamp.List{"1", account.NewOpen("ada")}})
			<-log.at
			down := make(chan error, 1)
			go func() { down <- shut(h) }()
			if m, ok := w.receive().(*wamp.Error); !ok || m.Request != 1 || m.Error != "es.error.unavailable" || m.ArgumentsKw["outcome"] != "none" {
				t.Errorf("the long poll: %#v", m)
			}
			w.send(&wamp.Call{Request: 3, Options: wamp.Dict{}, Procedure: "es.head"})
			if m, ok := w.receive().(*wamp.Error); !ok || m.Request != 3 || m.Error != "es.error.unavailable" {
				t.Errorf("a new call: %#v", m)
			}
			close(log.gate)
			if m, ok := w.receive().(*wamp.Result); !ok || m.Request != 2 {
				t.Errorf("the command: %#v", m)
			}
			if reason := w.ended(); reason != wamp.CloseSystemShutdown {
				t.Errorf("the caller's session ended with %q", reason)
			}
			if name == "close" {
				if m, ok := subscriber.receive().(*wamp.Event); !ok || number(t, m.ArgumentsKw["position"]) != 1 {
					t.Errorf("the subscriber: %#v", m)
				}
			}
			if reason := subscriber.ended(); reason != wamp.CloseSystemShutdown {
				t.Errorf("the subscriber's session ended with %q", reason)
			}
			if err := <-down; err != nil {
				t.Error(err)
			}
			if _, err := client.Dial(deadline(t), h.url, client.Options{Unverified: true}); err == nil {
				t.Error("it still answers")
			}
		})
	}
}

// Clients that come, subscribe, call and vanish leave nothing behind.
func TestVanishingClients(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	done := make(chan struct{})
	var appending sync.WaitGroup
	appending.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			_, err := h.store.Append(t.Context(), event.Append{Stream: "other-1", Events: []event.Proposed{account.NewOpened("x")}})
			if err != nil {
				t.Error(err)
				return
			}
			time.Sleep(100 * time.Microsecond) // leaves room for the others on small machines
		}
	})
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() {
			for j := range 20 {
				dialer := websocket.Dialer{Subprotocols: []string{codec.Formats[(i+j)%3].Subprotocol()}}
				conn, _, err := dialer.DialContext(t.Context(), h.url, nil)
				if err != nil {
					t.Error(err)
					return
				}
				w := &wire{t: t, conn: conn, format: codec.Formats[(i+j)%3]}
				w.send(&wamp.Hello{Realm: "verbatim", Details: everyRole})
				if j%4 > 0 {
					_, _ = w.next()
				}
				w.send(&wamp.Subscribe{Request: 1, Options: wamp.Dict{"match": "prefix"}, Topic: "es."})
				w.send(&wamp.Call{Request: 2, Options: wamp.Dict{}, Procedure: "es.read", ArgumentsKw: longPoll})
				if j%4 > 1 {
					_, _ = w.next()
				}
				if j%4 == 3 {
					w.send(&wamp.Goodbye{Reason: wamp.CloseRealm, Details: wamp.Dict{}})
				}
				if tcp, ok := conn.NetConn().(*net.TCPConn); ok && j%2 == 0 {
					_ = tcp.SetLinger(0) // a reset
				}
				_ = conn.Close()
			}
		})
	}
	clients.Wait()
	close(done)
	appending.Wait()
	eventually(t, "sessions and calls are gone", func() bool {
		s := h.bus.Stats()
		return s.Sessions == 0 && s.CallsInFlight == 0
	})
	h.alive(t)
}

// GOODBYE is answered with GOODBYE, and the connection closed.
func TestGoodbye(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	w := h.join(t, codec.JSON)
	w.send(&wamp.Goodbye{Reason: wamp.CloseRealm, Details: wamp.Dict{}})
	if m, ok := w.receive().(*wamp.Goodbye); !ok || m.Reason != wamp.CloseGoodbyeAndOut {
		t.Errorf("got %#v", m)
	}
	if _, err := w.next(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		t.Errorf("ended with %v", err)
	}
	if n := h.bus.Stats().Ended; n != 0 {
		t.Errorf("%d sessions count as ended by the bus", n)
	}
}

// A client that answers no ping is gone after two intervals; one that does may
// be silent for ever.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	h := open(t, func(o *wampbus.Options) { o.Limits.KeepAlive = 500 * time.Millisecond })
	dead := h.join(t, codec.MessagePack)
	dead.conn.SetPingHandler(func(string) error { return nil })
	silent := h.dial(t, client.Options{})
	if reason := dead.ended(); reason != wamp.ErrNetworkFailure {
		t.Errorf("ended with %q", reason)
	}
	if _, err := silent.Head(deadline(t)); err != nil {
		t.Errorf("a client that answers pings: %v", err)
	}
}

type keyStore map[string]struct{ role, ticket string }

func (s keyStore) AuthKey(authid, _ string) ([]byte, error) {
	if u, ok := s[authid]; ok {
		return []byte(u.ticket), nil
	}
	return nil, errors.New("unknown")
}
func (s keyStore) PasswordInfo(string) (string, int, int) { return "", 0, 0 }
func (s keyStore) AuthRole(authid string) (string, error) { return s[authid].role, nil }
func (s keyStore) Provider() string                       { return "test" }
func ticket(t string) []client.Credential                 { return []client.Credential{client.Ticket(t)} }

// Authenticators of the operator's let clients in, with the roles they name;
// idempotency keys belong to those who use them.
func TestAuthenticators(t *testing.T) {
	t.Parallel()
	users := keyStore{"ann": {"commander", "a"}, "bob/x": {"commander, writer", "b"}, "eve": {"server", "e"}, "adm": {"admin", "z"}}
	h := open(t, func(o *wampbus.Options) {
		o.Anonymous = 0
		o.Authenticators = []auth.Authenticator{auth.NewTicketAuthenticator(users, time.Second)}
	})
	if _, err := client.Dial(deadline(t), h.url, client.Options{Unverified: true}); err == nil {
		t.Error("an anonymous client is in")
	}
	if _, err := client.Dial(deadline(t), h.url, client.Options{Unverified: true, AuthID: "ann", Credentials: ticket("wrong")}); err == nil {
		t.Error("a wrong ticket is in")
	}
	ann := h.dial(t, client.Options{AuthID: "ann", Credentials: ticket("a")})
	bob := h.dial(t, client.Options{AuthID: "bob/x", Credentials: ticket("b"), Serialization: "json"})
	eve := h.dial(t, client.Options{AuthID: "eve", Credentials: ticket("e")})
	if _, err := eve.Head(deadline(t)); !errors.Is(err, client.ErrNotAuthorized) {
		t.Errorf("an unknown role: %v", err)
	}
	open := func(c *client.Client, id string) (aggregate.Receipt, error) {
		return c.Command(deadline(t), "account", id, "open", account.NewOpen("x"), client.CommandOptions{Key: "k"})
	}
	for i, c := range []*client.Client{ann, bob} {
		id := string(rune('1' + i))
		if r, err := open(c, id); err != nil || r.Repeated {
			t.Errorf("client %d: %+v, %v", i, r, err)
		}
		if r, err := open(c, id); err != nil || !r.Repeated {
			t.Errorf("client %d again: %+v, %v", i, r, err)
		}
		var reused *event.KeyReusedError
		if _, err := open(c, "9"); !errors.As(err, &reused) || reused.Key != "k" {
			t.Errorf("client %d for another: %v", i, err)
		}
	}
	if keys := h.events(t); keys[0].BatchKey() != "ann/k" || keys[1].BatchKey() != "bob%2Fx/k" {
		t.Errorf("keys %q and %q", keys[0].BatchKey(), keys[1].BatchKey())
	}
	one := event.Append{Stream: "account-5", Events: []event.Proposed{account.NewOpened("x")}}
	if _, err := ann.Append(deadline(t), one); !errors.Is(err, client.ErrNotAuthorized) {
		t.Errorf("a commander appends: %v", err)
	}
	if _, err := bob.Append(deadline(t), one); err != nil {
		t.Errorf("a writer does not append: %v", err)
	}
	adm := h.dial(t, client.Options{AuthID: "adm", Credentials: ticket("z")})
	if _, err := adm.Append(deadline(t), event.Append{Stream: "account-6", Events: one.Events}); err != nil {
		t.Errorf("an admin: %v", err)
	}
}

// A handler that panics ends its call only.
func TestPanickingHandler(t *testing.T) {
	t.Parallel()
	h := open(t, func(o *wampbus.Options) { o.Handlers = []wampbus.CommandHandler{panicking{}} })
	w := h.join(t, codec.MessagePack)
	m, ok := w.call("es.command.account.close", wamp.List{"1", account.NewClose()}, nil).(*wamp.Error)
	if !ok || m.Error != "es.error.unavailable" || m.ArgumentsKw["outcome"] != "unknown" {
		t.Errorf("got %#v", m)
	}
	w.result("es.head", nil, nil)
}

type panicking struct{}

func (panicking) Category() string   { return "account" }
func (panicking) Commands() []string { return []string{account.CloseType} }
func (panicking) Handle(context.Context, string, string, []byte, ...aggregate.Option) (aggregate.Receipt, error) {
	panic("a bug")
}

func TestBadOptions(t *testing.T) {
	t.Parallel()
	store, err := memstore.New(account.Schema)
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]wampbus.Options{
		"no log":        {Schemas: store.Schemas()},
		"no schemas":    {Log: store},
		"realm":         {Log: store, Schemas: store.Schemas(), Realm: "Not A Realm"},
		"limit":         {Log: store, Schemas: store.Schemas(), Limits: wampbus.Limits{Queue: -1}},
		"two handlers":  {Log: store, Schemas: store.Schemas(), Handlers: []wampbus.CommandHandler{panicking{}, panicking{}}},
		"authenticator": {Log: store, Schemas: store.Schemas(), Authenticators: []auth.Authenticator{&auth.AnonymousAuth{AuthRole: "admin"}}},
		"unknown roles": {Log: store, Schemas: store.Schemas(), Anonymous: 0x80},
	} {
		if bus, err := wampbus.New(o); err == nil {
			_ = bus.Close()
			t.Errorf("%s: accepted", name)
		}
	}
	for _, o := range []client.Options{{Unverified: true, Serialization: "xml"}, {Unverified: true, KeepAlive: -1}, {}, {Unverified: true, Schemas: new(schema.Set)}} {
		if _, err := client.Dial(t.Context(), "ws://127.0.0.1:1/", o); err == nil || !strings.HasPrefix(err.Error(), "client: ") {
			t.Errorf("client options %+v: %v", o, err)
		}
	}
}

// A call that was canceled counts until what serves it has ended, however it
// was canceled: nobody gets more of the bus than its limit.
func TestCanceledCallsCount(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"skip", "killnowait"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			h, log := openSpy(t, func(o *wampbus.Options) { o.Limits.Calls = 2 })
			log.gate, log.at = make(chan struct{}), make(chan struct{}, 10)
			goOn := sync.OnceFunc(func() { close(log.gate) })
			t.Cleanup(goOn)
			w := h.join(t, codec.MessagePack)
			for id := wamp.ID(1); id <= 2; id++ {
				w.send(&wamp.Call{Request: id, Options: wamp.Dict{}, Procedure: "es.command.account.open", Arguments: wamp.List{mode + strconv.Itoa(int(id)), account.NewOpen("ada")}})
				<-log.at
				w.send(&wamp.Cancel{Request: id, Options: wamp.Dict{"mode": mode}})
				if m, ok := w.receive().(*wamp.Error); !ok || m.Error != wamp.ErrCanceled || m.Request != id {
					t.Fatalf("call %d: %#v", id, m)
				}
			}
			w.id = 100
			if m, ok := w.call("es.head", nil, nil).(*wamp.Error); !ok || m.Error != "es.error.too_large" {
				t.Errorf("a third call beside two that go on: %#v", m)
			}
			goOn()
			eventually(t, "they have ended", func() bool { return h.bus.Stats().CallsInFlight == 0 })
			w.result("es.head", nil, nil)
		})
	}
}

// Long polls take no room in the queue before they have something to send.
func TestLongPollsTakeNoRoom(t *testing.T) {
	t.Parallel()
	h, log := openSpy(t, func(o *wampbus.Options) { o.Limits.Queue = 300 << 10 })
	w := h.join(t, codec.MessagePack)
	for id := wamp.ID(1); id <= 5; id++ {
		w.send(&wamp.Call{Request: id, Options: wamp.Dict{}, Procedure: "es.read", ArgumentsKw: longPoll})
		select {
		case <-log.waits:
		case <-time.After(patience):
			t.Fatalf("long poll %d waits for room", id)
		}
	}
	w.id = 100
	w.result("es.read", nil, nil)
	h.deposit(t, "1", 1)
	for range 5 {
		if m, ok := w.receive().(*wamp.Result); !ok || number(t, m.ArgumentsKw["count"]) != 1 {
			t.Errorf("a long poll: %#v", m)
		}
	}
}

// A call's timeout ends whatever the call waits for, and what serves it: a
// program's procedure, its turn there, a view that is behind.
func TestCallTimeout(t *testing.T) {
	t.Parallel()
	for _, f := range codec.Formats {
		h := open(t, nil)
		served := make(chan context.Context, 1)
		h.handle(t, "bank.wait", wampbus.Procedure{Role: wampbus.Reader, Concurrency: 1, Serve: func(ctx context.Context, _ *wampbus.Request) (wampbus.Reply, error) {
			served <- ctx
			<-ctx.Done()
			return wampbus.Reply{}, ctx.Err()
		}})
		w := h.join(t, f)
		w.send(&wamp.Call{Request: 1, Options: wamp.Dict{}, Procedure: "bank.wait"}) // and has no timeout
		first := <-served
		for id, c := range map[wamp.ID]*wamp.Call{
			2: {Procedure: "bank.wait"},
			3: {Procedure: "es.view.balances.get", Arguments: wamp.List{"1"}, ArgumentsKw: wamp.Dict{"at_least": 1000, "wait_ms": 59000}},
		} {
			c.Request, c.Options = id, wamp.Dict{"timeout": 20}
			w.send(c)
			if m, ok := w.receive().(*wamp.Error); !ok || m.Error != wamp.ErrTimeout || m.Request != id {
				t.Errorf("%v: %s: %#v", f, c.Procedure, m)
			}
		}
		w.send(&wamp.Cancel{Request: 1, Options: wamp.Dict{}})
		if m, ok := w.receive().(*wamp.Error); !ok || m.Error != wamp.ErrCanceled || m.Request != 1 {
			t.Errorf("%v: a call without timeout: %#v", f, m)
		}
		<-first.Done()
		w.send(&wamp.Call{Request: 4, Options: wamp.Dict{"timeout": 20}, Procedure: "bank.wait"})
		if m, ok := w.receive().(*wamp.Error); !ok || m.Error != wamp.ErrTimeout || m.Request != 4 {
			t.Errorf("%v: a program's procedure: %#v", f, m)
		}
		if ctx := <-served; !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Errorf("%v: a program's procedure ends with %v", f, ctx.Err())
		}
	}
}
