package wampbus_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"log/slog"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	nexus "github.com/gammazero/nexus/v3/client"
	"github.com/gammazero/nexus/v3/transport/serialize"
	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/wampbus"
	"github.com/verbatim-es/verbatim/wampbus/client"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

var rawNumbers = map[codec.Format]byte{codec.JSON: 1, codec.MessagePack: 2, codec.CBOR: 3}

// raw serves the house by RawSocket, too.
func (h *house) raw(t *testing.T, network string) net.Listener {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	h.serveRaw(t, listener)
	return listener
}

func (h *house) serveRaw(t *testing.T, listener net.Listener) {
	t.Helper()
	over := make(chan error, 1)
	go func() { over <- h.bus.ServeRawSocket(context.Background(), listener) }()
	t.Cleanup(func() { // runs before the bus's own
		_ = h.bus.Close()
		if err := <-over; err != nil {
			t.Errorf("ServeRawSocket: %v", err)
		}
	})
}

// rawWire is a client that sends whatever it is told.
type rawWire struct {
	t      *testing.T
	conn   net.Conn
	format codec.Format
}

func rawDial(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	conn, err := net.Dial(l.Addr().Network(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// rawConnect shakes hands; the client takes 2^(9+exponent) bytes.
func rawConnect(t *testing.T, l net.Listener, f codec.Format, exponent byte) *rawWire {
	t.Helper()
	w := &rawWire{t, rawDial(t, l), f}
	if answer := rawGreet(t, w.conn, []byte{0x7f, exponent<<4 | rawNumbers[f], 0, 0}); answer[0] != 0x7f || answer[1]&0xf != rawNumbers[f] {
		t.Fatalf("handshake: answered with % x", answer)
	}
	return w
}

func rawJoin(t *testing.T, l net.Listener, f codec.Format, exponent byte) *rawWire {
	t.Helper()
	w := rawConnect(t, l, f, exponent)
	w.send(&wamp.Hello{Realm: "verbatim", Details: everyRole})
	if m, err := w.next(); err != nil || m.MessageType() != wamp.WELCOME {
		t.Fatalf("not welcome: %#v, %v", m, err)
	}
	return w
}

func rawGreet(t *testing.T, conn net.Conn, hello []byte) []byte {
	t.Helper()
	if _, err := conn.Write(hello); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 4)
	_, _ = io.ReadFull(conn, answer)
	return answer
}

func (w *rawWire) frame(kind byte, b []byte) {
	_, _ = w.conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(kind)<<24|uint32(len(b))), b...))
}

func (w *rawWire) send(m wamp.Message) {
	w.t.Helper()
	b, err := w.format.Append(nil, m)
	if err != nil {
		w.t.Fatal(err)
	}
	w.frame(0, b)
}

func (w *rawWire) nextFrame() (kind byte, b []byte, err error) {
	var head [4]byte
	if _, err := io.ReadFull(w.conn, head[:]); err != nil {
		return 0, nil, err
	}
	b = make([]byte, binary.BigEndian.Uint32(head[:])&0xffffff)
	_, err = io.ReadFull(w.conn, b)
	return head[0], b, err
}

// next returns the next message; pings are answered.
func (w *rawWire) next() (wamp.Message, error) {
	for {
		kind, b, err := w.nextFrame()
		switch {
		case err != nil:
			return nil, err
		case kind == 0:
			return w.format.Decode(b)
		case kind == 1:
			w.frame(2, b)
		}
	}
}

// ended reads until the connection ends, and returns the reason it was given.
func (w *rawWire) ended() (reason wamp.URI) {
	w.t.Helper()
	for {
		m, err := w.next()
		if err != nil {
			if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
				w.t.Error("the session goes on")
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

// Over TCP and unix sockets, in every format, clients get the same bytes as the
// log has, live and in pages, small and large.
func TestRawSocket(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "unix"} {
		for _, f := range codec.Formats {
			t.Run(network+" "+f.String(), func(t *testing.T) {
				t.Parallel()
				h := open(t, nil)
				w := rawJoin(t, h.raw(t, network), f, 15)
				w.send(&wamp.Subscribe{Request: 1, Options: wamp.Dict{"match": "prefix"}, Topic: "es.event."})
				if m, err := w.next(); err != nil || m.MessageType() != wamp.SUBSCRIBED {
					t.Fatalf("%#v, %v", m, err)
				}
				h.deposit(t, "1", 3)
				memo := account.NewCredited(account.CreditedFields{Amount: 1, Memo: string(bytes.Repeat([]byte("m"), 100<<10))})
				if _, err := h.store.Append(deadline(t), event.Append{Stream: "account-1", Events: []event.Proposed{memo}}); err != nil {
					t.Fatal(err)
				}
				var live, stored []byte
				for _, e := range h.events(t) {
					m, err := w.next()
					got, ok := m.(*wamp.Event)
					if !ok || err != nil || number(t, got.ArgumentsKw["position"]) != e.Position() {
						t.Fatalf("position %d: %#v, %v", e.Position(), m, err)
					}
					live = append(live, got.Arguments[0].([]byte)...)
					stored = append(stored, e.Record()...)
				}
				if !bytes.Equal(live, stored) {
					t.Error("live events are not the bytes of the log")
				}
				w.frame(1, []byte("are you there"))
				if kind, b, err := w.nextFrame(); kind != 2 || string(b) != "are you there" || err != nil {
					t.Errorf("a ping is answered by %d %q, %v", kind, b, err)
				}
				w.send(&wamp.Call{Request: 2, Options: wamp.Dict{}, Procedure: "es.read"})
				m, err := w.next()
				if r, ok := m.(*wamp.Result); !ok || err != nil || !bytes.Equal(r.Arguments[0].([]byte), stored) {
					t.Errorf("a page: %v", err)
				}
				w.send(&wamp.Goodbye{Reason: wamp.CloseRealm, Details: wamp.Dict{}})
				if reason := w.ended(); reason != wamp.CloseGoodbyeAndOut {
					t.Errorf("GOODBYE was answered with %q", reason)
				}
			})
		}
	}
}

func TestRawSocketHandshake(t *testing.T) {
	t.Parallel()
	h := open(t, func(o *wampbus.Options) {
		o.Limits.Handshake, o.Limits.Message = 300*time.Millisecond, 5000
	})
	l := h.raw(t, "tcp")
	for name, c := range map[string]struct{ hello, want []byte }{
		"no magic":      {[]byte("GET "), []byte{0, 0, 0, 0}},
		"serializer 0":  {[]byte{0x7f, 0xf0, 0, 0}, []byte{0x7f, 0x10, 0, 0}},
		"serializer 4":  {[]byte{0x7f, 0xf4, 0, 0}, []byte{0x7f, 0x10, 0, 0}},
		"reserved":      {[]byte{0x7f, 0xf2, 0, 1}, []byte{0x7f, 0x30, 0, 0}},
		"its own limit": {[]byte{0x7f, 0xf2, 0, 0}, []byte{0x7f, 0x32, 0, 0}}, // 4 KiB are the most below 5000 bytes
		"half of it":    {[]byte{0x7f, 0xf2}, []byte{0, 0, 0, 0}},
		"nothing":       {nil, []byte{0, 0, 0, 0}},
	} {
		conn := rawDial(t, l)
		if answer := rawGreet(t, conn, c.hello); !bytes.Equal(answer, c.want) {
			t.Errorf("%s: answered with % x, want % x", name, answer, c.want)
		}
		_ = conn.Close()
	}
	silent := rawConnect(t, l, codec.MessagePack, 15)
	if reason := silent.ended(); reason != wamp.ErrProtocolViolation {
		t.Errorf("no HELLO: ended with %q", reason)
	}
	long := rawJoin(t, l, codec.MessagePack, 15)
	long.frame(0, make([]byte, 5001))
	if reason := long.ended(); reason != wamp.ErrProtocolViolation {
		t.Errorf("a message over the limit: ended with %q", reason)
	}
	l = open(t, func(o *wampbus.Options) { o.Limits.Sessions = 1 }).raw(t, "tcp")
	rawJoin(t, l, codec.MessagePack, 15)
	if answer := rawGreet(t, rawDial(t, l), []byte{0x7f, 0xf2, 0, 0}); !bytes.Equal(answer, []byte{0x7f, 0x40, 0, 0}) {
		t.Errorf("one session too many: answered with % x", answer)
	}
}

// Frames that are wrong end the session that sent them, and nothing else.
func TestRawSocketHostile(t *testing.T) {
	t.Parallel()
	h := open(t, func(o *wampbus.Options) { o.Limits.Handshake = 2 * time.Second })
	l := h.raw(t, "tcp")
	bystander := rawJoin(t, l, codec.CBOR, 15)
	for name, c := range map[string]struct {
		b    []byte
		want wamp.URI
	}{
		"frame type":     {[]byte{3, 0, 0, 0}, wamp.ErrProtocolViolation},
		"reserved bits":  {[]byte{8, 0, 0, 0}, wamp.ErrProtocolViolation},
		"empty message":  {[]byte{0, 0, 0, 0}, wamp.ErrProtocolViolation},
		"garbage":        {[]byte{0, 0, 0, 2, 0xde, 0xad}, wamp.ErrProtocolViolation},
		"ppt serializer": {append([]byte{0, 0, 0, 27}, "\x94\x30\x01\x81\xaeppt_serializer\x07\xa7es.head"...), wamp.ErrProtocolViolation},
	} {
		w := rawJoin(t, l, codec.MessagePack, 15)
		_, _ = w.conn.Write(c.b)
		if reason := w.ended(); reason != c.want {
			t.Errorf("%s: ended with %q", name, reason)
		}
	}
	for _, cut := range [][]byte{{0}, {0, 0xff, 0xff, 0xff}, {0, 0, 0, 9, 0x94, 0x30}, {1, 0, 0, 9}} {
		w := rawJoin(t, l, codec.MessagePack, 15)
		_, _ = w.conn.Write(cut)
		_ = w.conn.Close()
	}
	eventually(t, "only the bystander is left", func() bool { return h.bus.Stats().Sessions == 1 })
	bystander.frame(2, []byte("nobody asked"))
	bystander.send(&wamp.Call{Request: 1, Options: wamp.Dict{}, Procedure: "es.head"})
	if m, err := bystander.next(); err != nil || m.MessageType() != wamp.RESULT {
		t.Errorf("the bystander: %#v, %v", m, err)
	}
}

// A client gets no message that is longer than it said it takes: pages are cut
// to what it takes, a record that is alone too long is refused, or ends the
// session that subscribed to it.
func TestRawSocketClientLimit(t *testing.T) {
	t.Parallel()
	for _, f := range codec.Formats {
		h := open(t, nil)
		w := rawJoin(t, h.raw(t, "tcp"), f, 3) // 4096 bytes
		h.deposit(t, "1", 50)
		w.send(&wamp.Call{Request: 1, Options: wamp.Dict{}, Procedure: "es.read"})
		m, err := w.next()
		if r, ok := m.(*wamp.Result); !ok || err != nil || number(t, r.ArgumentsKw["count"]) < 3 || r.ArgumentsKw["more"] != true {
			t.Errorf("%v: a page: %#v, %v", f, m, err)
		}
		memo := account.NewCredited(account.CreditedFields{Amount: 1, Memo: string(bytes.Repeat([]byte("m"), 5000))})
		if _, err := h.store.Append(deadline(t), event.Append{Stream: "account-1", Events: []event.Proposed{memo}}); err != nil {
			t.Fatal(err)
		}
		w.send(&wamp.Call{Request: 2, Options: wamp.Dict{}, Procedure: "es.read", ArgumentsKw: wamp.Dict{"after": 50}})
		m, err = w.next()
		if e, ok := m.(*wamp.Error); !ok || err != nil || e.Error != "es.error.too_large" || e.Request != 2 || number(t, e.ArgumentsKw["limit"]) != 4096 {
			t.Errorf("%v: a record too long: %#v, %v", f, m, err)
		}
		eventually(t, "the record was published", func() bool { return h.bus.Stats().PublishedPosition == 51 })
		w.send(&wamp.Subscribe{Request: 3, Options: wamp.Dict{"match": "prefix"}, Topic: "es.event."})
		if m, err := w.next(); err != nil || m.MessageType() != wamp.SUBSCRIBED {
			t.Fatalf("%#v, %v", m, err)
		}
		if _, err := h.store.Append(deadline(t), event.Append{Stream: "account-1", Events: []event.Proposed{memo}}); err != nil {
			t.Fatal(err)
		}
		if reason := w.ended(); reason != "es.close.too_large" {
			t.Errorf("%v: ended with %q", f, reason)
		}
	}
}

// The router's own client, as one of other people's, by RawSocket and by both
// transports under TLS.
func TestNexusClient(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	server, trusting := certificates(t)
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return tls.NewListener(l, server)
	}
	secure, web := listen(), listen()
	h.serveRaw(t, secure)
	over := make(chan error, 1)
	go func() { over <- h.bus.ServeWebSocket(context.Background(), web) }()
	t.Cleanup(func() { _ = h.bus.Close(); <-over })
	h.deposit(t, "1", 3)
	for _, url := range []string{
		"tcp://" + h.raw(t, "tcp").Addr().String(), "unix://" + h.raw(t, "unix").Addr().String(),
		"tcps://" + secure.Addr().String(), "wss://" + web.Addr().String() + "/",
	} {
		for _, s := range []serialize.Serialization{serialize.MSGPACK, serialize.CBOR, serialize.JSON} {
			config := nexus.Config{Realm: "verbatim", Serialization: s, Logger: slog.NewLogLogger(slog.DiscardHandler, 0)}
			if strings.HasPrefix(url, "tcps") || strings.HasPrefix(url, "wss") {
				config.TlsCfg = trusting
			}
			c, err := nexus.ConnectNet(deadline(t), url, config)
			if err != nil {
				t.Fatalf("%s: %v", url, err)
			}
			r, err := c.Call(deadline(t), "es.read", nil, nil, nil, nil)
			if err != nil || number(t, r.ArgumentsKw["count"]) != 3 {
				t.Errorf("%s: %v, %v", url, r, err)
			}
			if err := c.Close(); err != nil {
				t.Errorf("%s: %v", url, err)
			}
		}
	}
	c, err := client.Dial(deadline(t), "wss://"+web.Addr().String()+"/", client.Options{Unverified: true, TLS: trusting})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	plain := rawDial(t, secure)
	if answer := rawGreet(t, plain, []byte{0x7f, 0xf2, 0, 0}); answer[0] == 0x7f {
		t.Error("a TLS listener talks to clients without it")
	}
}

// certificates returns the configurations of a server and of its clients.
func certificates(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: pool}
}

// When its context ends, a RawSocket listener takes leave of its clients.
func TestRawSocketShutdown(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- h.bus.ServeRawSocket(ctx, l) }()
	w := rawJoin(t, l, codec.JSON, 15)
	half := rawDial(t, l) // says nothing
	other := h.join(t, codec.JSON)
	stop()
	if reason := w.ended(); reason != wamp.CloseSystemShutdown {
		t.Errorf("ended with %q", reason)
	}
	if _, err := half.Read(make([]byte, 1)); err == nil {
		t.Error("a connection without handshake goes on")
	}
	if err := <-over; err != nil {
		t.Error(err)
	}
	other.result("es.head", nil, nil)
}
