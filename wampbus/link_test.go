package wampbus_test

import (
	"bytes"
	"context"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	nexus "github.com/gammazero/nexus/v3/client"
	"github.com/gammazero/nexus/v3/router"
	"github.com/gammazero/nexus/v3/router/auth"
	"github.com/gammazero/nexus/v3/transport/serialize"
	"github.com/gammazero/nexus/v3/wamp"
	"github.com/gorilla/websocket"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/wampbus"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// foreign is a stock router with strict URIs, as others run it.
type foreign struct {
	router   router.Router
	listener net.Listener
	server   *http.Server
	served   chan struct{}
}

func openForeign(t *testing.T, address string, realm *router.RealmConfig) *foreign {
	t.Helper()
	realm.URI, realm.StrictURI = "theirs", true
	r, err := router.NewRouter(&router.Config{RealmConfigs: []*router.RealmConfig{realm}}, log.New(io.Discard, "", 0))
	if err != nil {
		t.Fatal(err)
	}
	f := &foreign{router: r, served: make(chan struct{})}
	eventually(t, "the address is free", func() bool {
		f.listener, err = net.Listen("tcp", address)
		return err == nil
	})
	f.server = &http.Server{Handler: router.NewWebsocketServer(r), ReadHeaderTimeout: patience}
	go func() { defer close(f.served); _ = f.server.Serve(f.listener) }()
	t.Cleanup(f.close)
	return f
}

func (f *foreign) url() string { return "ws://" + f.listener.Addr().String() + "/" }

func (f *foreign) close() {
	_ = f.server.Close()
	<-f.served
	f.router.Close()
}

// client is one of the foreign router's own.
func (f *foreign) client(t *testing.T) *nexus.Client {
	t.Helper()
	c, err := nexus.ConnectNet(deadline(t), f.url(), nexus.Config{Realm: "theirs", Serialization: serialize.CBOR, Logger: slog.NewLogLogger(slog.DiscardHandler, 0)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// attach links the house to a router until the test ends.
func (h *house) attach(t *testing.T, to wampbus.Remote) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- h.bus.Attach(ctx, to) }()
	stop = sync.OnceValue(func() error { cancel(); return <-over })
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return stop
}

// At another router the bus serves the same: pages, commands, procedures of the
// program's, live events; and again, when the router was away.
func TestAttach(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	f := openForeign(t, "127.0.0.1:0", &router.RealmConfig{AnonymousAuth: true})
	h.handle(t, "bank.hello", wampbus.Procedure{Role: wampbus.Reader, Args: []string{account.OpenType}, Serve: func(_ context.Context, r *wampbus.Request) (wampbus.Reply, error) {
		return wampbus.Reply{Args: r.Args}, nil
	}})
	h.deposit(t, "1", 3)
	stop := h.attach(t, wampbus.Remote{URL: f.url(), Realm: "theirs", Roles: wampbus.Reader | wampbus.Commander})
	c := f.client(t)
	served := func(c *nexus.Client) func() bool {
		return func() bool {
			_, err := c.Call(deadline(t), "bank.hello", nil, wamp.List{account.NewOpen("ada")}, nil, nil)
			return err == nil
		}
	}
	eventually(t, "it is attached", served(c))
	r, err := c.Call(deadline(t), "es.read", nil, nil, wamp.Dict{"max_bytes": 1 << 20}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var want []byte
	for _, e := range h.events(t) {
		want = append(want, e.Record()...)
	}
	if !bytes.Equal(r.Arguments[0].([]byte), want) {
		t.Error("a page is not the bytes of the log")
	}
	live := make(chan *wamp.Event, 100)
	if err := c.Subscribe("es.event", func(e *wamp.Event) { live <- e }, wamp.Dict{"match": "prefix"}); err != nil {
		t.Fatal(err)
	}
	r, err = c.Call(deadline(t), "es.command.account.open", nil, wamp.List{"7", account.NewOpen("ada")}, nil, nil)
	if err != nil || number(t, r.ArgumentsKw["position"]) != 4 {
		t.Fatalf("a command: %v, %v", r, err)
	}
	e := <-live
	events := h.events(t)
	if topic, _ := wamp.AsString(e.Details["topic"]); topic != account.OpenedTopic || !bytes.Equal(e.Arguments[0].([]byte), events[3].Record()) ||
		number(t, e.ArgumentsKw["position"]) != 4 || number(t, e.ArgumentsKw["previous"]) != 1 {
		t.Errorf("live: %+v", e)
	}
	if r, err := c.Call(deadline(t), "es.view.balances.get", nil, wamp.List{"7"}, wamp.Dict{"at_least": 4}, nil); err != nil || len(r.Arguments) != 1 {
		t.Errorf("a view: %v, %v", r, err)
	}
	for procedure, want := range map[string]string{
		"es.append": "not_authorized", "es.schema.register": "not_authorized", "es.command.account.nothing": "es.error.unknown", "es.commander": "no_such_procedure", "es.viewer": "es.error.unknown", "es.nothing": "no_such_procedure",
	} {
		if _, err := c.Call(deadline(t), procedure, nil, nil, nil, nil); err == nil || !strings.Contains(err.Error(), want) && procedure != "es.commander" {
			t.Errorf("%s: %v", procedure, err)
		}
	}
	end := h.handle(t, "bank.later", wampbus.Procedure{Role: wampbus.Reader, Serve: func(context.Context, *wampbus.Request) (wampbus.Reply, error) { return wampbus.Reply{}, nil }})
	eventually(t, "what is served later is served there, too", func() bool {
		_, err := c.Call(deadline(t), "bank.later", nil, nil, nil, nil)
		return err == nil
	})
	end()
	if _, err := c.Call(deadline(t), "bank.later", nil, nil, nil, nil); err == nil {
		t.Error("a procedure that has ended is served")
	}

	_ = c.Close()
	address := f.listener.Addr().String()
	f.close()
	f = openForeign(t, address, &router.RealmConfig{AnonymousAuth: true})
	c = f.client(t)
	eventually(t, "it is attached again", served(c))
	if err := stop(); err != nil {
		t.Error(err)
	}
	eventually(t, "nothing is served there any more", func() bool { return !served(c)() })
	h.alive(t)
}

// Attaching fails where trying again would not help, and ends with the bus.
func TestAttachRefused(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	f := openForeign(t, "127.0.0.1:0", &router.RealmConfig{Authenticators: []auth.Authenticator{auth.NewTicketAuthenticator(keyStore{"bus": {"backend", "t"}}, patience)}})
	challenge := func(ticket string) func(*wamp.Challenge) (string, error) {
		return func(*wamp.Challenge) (string, error) { return ticket, nil }
	}
	for name, to := range map[string]wampbus.Remote{
		"no roles":     {URL: f.url(), Realm: "theirs"},
		"no url":       {URL: "localhost", Realm: "theirs", Roles: wampbus.Reader},
		"scheme":       {URL: "http://localhost/", Realm: "theirs", Roles: wampbus.Reader},
		"realm":        {URL: f.url(), Realm: "other", Roles: wampbus.Reader},
		"anonymous":    {URL: f.url(), Realm: "theirs", Roles: wampbus.Reader},
		"no challenge": {URL: f.url(), Realm: "theirs", Roles: wampbus.Reader, AuthID: "bus", Method: "ticket"},
		"wrong ticket": {URL: f.url(), Realm: "theirs", Roles: wampbus.Reader, AuthID: "bus", Method: "ticket", Challenge: challenge("x")},
	} {
		if err := h.bus.Attach(deadline(t), to); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	over := make(chan error, 1)
	go func() {
		over <- h.bus.Attach(context.Background(), wampbus.Remote{URL: f.url(), Realm: "theirs", Roles: wampbus.Reader, AuthID: "bus", Method: "ticket", Challenge: challenge("t")})
	}()
	if _, err := h.store.Append(deadline(t), event.Append{Stream: "account-1", Events: []event.Proposed{account.NewOpened("x")}}); err != nil {
		t.Fatal(err)
	}
	if err := h.bus.Close(); err != nil {
		t.Error(err)
	}
	if err := <-over; err != nil {
		t.Errorf("attached to a bus that closed: %v", err)
	}
}

// A link speaks every transport and serialization that it says.
func TestAttachTransports(t *testing.T) {
	t.Parallel()
	f := openForeign(t, "127.0.0.1:0", &router.RealmConfig{AnonymousAuth: true})
	raw, err := router.NewRawSocketServer(f.router).ListenAndServe("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	address := raw.(interface{ Addr() net.Addr }).Addr().String()
	c := f.client(t)
	for name, to := range map[string]wampbus.Remote{
		"ws": {URL: f.url(), JSON: true}, "rs": {URL: "rs://" + address}, "tcp": {URL: "tcp://" + address, JSON: true},
	} {
		h := open(t, nil)
		h.deposit(t, "1", 3)
		to.Realm, to.Roles = "theirs", wampbus.Reader|wampbus.Commander
		stop := h.attach(t, to)
		var info *wamp.Result
		eventually(t, name+": it is attached", func() bool {
			info, err = c.Call(deadline(t), "es.info", nil, nil, nil, nil)
			return err == nil
		})
		if store, _ := wamp.AsString(info.ArgumentsKw["store"]); store != h.store.StoreID().String() {
			t.Errorf("%s: %v answers", name, store)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		eventually(t, name+": it has left", func() bool {
			_, err := c.Call(deadline(t), "es.info", nil, nil, nil, nil)
			return err != nil
		})
	}
}

// Connections that break under running calls end these calls only.
func TestAttachLostInCalls(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	f := openForeign(t, "127.0.0.1:0", &router.RealmConfig{AnonymousAuth: true})
	var running atomic.Int64
	h.handle(t, "bank.slow", wampbus.Procedure{Role: wampbus.Reader, Concurrency: 1000, Serve: func(ctx context.Context, _ *wampbus.Request) (wampbus.Reply, error) {
		running.Add(1)
		return wampbus.Reply{Args: [][]byte{make([]byte, 64<<10)}}, nil
	}})
	line := layTo(t, f.listener.Addr().String())
	h.attach(t, wampbus.Remote{URL: line.url(), Realm: "theirs", Roles: wampbus.Reader})
	c := f.client(t)
	for range 4 {
		eventually(t, "it is attached", func() bool {
			_, err := c.Call(deadline(t), "bank.slow", nil, nil, nil, nil)
			return err == nil
		})
		before := running.Load()
		var calls sync.WaitGroup
		for range 50 {
			calls.Go(func() { _, _ = c.Call(deadline(t), "bank.slow", nil, nil, nil, nil) })
		}
		eventually(t, "calls are running", func() bool { return running.Load() > before })
		line.cut()
		calls.Wait()
	}
	h.alive(t)
}

// actor is a router that answers what the test wants, over msgpack; nil is no
// answer. The number is that of the connection.
func actor(t *testing.T, respond func(n int, m wamp.Message) wamp.Message) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var connections atomic.Int64
	var serving sync.WaitGroup // connections that are upgraded, which no server waits for
	upgrader := websocket.Upgrader{Subprotocols: []string{codec.MessagePack.Subprotocol()}}
	server := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serving.Add(1)
		defer serving.Done()
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		for n := int(connections.Add(1)); ; {
			_, b, err := conn.ReadMessage()
			if err != nil {
				return
			}
			m, err := codec.MessagePack.Decode(b)
			if err != nil {
				t.Error(err)
				return
			}
			answer := respond(n, m)
			if answer == nil {
				continue
			}
			b, err = codec.MessagePack.Append(nil, answer)
			if err != nil || conn.WriteMessage(websocket.BinaryMessage, b) != nil {
				return
			}
		}
	})}
	over := make(chan struct{})
	go func() { defer close(over); _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close(); <-over; serving.Wait() })
	return "ws://" + listener.Addr().String() + "/"
}

// A router that takes nothing any more holds up neither the program, nor the
// end of being attached to it.
func TestAttachStalled(t *testing.T) {
	t.Parallel()
	h := open(t, func(o *wampbus.Options) { o.Limits.Shutdown = 100 * time.Millisecond })
	registered, stalled, over := make(chan struct{}, 100), make(chan struct{}), make(chan struct{})
	var once sync.Once
	url := actor(t, func(_ int, m wamp.Message) wamp.Message {
		switch m := m.(type) {
		case *wamp.Hello:
			return &wamp.Welcome{ID: 1}
		case *wamp.Register:
			if m.Procedure == "bank.before" {
				registered <- struct{}{}
			}
			return &wamp.Registered{Request: m.Request, Registration: m.Request}
		}
		once.Do(func() { close(stalled) })
		<-over
		return nil
	})
	t.Cleanup(func() { close(over) })
	h.handle(t, "bank.before", wampbus.Procedure{Role: wampbus.Reader, Serve: func(context.Context, *wampbus.Request) (wampbus.Reply, error) { return wampbus.Reply{}, nil }})
	stop := h.attach(t, wampbus.Remote{URL: url, Realm: "theirs", Roles: wampbus.Reader})
	<-registered
	for i := range 16 { // more than the network holds
		large := account.NewCredited(account.CreditedFields{Amount: int64(i), Memo: strings.Repeat("x", 2<<20)})
		h.append(t, event.Append{Stream: "account-1", Events: []event.Proposed{large}})
	}
	<-stalled
	began := time.Now()
	end := h.handle(t, "bank.after", wampbus.Procedure{Role: wampbus.Reader, Serve: func(context.Context, *wampbus.Request) (wampbus.Reply, error) { return wampbus.Reply{}, nil }})
	end()
	h.alive(t)
	if err := stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 5*time.Second { // less than any timeout that could have helped
		t.Errorf("it took %v", took)
	}
}

// Being throttled passes: others' failed logins must not end a link for good.
func TestAttachTryLater(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	joined := make(chan struct{}, 100)
	url := actor(t, func(n int, m wamp.Message) wamp.Message {
		switch m := m.(type) {
		case *wamp.Hello:
			if n < 3 {
				return &wamp.Abort{Reason: "es.close.try_later"}
			}
			joined <- struct{}{}
			return &wamp.Welcome{ID: 1}
		case *wamp.Register:
			return &wamp.Registered{Request: m.Request, Registration: m.Request}
		case *wamp.Goodbye:
			return m
		}
		return nil
	})
	h.attach(t, wampbus.Remote{URL: url, Realm: "theirs", Roles: wampbus.Reader})
	select {
	case <-joined:
	case <-time.After(patience):
		t.Error("it does not try again")
	}
}
