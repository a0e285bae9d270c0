package wampbus

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gammazero/nexus/v3/wamp"
	"github.com/gorilla/websocket"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/examples/bank"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/examples/bank/account/accountview"
	"github.com/verbatim-es/verbatim/projection"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
	"github.com/verbatim-es/verbatim/wampbus/internal/rawsocket"
)

// recording is a connection on which these bytes come, and then nothing.
type recording struct {
	net.Conn // nil: what is not here is not used
	in       io.Reader
	out      bytes.Buffer
}

func (r *recording) Read(b []byte) (int, error)       { return r.in.Read(b) }
func (r *recording) Write(b []byte) (int, error)      { return r.out.Write(b) }
func (r *recording) Close() error                     { return nil }
func (r *recording) SetDeadline(time.Time) error      { return nil }
func (r *recording) SetReadDeadline(time.Time) error  { return nil }
func (r *recording) SetWriteDeadline(time.Time) error { return nil }

// received returns the messages that come over a transport, until it fails.
func received(t *testing.T, conn net.Conn, format codec.Format, over transport, limit int) (messages [][]byte) {
	t.Helper()
	b := &Bus{limits: Limits{Queue: 1 << 20, KeepAlive: time.Hour, Handshake: time.Hour}, keeper: newKeeper(time.Hour)}
	newSession(b, conn, format, over, time.Now())
	for {
		m, err := over.receive()
		if err != nil {
			return messages
		}
		if len(m) > limit {
			t.Errorf("a message of %d bytes, at most are %d", len(m), limit)
		}
		messages = append(messages, m)
	}
}

// FuzzRawSocket: whatever a client sends from its first octet on, the answer is
// a greeting or a refusal, and messages are within the bound.
func FuzzRawSocket(f *testing.F) {
	f.Add([]byte("\x7f\xf2\x00\x00\x00\x00\x00\x02hi\x01\x00\x00\x01p\x02\x00\x00\x00\x00\x00\x00\x01!"), uint16(600))
	f.Add([]byte("\x7f\xf2\x00\x00\x00\xff\xff\xff"), uint16(1))
	f.Add([]byte("\x7f\xf2\x00\x00\x07"), uint16(0xffff))
	f.Add([]byte("\x7f\xf4\x00\x00"), uint16(600))
	f.Add([]byte("\x7f\xf1\x01\x00"), uint16(600))
	f.Add([]byte("GET / HTTP/1.1\r\n"), uint16(600))
	f.Fuzz(func(t *testing.T, b []byte, limit uint16) {
		conn := &recording{in: bytes.NewReader(b)}
		raw, format, err := greetRaw(conn, int(limit))
		if err != nil {
			if n := conn.out.Len(); n != 0 && (n != 4 || rawsocket.Hello(conn.out.Bytes()).Answers(format) == nil) {
				t.Errorf("%v is answered with % x", err, conn.out.Bytes())
			}
			return
		}
		received(t, conn, format, raw, max(int(limit), rawsocket.Shortest))
	})
}

// hijacked is the response to an upgrade.
type hijacked struct {
	*httptest.ResponseRecorder
	conn net.Conn
}

func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReader(h.conn), bufio.NewWriter(h.conn)), nil
}

// FuzzWebSocket: whatever frames come, messages are within the bound and of the
// subprotocol's kind.
func FuzzWebSocket(f *testing.F) {
	frame := func(first byte, payload string) []byte { // masked, as clients send them
		b := append([]byte{first, 0x80 | byte(len(payload)), 1, 2, 3, 4}, payload...)
		for i := range payload {
			b[6+i] ^= b[2+i%4]
		}
		return b
	}
	f.Add(frame(0x82, "a message"), uint8(0))
	f.Add(frame(0x81, "[6,{},\"a\"]"), uint8(2))
	f.Add(append(frame(0x02, "in two "), append(frame(0x89, "ping"), frame(0x80, "parts")...)...), uint8(1))
	f.Add(append(frame(0x8a, ""), frame(0x88, "\x03\xe8bye")...), uint8(0))
	f.Add(frame(0xc2, "compressed"), uint8(0))
	f.Add([]byte{0x82, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4}, uint8(0))
	f.Add([]byte{0x82, 0x02, 'h', 'i'}, uint8(0)) // not masked
	f.Fuzz(func(t *testing.T, b []byte, kind uint8) {
		const limit = 64
		format := codec.Formats[int(kind)%len(codec.Formats)]
		conn := &recording{in: bytes.NewReader(b)}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header = http.Header{"Connection": {"upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="}}
		upgraded, err := new(websocket.Upgrader).Upgrade(hijacked{httptest.NewRecorder(), conn}, r, nil)
		if err != nil {
			if len(b) > 0 {
				return // frames before the answer
			}
			t.Fatal(err)
		}
		received(t, conn, format, newWebSocket(upgraded, format, limit), limit)
	})
}

// guest is whom the answers of a fuzzed call go to.
type guest struct{ ctx context.Context }

func (g guest) alive() context.Context                         { return g.ctx }
func (g guest) patient() context.Context                       { return g.ctx }
func (guest) reserve(context.Context, *pendingCall, int) error { return nil }
func (guest) page() int                                        { return 1 << 20 }

// FuzzCall: whatever a caller sends to any procedure, by any format, is answered,
// or refused with an error of the protocol. Both can be sent in every format.
func FuzzCall(f *testing.F) {
	store, err := memstore.New(account.Schema)
	if err != nil {
		f.Fatal(err)
	}
	views, err := projection.Open(f.TempDir(), store, projection.Options{Logger: slog.New(slog.DiscardHandler)}, accountview.Balances(bank.Balances{}))
	if err != nil {
		f.Fatal(err)
	}
	bus, err := New(Options{
		Log: store, Schemas: store.Schemas(), Views: views, Anonymous: Reader, Logger: slog.New(slog.DiscardHandler),
		Handlers: []CommandHandler{account.NewHandler(store, bank.Teller{}, aggregate.Options{})},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _, _ = bus.Close(), views.Close() })
	if _, err := bus.Handle("bank.own", Procedure{Role: Reader, Args: []string{account.TransferType}, Serve: func(_ context.Context, r *Request) (Reply, error) {
		return Reply{Args: r.Args}, nil
	}}); err != nil {
		f.Fatal(err)
	}
	for _, c := range calls() {
		for i, format := range codec.Formats {
			b, err := format.Append(nil, c)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(uint8(i), b)
		}
	}
	f.Fuzz(func(t *testing.T, kind uint8, b []byte) {
		m, err := codec.Formats[int(kind)%len(codec.Formats)].Decode(b)
		call, ok := m.(*wamp.Call)
		if err != nil || !ok || sanitize(m) != nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
		defer cancel()
		pattern, serve := bus.dispatcher.find(string(call.Procedure))
		in := &invocation{
			bus: bus, caller: &caller{party: guest{ctx}, call: new(pendingCall), roles: Admin},
			arguments: newArguments(call.Arguments, call.ArgumentsKw), name: string(call.Procedure[min(len(pattern), len(call.Procedure)):]),
		}
		var out wamp.Message
		result, err := serve(ctx, in)
		if err != nil {
			uri, args, kwargs := errorParts(err)
			if _, _, known := knownFacts(err); !known && !errors.Is(err, ctx.Err()) {
				t.Errorf("%s(%v, %v): %v has no place in the protocol", call.Procedure, call.Arguments, call.ArgumentsKw, err)
			}
			out = &wamp.Error{Type: wamp.CALL, Request: 1, Details: wamp.Dict{}, Error: uri, Arguments: args, ArgumentsKw: kwargs}
		} else {
			out = &wamp.Result{Request: 1, Details: wamp.Dict{}, Arguments: result.args, ArgumentsKw: result.kwargs}
		}
		for _, format := range codec.Formats {
			if _, err := format.Append(nil, out); err != nil {
				t.Errorf("%s(%v, %v) can't be answered in %v: %v", call.Procedure, call.Arguments, call.ArgumentsKw, format, err)
			}
		}
	})
}

// calls are good ones and odd ones, of every procedure.
func calls() (all []*wamp.Call) {
	add := func(procedure string, args wamp.List, kwargs wamp.Dict) {
		all = append(all, &wamp.Call{Request: 1, Options: wamp.Dict{}, Procedure: wamp.URI(procedure), Arguments: args, ArgumentsKw: kwargs})
	}
	open := account.NewOpened("ada")
	one := wamp.List{open.Type, open.Data, wamp.Dict{
		"stream": "account-1", "tags": wamp.List{"a:b"}, "metadata": wamp.Dict{"k": "v"}, "schema": "0123456789abcdef",
		"causation": "01J00000000000000000000000", "correlation": "01J00000000000000000000000",
	}}
	add("es.info", nil, nil)
	add("es.head", nil, nil)
	add("es.schemas", nil, nil)
	add("es.read", nil, wamp.Dict{"after": 1, "stream": "account-1", "limit": 3, "max_bytes": 100, "wait_ms": 1})
	add("es.read", nil, wamp.Dict{"after_id": "01J00000000000000000000000", "category": "account", "backward": true})
	add("es.read", nil, wamp.Dict{"since": "2026-11-22T08:00:00Z", "types": wamp.List{"bank.account."}, "tags": wamp.List{"a:b"}})
	add("es.read", nil, wamp.Dict{"from_version": 2.0, "stream": "account-1", "store": "01J00000000000000000000000"})
	add("es.read", nil, wamp.Dict{"query": wamp.List{wamp.Dict{"types": wamp.List{"a"}, "tags": wamp.List{"b:c"}}}})
	add("es.append", wamp.List{one, one}, wamp.Dict{"stream": "account-2", "expect": "none", "key": "k", "store": "01J00000000000000000000000"})
	add("es.append", wamp.List{wamp.List{open.Type, open.Data}}, wamp.Dict{"stream": "account-3", "expect": 7})
	add("es.append", wamp.List{one}, wamp.Dict{"conditions": wamp.List{wamp.Dict{"stream": "account-1", "expect": "exists"}, wamp.Dict{"query": wamp.List{wamp.Dict{"types": wamp.List{"a"}}}, "after": 1}}})
	add("es.append", wamp.List{wamp.List{open.Type, open.Data, wamp.Dict{"metadata": wamp.List{wamp.List{"k", "v"}}}}}, nil)
	add("es.key", wamp.List{"k"}, nil)
	add("es.schema", nil, wamp.Dict{"type": account.OpenedType})
	add("es.schema", nil, wamp.Dict{"fingerprint": "0123456789abcdef"})
	add("es.schema.register", wamp.List{account.Schema[0].BFBS}, nil)
	add("es.schema.register", wamp.List{account.Schema[0].BFBS[:200]}, nil)
	add("es.command.account.open", wamp.List{"7", account.NewOpen("ada")}, wamp.Dict{"key": "k", "expect": 0, "schema": "0123456789abcdef", "metadata": wamp.Dict{"a": "b"}})
	add("es.command.account.credit", wamp.List{"7", account.NewCredit(account.CreditFields{Amount: 7, Memo: "m"})}, nil)
	add("es.view.balances.get", wamp.List{"7"}, wamp.Dict{"at_least": 1, "wait_ms": 1})
	add("es.view.balances.list", nil, wamp.Dict{"from": "1", "to": wamp.List{"7"}, "backward": true, "limit": 2, "cursor": "AQAAAAB4"})
	add("es.view.balances.by_balance", wamp.List{"9007199254740993"}, nil)
	add("es.view.balances.by_owner", wamp.List{"ada"}, wamp.Dict{"at_least": 1 << 50})
	add("es.nothing", wamp.List{nil}, wamp.Dict{"": 1.5})
	add("bank.own", wamp.List{account.NewTransfer("2", account.TransferFields{Amount: 7})}, wamp.Dict{"any": true})
	return all
}
