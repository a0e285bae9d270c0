//go:build !race

package wampbus

import (
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// sink is the transport and the connection of a client that takes everything,
// and has sent what script holds.
type sink struct {
	net.Conn
	script chan []byte
	gone   chan struct{}
	once   sync.Once
	frames *atomic.Int64 // messages that were queued for it
}

func (*sink) name() string   { return "sink" }
func (*sink) serve(*session) {}
func (s *sink) receive() ([]byte, error) {
	select {
	case b := <-s.script:
		return b, nil
	case <-s.gone:
		return nil, errLeft
	}
}
func (s *sink) appendHead(dst []byte, kind frame, n int) []byte {
	if kind == frameMessage {
		s.frames.Add(1)
	}
	return appendFrameHead(dst, opBinary, n)
}
func (*sink) appendClose(dst []byte, _ uint16, _ string) []byte { return dst }
func (*sink) most() int                                         { return 1 << 30 }
func (*sink) Read([]byte) (int, error)                          { return 0, errLeft }
func (*sink) Write(b []byte) (int, error)                       { return len(b), nil }
func (s *sink) Close() error                                    { s.once.Do(func() { close(s.gone) }); return nil }
func (*sink) RemoteAddr() net.Addr                              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (s *sink) SetReadDeadline(t time.Time) error {
	if !t.IsZero() && time.Until(t) <= 0 { // the session is over
		return s.Close()
	}
	return nil
}
func (*sink) SetWriteDeadline(time.Time) error { return nil }

// A delivery to one of ten subscribers costs the bus and its sessions half an
// allocation at most, all of them together: frames are encoded once and shared.
func TestDeliveryAllocs(t *testing.T) {
	store, err := memstore.New(account.Schema)
	if err != nil {
		t.Fatal(err)
	}
	b, err := New(Options{Log: store, Schemas: store.Schemas(), Anonymous: Reader, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	for _, subscription := range []struct{ match, topic string }{{"exact", "es.event.x"}, {"prefix", "es.event."}} {
		for _, size := range []int{1 << 10, 64 << 10} {
			t.Run(subscription.match, func(t *testing.T) {
				const subscribers, events = 10, 200
				var frames atomic.Int64
				until := func(n int64) {
					for end := time.Now().Add(time.Minute); frames.Load() < n; {
						if time.Now().After(end) {
							t.Fatalf("%d of %d messages were delivered", frames.Load(), n)
						}
						time.Sleep(100 * time.Microsecond)
					}
				}
				var sinks sync.WaitGroup
				defer sinks.Wait()
				for range subscribers {
					s := &sink{script: make(chan []byte, 2), gone: make(chan struct{}), frames: &frames}
					for _, m := range []wamp.Message{
						&wamp.Hello{Realm: "verbatim", Details: wamp.Dict{"roles": wamp.Dict{"subscriber": wamp.Dict{}}}},
						&wamp.Subscribe{Request: 1, Options: wamp.Dict{"match": subscription.match}, Topic: wamp.URI(subscription.topic)},
					} {
						bytes, err := codec.MessagePack.Append(nil, m)
						if err != nil {
							t.Fatal(err)
						}
						s.script <- bytes
					}
					client := newSession(b, s, codec.MessagePack, s, time.Now())
					if err := b.sessions.add(client); err != nil {
						t.Fatal(err)
					}
					sinks.Go(func() { client.run(transportDetails("test", "", client)); b.sessions.remove(client) })
					defer client.leave(wamp.CloseRealm, closeNormal, "")
				}
				until(2 * subscribers)
				record, sent := make([]byte, size), frames.Load()
				run := func() {
					for i := range events {
						p := &publication{topic: "es.event.x", record: record, position: uint64(i)}
						b.publish(p)
						b.pace(t.Context())
					}
					sent += subscribers * events
					until(sent)
				}
				perDelivery := testing.AllocsPerRun(10, run) / (subscribers * events)
				t.Logf("%d bytes: %.2f allocations per delivery", size, perDelivery)
				if perDelivery > 0.5 {
					t.Errorf("%d bytes: %.2f allocations per delivery, want 0.5 at most", size, perDelivery)
				}
			})
		}
	}
}
