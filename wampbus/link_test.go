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
	"testing"

	nexus "github.com/gammazero/nexus/v3/client"
	"github.com/gammazero/nexus/v3/router"
	"github.com/gammazero/nexus/v3/router/auth"
	"github.com/gammazero/nexus/v3/transport/serialize"
	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/wampbus"
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
	if _, err := c.Call(deadline(t), "bank.later", nil, nil, nil, nil); err != nil {
		t.Error(err)
	}
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
