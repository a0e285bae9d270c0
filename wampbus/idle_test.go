//go:build !race

package wampbus_test

import (
	"net"
	"runtime"
	"testing"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/wampbus"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// heap is what is in use after everything else was collected.
func heap() (bytes int64, goroutines int) {
	var m runtime.MemStats
	for range 3 { // finalizers, and what they let go of
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc), runtime.NumGoroutine()
}

// An idle session with one subscription takes less than 40 KiB of heap, over
// either transport, its own client's included, and no more than six goroutines.
func TestIdleSessionAllocs(t *testing.T) {
	const sessions = 400
	for _, transport := range []string{"websocket", "rawsocket"} {
		store, err := memstore.New(account.Schema)
		if err != nil {
			t.Fatal(err)
		}
		h := serve(t, wampbus.Options{Log: store, Schemas: store.Schemas(), Anonymous: wampbus.Reader})
		raw := h.raw(t, "tcp")
		hello, err := codec.MessagePack.Append(nil, &wamp.Hello{Realm: "verbatim", Details: everyRole})
		if err != nil {
			t.Fatal(err)
		}
		subscribe := &wamp.Subscribe{Request: 1, Options: wamp.Dict{"match": "prefix"}, Topic: "es.event."}
		conns := make([]net.Conn, 0, sessions)
		before, goroutines := heap()
		for range sessions {
			if transport == "websocket" {
				w := h.connect(t, codec.MessagePack)
				w.sendBytes(hello)
				w.welcomed()
				w.send(subscribe)
				w.receive()
				conns = append(conns, w.conn.NetConn())
			} else {
				w := rawConnect(t, raw, codec.MessagePack, 15)
				w.frame(0, hello)
				_, _ = w.next()
				w.send(subscribe)
				_, _ = w.next()
				conns = append(conns, w.conn)
			}
		}
		if n := h.bus.Stats().SessionsBy[transport]; n != sessions {
			t.Fatalf("%d sessions by %s", n, transport)
		}
		after, more := heap()
		each, routines := (after-before)/sessions, float64(more-goroutines)/sessions
		t.Logf("%s: %d bytes of heap and %.1f goroutines each", transport, each, routines)
		if each > 40<<10 || routines > 6 {
			t.Errorf("%s: an idle session takes %d bytes of heap and %.1f goroutines", transport, each, routines)
		}
		for _, conn := range conns {
			_ = conn.Close()
		}
		eventually(t, "the sessions are gone", func() bool { return h.bus.Stats().Sessions == 0 })
		eventually(t, "their goroutines are gone", func() bool { return runtime.NumGoroutine() <= goroutines+20 })
	}
}
