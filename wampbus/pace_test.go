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

// The publisher waits for a session that is crowded until its queue is down to
// a quarter, for no longer than its grace, and then not again before the queue
// was empty once.
func TestPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := &session{box: newOutbox(100, &webSocket{}), ctx: ctx}
		fill := func(want bool) {
			t.Helper()
			if _, crowded := s.box.put(frameMessage, codec.Parts{Head: make([]byte, 28)}, 0); crowded != want {
				t.Errorf("crowded is %v, want %v", crowded, want)
			}
		}
		paced := func() time.Duration {
			began := time.Now()
			s.pace(t.Context(), began.Add(graceTime))
			return time.Since(began)
		}
		fill(false)
		fill(true)
		frames, _ := s.box.take()
		go func() {
			time.Sleep(graceTime / 4)
			s.box.written(20, frames)
			time.Sleep(graceTime / 4)
			s.box.written(20, frames)
		}()
		if took := paced(); took != graceTime/2 {
			t.Errorf("it waited %v for a session that reads", took)
		}
		fill(false)
		fill(true)
		if took := paced(); took != graceTime {
			t.Errorf("it waited %v for one that does not", took)
		}
		if took := paced(); took != 0 {
			t.Errorf("it waited %v for one that has not read since", took)
		}
		for range 2 { // the second finds it empty
			frames, _ = s.box.take()
			s.box.written(frames.size, frames)
		}
		fill(false)
		fill(true)
		go func() {
			time.Sleep(graceTime / 4)
			cancel()
		}()
		if took := paced(); took != graceTime/4 {
			t.Errorf("it waited %v for one that is over", took)
		}
	})
}

// Sessions that do not read are waited for together.
func TestPaceTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &Bus{crowded: make(map[*session]struct{})}
		for range 5 {
			s := &session{box: newOutbox(100, &webSocket{}), ctx: t.Context()}
			s.box.put(frameMessage, codec.Parts{Head: make([]byte, 60)}, 0)
			b.crowded[s] = struct{}{}
		}
		began := time.Now()
		if b.pace(t.Context()); time.Since(began) != graceTime || len(b.crowded) > 0 {
			t.Errorf("it waited %v, and %d are left", time.Since(began), len(b.crowded))
		}
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
		s := newSession(&Bus{limits: limits, log: slog.New(slog.DiscardHandler), fanout: newFanout()}, conn.NetConn(), codec.MessagePack, newWebSocket(conn, codec.MessagePack, limits.Message), time.Now())
		s.joined.Store(true)
		for range cap(s.out) {
			s.out <- &wamp.Unsubscribed{}
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
