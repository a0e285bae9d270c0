package wampbus_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"testing"
	"time"

	"github.com/gammazero/nexus/v3/wamp"
	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/examples/bank"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/examples/bank/account/accountview"
	"github.com/verbatim-es/verbatim/projection"
	"github.com/verbatim-es/verbatim/wampbus"
	"github.com/verbatim-es/verbatim/wampbus/client"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// patience bounds every wait of the tests; only a bus that hangs meets it.
const patience = time.Minute

func TestMain(m *testing.M) {
	if place := os.Getenv(soakVariable); place != "" {
		if err := serveSoak(place); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// house is a bank behind a bus on a loopback socket.
type house struct {
	store *memstore.Store
	bus   *wampbus.Bus
	url   string
	stop  context.CancelFunc // of ServeWebSocket
	over  chan error         // its return
}

// open starts a house; change may change the bus's options.
func open(t *testing.T, change func(*wampbus.Options)) *house {
	t.Helper()
	store, err := memstore.New(account.Schema)
	if err != nil {
		t.Fatal(err)
	}
	return openOn(t, store, store, change)
}

// openOn serves log, which is store or something around it.
func openOn(t *testing.T, store *memstore.Store, log event.Log, change func(*wampbus.Options)) *house {
	t.Helper()
	views, err := projection.Open(t.TempDir(), log, projection.Options{Logger: quiet}, accountview.Balances(bank.Balances{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = views.Close() })
	o := wampbus.Options{
		Views:     views,
		Handlers:  []wampbus.CommandHandler{account.NewHandler(log, bank.Teller{}, aggregate.Options{})},
		Anonymous: wampbus.Reader | wampbus.Writer | wampbus.Commander,
	}
	if change != nil {
		change(&o)
	}
	o.Log, o.Schemas = log, store.Schemas()
	h := serve(t, o)
	h.store = store
	return h
}

var quiet = slog.New(slog.DiscardHandler)

// serve starts a bus on a free port of the loopback interface.
func serve(t *testing.T, o wampbus.Options) *house {
	t.Helper()
	o.Logger = quiet
	bus, err := wampbus.New(o)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	h := &house{bus: bus, url: "ws://" + listener.Addr().String() + "/", stop: stop, over: make(chan error, 1)}
	go func() { h.over <- bus.ServeWebSocket(ctx, listener) }()
	t.Cleanup(func() {
		if err := bus.Close(); err != nil {
			t.Errorf("close the bus: %v", err)
		}
		stop()
	})
	return h
}

// reading has a client verify what it gets by the house's schemas, where the
// house is a bank and the test says nothing else.
func (h *house) reading(o client.Options) client.Options {
	if o.Schemas == nil && !o.Unverified {
		if o.Unverified = h.store == nil; h.store != nil {
			o.Schemas = h.store.Schemas()
		}
	}
	return o
}

// dial returns a client of the house.
func (h *house) dial(t *testing.T, o client.Options) *client.Client {
	t.Helper()
	c, err := client.Dial(deadline(t), h.url, h.reading(o))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// deposit appends n events to an account: it is opened, and then credited. It
// returns the whole log.
func (h *house) deposit(t *testing.T, id string, n int) []event.Event {
	t.Helper()
	_, err := h.store.Append(deadline(t), event.Append{
		Stream: "account-" + id, Events: []event.Proposed{account.NewOpened("ada")}, Key: "open " + id,
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n - 1 {
		_, err := h.store.Append(deadline(t), event.Append{
			Stream: "account-" + id, Events: []event.Proposed{account.NewCredited(account.CreditedFields{Amount: int64(i + 1)})},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return h.events(t)
}

// events is the whole log.
func (h *house) events(t *testing.T) []event.Event {
	t.Helper()
	var events []event.Event
	for e, err := range event.Read(deadline(t), h.store, event.Selection{}) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// eventually waits for a condition that the test can only look at.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	timeout := time.After(patience)
	for !condition() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("in vain: %s", what)
		}
	}
}

// wire is a client that sends whatever it is told, and hides nothing.
type wire struct {
	t      *testing.T
	conn   *websocket.Conn
	format codec.Format
	id     wamp.ID
}

var everyRole = wamp.Dict{"roles": wamp.Dict{
	"caller": wamp.Dict{"features": wamp.Dict{"payload_passthru_mode": true, "progressive_call_invocations": true}}, "subscriber": wamp.Dict{},
	"publisher": wamp.Dict{"features": wamp.Dict{"payload_passthru_mode": true}}, "callee": wamp.Dict{},
}}

// connect opens a connection without joining.
func (h *house) connect(t *testing.T, f codec.Format) *wire {
	t.Helper()
	dialer := websocket.Dialer{Subprotocols: []string{f.Subprotocol()}}
	conn, _, err := dialer.DialContext(deadline(t), h.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &wire{t: t, conn: conn, format: f}
}

// join opens a session.
func (h *house) join(t *testing.T, f codec.Format) *wire {
	t.Helper()
	w := h.connect(t, f)
	w.send(&wamp.Hello{Realm: "verbatim", Details: everyRole})
	w.welcomed()
	return w
}

func (w *wire) welcomed() *wamp.Welcome {
	w.t.Helper()
	m := w.receive()
	welcome, ok := m.(*wamp.Welcome)
	if !ok {
		w.t.Fatalf("not welcome: %#v", m)
	}
	return welcome
}

func (w *wire) send(m wamp.Message) {
	w.t.Helper()
	b, err := w.format.Append(nil, m)
	if err != nil {
		w.t.Fatal(err)
	}
	w.sendBytes(b)
}

func (w *wire) sendBytes(b []byte) {
	kind := websocket.BinaryMessage
	if w.format.Text() {
		kind = websocket.TextMessage
	}
	_ = w.conn.SetWriteDeadline(time.Now().Add(patience))
	_ = w.conn.WriteMessage(kind, b) // a session that has ended shows in receive
}

// next returns the next message, or how the connection ended.
func (w *wire) next() (wamp.Message, error) {
	_ = w.conn.SetReadDeadline(time.Now().Add(patience))
	_, b, err := w.conn.ReadMessage()
	if err != nil {
		return nil, err
	}
	return w.format.Decode(b)
}

func (w *wire) receive() wamp.Message {
	w.t.Helper()
	m, err := w.next()
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// call calls a procedure and returns its RESULT or ERROR.
func (w *wire) call(procedure string, args wamp.List, kwargs wamp.Dict) wamp.Message {
	w.t.Helper()
	w.id++
	w.send(&wamp.Call{Request: w.id, Options: wamp.Dict{}, Procedure: wamp.URI(procedure), Arguments: args, ArgumentsKw: kwargs})
	for {
		switch m := w.receive().(type) {
		case *wamp.Event:
			continue
		case *wamp.Result:
			return m
		default:
			return m
		}
	}
}

func (w *wire) result(procedure string, args wamp.List, kwargs wamp.Dict) *wamp.Result {
	w.t.Helper()
	m := w.call(procedure, args, kwargs)
	r, ok := m.(*wamp.Result)
	if !ok {
		w.t.Fatalf("%s(%v, %v): %s", procedure, args, kwargs, describe(m))
	}
	return r
}

func describe(m wamp.Message) string {
	if e, ok := m.(*wamp.Error); ok {
		return fmt.Sprintf("%s %v %v", e.Error, e.Arguments, e.ArgumentsKw)
	}
	return fmt.Sprintf("%#v", m)
}

// ended reads until the connection ends, and returns the reason that the bus
// gave in GOODBYE or ABORT, "" when it gave none.
func (w *wire) ended() (reason wamp.URI) {
	w.t.Helper()
	for {
		m, err := w.next()
		if err != nil {
			if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
				w.t.Error("the session goes on")
				return "none: it goes on"
			}
			return reason
		}
		switch m := m.(type) {
		case *wamp.Goodbye:
			reason = m.Reason
		case *wamp.Abort:
			reason = m.Reason
		}
	}
}

// alive fails unless the house still serves others.
func (h *house) alive(t *testing.T) {
	t.Helper()
	c, err := client.Dial(deadline(t), h.url, client.Options{Unverified: true})
	if err != nil {
		t.Fatalf("the house is down: %v", err)
	}
	defer c.Close()
	if _, err := c.Head(deadline(t)); err != nil {
		t.Fatalf("the house is down: %v", err)
	}
}

func number(t *testing.T, v any) uint64 {
	t.Helper()
	n, ok := codec.Integer(v)
	if !ok || n < 0 {
		t.Fatalf("%#v is no number", v)
	}
	return uint64(n)
}
