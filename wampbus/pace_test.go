package wampbus

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gammazero/nexus/v3/wamp"
	"github.com/gorilla/websocket"

	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// The publisher waits while the channel of a session is more than half full.
func TestPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := &session{out: make(chan wamp.Message, 8), eased: make(chan struct{}, 1), ctx: ctx}
		b := &Bus{sessions: map[*session]struct{}{s: {}}}
		paced := make(chan struct{})
		pace := func() { b.pace(t.Context()); paced <- struct{}{} }
		for range 4 {
			s.out <- &wamp.Event{}
		}
		go pace()
		<-paced
		s.out <- &wamp.Event{}
		s.eased <- struct{}{} // from before
		go pace()
		synctest.Wait()
		select {
		case <-paced:
			t.Fatal("it did not wait")
		default:
		}
		for len(s.out) > 0 {
			<-s.out
		}
		s.eased <- struct{}{}
		<-paced
		for range 8 {
			s.out <- &wamp.Event{}
		}
		go pace()
		synctest.Wait()
		cancel() // a session that is over holds up nobody
		<-paced
	})
}

// A session whose channel was full may have lost a message: it is ended, and
// told where to go on.
func TestFullChannel(t *testing.T) {
	t.Parallel()
	var limits Limits
	if err := limits.setDefaults(); err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(over)
		conn, err := new(websocket.Upgrader).Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		s := newSession(&Bus{limits: limits, log: slog.New(slog.DiscardHandler)}, conn, codec.MessagePack, true)
		s.joined.Store(true)
		for range cap(s.out) {
			s.out <- &wamp.Event{Subscription: 1, Publication: 1}
		}
		go s.read()
		go s.pump()
		close(s.attached)
		go func() {
			for range s.in { // the router's part: it lets go of what has ended
			}
			s.Close()
		}()
		s.write()
	}))
	defer server.Close()
	conn, _, err := websocket.DefaultDialer.Dial("ws"+server.URL[len("http"):], nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	var reason wamp.URI
	for {
		_, b, err := conn.ReadMessage()
		if err != nil {
			break
		}
		m, err := codec.MessagePack.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if goodbye, ok := m.(*wamp.Goodbye); ok {
			reason = goodbye.Reason
		}
	}
	if reason != reasonTooSlow {
		t.Errorf("ended with %q", reason)
	}
	_ = conn.Close()
	<-over
}
