package wampbus_test

import (
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/wampbus"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// steadily calls fn again and again, with pauses, until it returns false.
func steadily(every time.Duration, fn func() bool) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for fn() {
		<-tick.C
	}
}

func impatient(o *wampbus.Options) {
	o.Limits.KeepAlive, o.Limits.Write = 400*time.Millisecond, 400*time.Millisecond
}

// A client that takes a page slowly, and answers no ping before it has come to
// it, gets all of it.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	h := open(t, impatient)
	memo := strings.Repeat("m", 100<<10)
	for range 9 {
		if _, err := h.store.Append(deadline(t), event.Append{Stream: "account-1", Events: []event.Proposed{account.NewCredited(account.CreditedFields{Amount: 1, Memo: memo})}}); err != nil {
			t.Fatal(err)
		}
	}
	w := rawJoin(t, h.raw(t, "unix"), codec.MessagePack, 15)
	w.send(&wamp.Call{Request: 1, Options: wamp.Dict{}, Procedure: "es.read", ArgumentsKw: wamp.Dict{"max_bytes": 1 << 20}})
	var head [4]byte
	for head[0] = 1; head[0] != 0; {
		if _, err := io.ReadFull(w.conn, head[:]); err != nil {
			t.Fatal(err)
		}
	}
	left := int(binary.BigEndian.Uint32(head[:]))
	if left < 900<<10 {
		t.Fatalf("the page has %d bytes", left)
	}
	piece := make([]byte, 8<<10)
	steadily(15*time.Millisecond, func() bool {
		n, err := io.ReadFull(w.conn, piece[:min(left, len(piece))])
		if left -= n; err != nil {
			t.Fatalf("%d bytes before the end: %v", left, err)
		}
		return left > 0
	})
}

// A client that sends a message slowly is heard, whatever the transport.
func TestSlowSender(t *testing.T) {
	t.Parallel()
	h := open(t, impatient)
	raw := rawJoin(t, h.raw(t, "tcp"), codec.MessagePack, 15)
	b, err := codec.MessagePack.Append(nil, &wamp.Call{Request: 1, Options: wamp.Dict{}, Procedure: "es.head", Arguments: wamp.List{strings.Repeat("x", 10000)}})
	if err != nil {
		t.Fatal(err)
	}
	send := func(conn net.Conn, frame []byte) {
		piece := len(frame)/30 + 1
		steadily(40*time.Millisecond, func() bool {
			n, err := conn.Write(frame[:min(piece, len(frame))])
			if err != nil {
				t.Fatalf("%d bytes before the end: %v", len(frame), err)
			}
			frame = frame[n:]
			return len(frame) > 0
		})
	}
	send(raw.conn, append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...))
	if m, err := raw.next(); err != nil || m.MessageType() != wamp.ERROR {
		t.Errorf("RawSocket: %#v, %v", m, err)
	}
	ws := h.join(t, codec.MessagePack)
	send(ws.conn.NetConn(), append(append(binary.BigEndian.AppendUint16([]byte{0x82, 0xfe}, uint16(len(b))), 0, 0, 0, 0), b...))
	if m, err := ws.next(); err != nil || m.MessageType() != wamp.ERROR {
		t.Errorf("WebSocket: %#v, %v", m, err)
	}
}

// A request whose body never comes holds its connection no longer than a
// handshake may take, and connections that are no sessions yet are bounded.
func TestSlowRequest(t *testing.T) {
	t.Parallel()
	h := open(t, func(o *wampbus.Options) { o.Limits.Handshake, o.Limits.Sessions = 500*time.Millisecond, 2 })
	address := strings.TrimSuffix(strings.TrimPrefix(h.url, "ws://"), "/")
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(patience))
		return conn
	}
	for range 2 {
		if _, err := dial().Write([]byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
	}
	third := dial()
	_, _ = third.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
	if r, err := http.ReadResponse(newReader(third), nil); err == nil {
		t.Errorf("one connection too many was answered with %s", r.Status)
	}
	eventually(t, "there is room again", func() bool {
		conn := dial()
		_, _ = conn.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
		r, err := http.ReadResponse(newReader(conn), nil)
		return err == nil && r.StatusCode == http.StatusUpgradeRequired
	})
}
