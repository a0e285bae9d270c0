package wampbus_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gammazero/nexus/v3/wamp"
	"github.com/gorilla/websocket"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/wampbus"
	"github.com/verbatim-es/verbatim/wampbus/client"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// Each of these ends the session that sent it, with a reason, and nothing else.
func TestHostileMessages(t *testing.T) {
	t.Parallel()
	h := open(t, func(o *wampbus.Options) { o.Limits.Message, o.Limits.Penalty = 1<<20, 1 })
	bystander := h.dial(t, client.Options{})
	seen := subscribe(t, bystander, "es.event.", client.Prefix)
	call := func(options wamp.Dict) wamp.Message {
		return &wamp.Call{Request: 1, Options: options, Procedure: "es.head"}
	}
	for name, m := range map[string]wamp.Message{
		"ppt serializer":    call(wamp.Dict{"ppt_scheme": "wamp", "ppt_serializer": 7}),
		"ppt cipher":        call(wamp.Dict{"ppt_cipher": []any{}}),
		"progressive call":  call(wamp.Dict{"progress": true}),
		"progress type":     call(wamp.Dict{"progress": "yes"}),
		"timeout type":      call(wamp.Dict{"timeout": "soon"}),
		"timeout negative":  call(wamp.Dict{"timeout": -1}),
		"match type":        &wamp.Subscribe{Request: 1, Options: wamp.Dict{"match": 7}, Topic: "es.head"},
		"match value":       &wamp.Subscribe{Request: 1, Options: wamp.Dict{"match": "regex"}, Topic: "es.head"},
		"cancel mode":       &wamp.Cancel{Request: 1, Options: wamp.Dict{"mode": "maim"}},
		"acknowledge":       &wamp.Publish{Request: 1, Options: wamp.Dict{"acknowledge": 1}, Topic: "es.head"},
		"yield":             &wamp.Yield{Request: 1, Options: wamp.Dict{"ppt_scheme": "x_", "ppt_serializer": 1}},
		"invocation error":  &wamp.Error{Type: wamp.INVOCATION, Request: 1, Error: "x.y"},
		"other error":       &wamp.Error{Type: wamp.CALL, Request: 1, Error: "x.y"},
		"welcome":           &wamp.Welcome{ID: 1},
		"event":             &wamp.Event{Subscription: 1, Publication: 1},
		"result":            &wamp.Result{Request: 1},
		"invocation":        &wamp.Invocation{Request: 1, Registration: 1},
		"interrupt":         &wamp.Interrupt{Request: 1},
		"challenge":         &wamp.Challenge{AuthMethod: "ticket"},
		"second hello":      &wamp.Hello{Realm: "verbatim", Details: everyRole},
		"hello roles":       &wamp.Hello{Realm: "verbatim", Details: wamp.Dict{"roles": "caller"}},
		"authenticate late": &wamp.Authenticate{Signature: "x"},
	} {
		for _, f := range codec.Formats {
			w := h.join(t, f)
			w.send(m)
			if reason := w.ended(); reason != wamp.ErrProtocolViolation {
				t.Errorf("%s over %v: ended with %q", name, f, reason)
			}
		}
	}
	for name, b := range map[string][]byte{
		"empty": {}, "garbage": []byte("\xde\xad\xbe\xef"), "not a list": {0x01}, "unknown type": {0x91, 0x7f}, "huge array": {0xdd, 0xff, 0xff, 0xff, 0xff},
		"deep": bytes.Repeat([]byte{0x91}, 10000), "extension": {0xc7, 0x01, 0x01, 0x00},
	} {
		w := h.join(t, codec.MessagePack)
		w.sendBytes(b)
		if reason := w.ended(); reason != wamp.ErrProtocolViolation {
			t.Errorf("%s: ended with %q", name, reason)
		}
	}
	w := h.join(t, codec.JSON)
	if err := w.conn.WriteMessage(websocket.BinaryMessage, []byte(`[48,1,{},"es.head"]`)); err != nil {
		t.Fatal(err)
	}
	if reason := w.ended(); reason != wamp.ErrProtocolViolation {
		t.Errorf("a binary frame of JSON: ended with %q", reason)
	}
	w = h.join(t, codec.MessagePack)
	w.sendBytes(make([]byte, 1<<20+1))
	w.ended()
	h.deposit(t, "1", 3)
	eventually(t, "the bystander is served", func() bool { return seen.len() == 3 })
	if status := bystander.Status(); status.Sessions != 1 {
		t.Errorf("the bystander's session ended: %+v", status)
	}
	eventually(t, "the sessions are gone", func() bool { return h.bus.Stats().Sessions == 1 })
}

// Who comes back right after a violation, again and again, is let in later, and
// who is in already is not held up.
func TestViolatorsComeBack(t *testing.T) {
	t.Parallel()
	const penalty = 600 * time.Millisecond // not to be taken from the time for the handshake
	h := open(t, func(o *wampbus.Options) { o.Limits.Penalty, o.Limits.Handshake = penalty, penalty-100*time.Millisecond })
	raw := h.raw(t, "tcp")
	bystander := h.join(t, codec.MessagePack)
	offend := func() time.Duration {
		began := time.Now()
		w := h.join(t, codec.JSON)
		took := time.Since(began)
		w.send(&wamp.Result{Request: 1})
		if reason := w.ended(); reason != wamp.ErrProtocolViolation {
			t.Fatalf("ended with %q", reason)
		}
		return took
	}
	for n := 0; h.bus.Stats().Delayed == 0; n++ {
		if offend(); n > 100 {
			t.Fatal("none was let in later")
		}
	}
	for range 4 { // each doubles it
		offend()
	}
	if took := offend(); took < penalty {
		t.Errorf("a session joined after %v", took)
	}
	began := time.Now()
	rawJoin(t, raw, codec.CBOR, 15)
	if took := time.Since(began); took < penalty {
		t.Errorf("a session by RawSocket joined after %v", took)
	}
	bystander.result("es.head", nil, nil)
	waiting := h.connect(t, codec.CBOR)
	waiting.send(&wamp.Hello{Realm: "verbatim", Details: everyRole})
	if err := h.bus.Close(); err != nil {
		t.Error(err)
	}
	waiting.ended()
}

// That a handshake took too long may be the bus's doing, when it is slow: it must
// not make those who come back wait longer.
func TestSlowHandshakesAreNoOffence(t *testing.T) {
	t.Parallel()
	h := open(t, func(o *wampbus.Options) { o.Limits.Handshake = 50 * time.Millisecond })
	for range 30 {
		h.connect(t, codec.JSON)
	}
	eventually(t, "they are ended", func() bool { return h.bus.Stats().Ended == 30 })
	h.connect(t, codec.JSON).ended()
	if n := h.bus.Stats().Delayed; n != 0 {
		t.Errorf("%d sessions had to wait", n)
	}
}

// A request id that is in use would make the router take one call for another.
func TestRequestIDInUse(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	w := h.join(t, codec.CBOR)
	for range 2 {
		w.send(&wamp.Call{Request: 5, Options: wamp.Dict{}, Procedure: "es.read", ArgumentsKw: wamp.Dict{"wait_ms": 60000}})
	}
	if reason := w.ended(); reason != wamp.ErrProtocolViolation {
		t.Errorf("ended with %q", reason)
	}
	h.alive(t)
}

// Two SUBSCRIBEs under one id would have the answer to one taken for the other's,
// and put the session where it may not be, or in the place of others.
func TestSubscribeIDInUse(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	bystander := h.dial(t, client.Options{})
	seen := subscribe(t, bystander, "es.event.bank.account.credited", client.Exact)
	for _, second := range []wamp.Message{
		&wamp.Subscribe{Request: 5, Options: wamp.Dict{}, Topic: "es.event.bank.account.credited"},
		&wamp.Subscribe{Request: 5, Options: wamp.Dict{"match": "prefix"}, Topic: ""},
	} {
		w := h.join(t, codec.CBOR)
		var both []byte
		for _, m := range []wamp.Message{&wamp.Subscribe{Request: 5, Options: wamp.Dict{}, Topic: "es.event.unused"}, second} {
			b, err := w.format.Append(nil, m)
			if err != nil {
				t.Fatal(err)
			}
			// One write: the second is there before the first is answered.
			both = append(append(both, 0x82, 0x80|byte(len(b)), 0, 0, 0, 0), b...)
		}
		if _, err := w.conn.NetConn().Write(both); err != nil {
			t.Fatal(err)
		}
		_ = w.conn.WriteControl(websocket.CloseMessage, nil, time.Now().Add(patience))
		w.ended()
	}
	h.deposit(t, "1", 3)
	eventually(t, "the bystander is served", func() bool { return seen.len() == 2 })
}

// What clients may not do is refused, and the session goes on.
func TestNotAuthorized(t *testing.T) {
	t.Parallel()
	h := open(t, func(o *wampbus.Options) { o.Anonymous = wampbus.Reader })
	w := h.join(t, codec.MessagePack)
	victim := h.dial(t, client.Options{})
	forged := subscribe(t, victim, "es.", client.Prefix)
	id := wamp.ID(100)
	refused := func(what string, m wamp.Message, want wamp.URI) {
		t.Helper()
		w.send(m)
		for {
			switch m := w.receive().(type) {
			case *wamp.Event:
				continue
			case *wamp.Error:
				if roles, _ := wamp.AsList(m.ArgumentsKw["roles"]); m.Error != want || len(m.Arguments) != 1 || len(roles) != 1 || roles[0] != "reader" {
					t.Errorf("%s: %s", what, describe(m))
				}
				return
			default:
				t.Errorf("%s: got %#v", what, m)
				return
			}
		}
	}
	next := func() wamp.ID { id++; return id }
	for _, topic := range []wamp.URI{"es.event.bank.account.opened", "es.head", "other.topic", "wamp.session.on_join"} {
		refused("publish "+string(topic), &wamp.Publish{Request: next(), Options: wamp.Dict{"acknowledge": true}, Topic: topic, Arguments: wamp.List{"forged"}}, wamp.ErrNotAuthorized)
	}
	for _, c := range []struct{ procedure, match string }{
		{"es.read", ""}, {"es.", "prefix"}, {"e", "prefix"}, {"", "prefix"}, {".command.", "wildcard"}, {"..", "wildcard"}, {"com.example.x", ""}, {"wamp.session.count", ""},
	} {
		refused("register "+c.procedure, &wamp.Register{Request: next(), Options: wamp.Dict{"match": c.match, "invoke": "first"}, Procedure: wamp.URI(c.procedure)}, wamp.ErrNotAuthorized)
	}
	refused("unregister", &wamp.Unregister{Request: next(), Registration: 1}, wamp.ErrNotAuthorized)
	for _, c := range []struct{ topic, match string }{
		{"", "prefix"}, {"e", "prefix"}, {"es", "prefix"}, {".x.", "wildcard"}, {".event.", "wildcard"}, {"", "wildcard"}, {"es", "wildcard"},
		{"wamp.session.on_join", "exact"}, {"wamp.", "prefix"}, {"other", "exact"}, {"es", "exact"},
	} {
		refused("subscribe "+c.match+" "+c.topic, &wamp.Subscribe{Request: next(), Options: wamp.Dict{"match": c.match}, Topic: wamp.URI(c.topic)}, wamp.ErrNotAuthorized)
	}
	for _, procedure := range []wamp.URI{
		wamp.MetaProcSessionAddTestament, wamp.MetaProcSessionFlushTestaments, wamp.MetaProcSessionKill, wamp.MetaProcSessionKillAll, wamp.MetaProcSessionKillByAuthid,
		wamp.MetaProcSessionModifyDetails, wamp.MetaProcSessionList, wamp.MetaProcSessionGet, wamp.MetaProcEventHistory, wamp.MetaProcSubListSubscribers,
		"es.append", "es.key", "es.schema.register", "es.command.account.open", "other.procedure",
	} {
		refused("call "+string(procedure), &wamp.Call{Request: next(), Options: wamp.Dict{}, Procedure: procedure, Arguments: wamp.List{"es.event.x", []any{"forged"}, map[string]any{}}}, wamp.ErrNotAuthorized)
	}
	w.id = 1000
	if r := w.result("wamp.session.count", nil, nil); number(t, r.Arguments[0]) == 0 {
		t.Errorf("wamp.session.count says %v", r.Arguments)
	}
	for _, c := range []struct{ topic, match string }{{"es.", "prefix"}, {"es..", "wildcard"}, {"es.event..account.", "wildcard"}, {"es.head", "exact"}} {
		w.send(&wamp.Subscribe{Request: next(), Options: wamp.Dict{"match": c.match}, Topic: wamp.URI(c.topic)})
		if m, ok := w.receive().(*wamp.Subscribed); !ok {
			t.Errorf("subscribe %s %q: %#v", c.match, c.topic, m)
		}
	}
	_ = w.conn.Close() // a testament would be published now
	h.deposit(t, "1", 2)
	eventually(t, "the victim sees what happened", func() bool {
		n := 0
		for _, l := range forged.all() {
			if !l.Event.IsZero() {
				n++
			}
		}
		return n == 2
	})
	if status := victim.Status(); status.Sessions != 1 {
		t.Errorf("the victim's session ended: %+v", status)
	}
}

// Limits of a session are answered, and the session goes on.
func TestLimits(t *testing.T) {
	t.Parallel()
	h := open(t, func(o *wampbus.Options) { o.Limits.Calls, o.Limits.Subscriptions, o.Limits.Sessions = 3, 2, 2 })
	w := h.join(t, codec.MessagePack)
	for i := range 4 {
		w.send(&wamp.Call{Request: wamp.ID(i + 1), Options: wamp.Dict{}, Procedure: "es.read", ArgumentsKw: wamp.Dict{"wait_ms": 60000}})
	}
	m, ok := w.receive().(*wamp.Error)
	if !ok || m.Error != "es.error.too_large" || m.Request != 4 || m.ArgumentsKw["bound"] != "calls in flight" {
		t.Errorf("the fourth call: %#v", m)
	}
	h.deposit(t, "1", 1)
	for range 3 {
		if m, ok := w.receive().(*wamp.Result); !ok {
			t.Errorf("a call in flight: %#v", m)
		}
	}
	subscribe := func(id wamp.ID, topic wamp.URI) wamp.Message {
		w.send(&wamp.Subscribe{Request: id, Options: wamp.Dict{}, Topic: topic})
		return w.receive()
	}
	subscription := subscribe(10, "es.a").(*wamp.Subscribed).Subscription
	subscribe(11, "es.b")
	if m, ok := subscribe(12, "es.c").(*wamp.Error); !ok || m.Error != "es.error.too_large" || m.Request != 12 {
		t.Errorf("the third subscription: %#v", m)
	}
	w.send(&wamp.Unsubscribe{Request: 20, Subscription: subscription})
	w.receive()
	if m, ok := subscribe(21, "es.c").(*wamp.Subscribed); !ok {
		t.Errorf("after an unsubscribe: %#v", m)
	}
	h.join(t, codec.JSON)
	third := h.connect(t, codec.JSON)
	third.send(&wamp.Hello{Realm: "verbatim", Details: everyRole})
	if _, err := third.next(); !websocket.IsCloseError(err, websocket.CloseTryAgainLater) {
		t.Errorf("the third session: %v", err)
	}
}

// Over all sessions, too, subscriptions are limited, and those of a session that
// is over count no more.
func TestTotalSubscriptions(t *testing.T) {
	t.Parallel()
	h := open(t, func(o *wampbus.Options) { o.Limits.TotalSubscriptions = 2 })
	subscribe := func(w *wire, topic wamp.URI) wamp.Message {
		w.id++
		w.send(&wamp.Subscribe{Request: w.id, Options: wamp.Dict{}, Topic: topic})
		return w.receive()
	}
	first, second := h.join(t, codec.MessagePack), h.join(t, codec.MessagePack)
	for range 3 { // the same one again, and one that is refused
		subscribe(first, "es.a")
		subscribe(second, "es.b")
		subscribe(second, "other")
	}
	if m, ok := subscribe(second, "es.c").(*wamp.Error); !ok || m.Error != "es.error.unavailable" {
		t.Errorf("the third: %#v", m)
	}
	_ = first.conn.Close()
	eventually(t, "there is room again", func() bool {
		_, ok := subscribe(second, "es.c").(*wamp.Subscribed)
		return ok
	})
}

// Over all sessions, too, calls are limited.
func TestOverload(t *testing.T) {
	t.Parallel()
	h, log := openSpy(t, func(o *wampbus.Options) { o.Limits.TotalCalls = 1 })
	busy := h.join(t, codec.MessagePack)
	busy.send(&wamp.Call{Request: 1, Options: wamp.Dict{}, Procedure: "es.read", ArgumentsKw: longPoll})
	<-log.waits
	w := h.join(t, codec.MessagePack)
	m, ok := w.call("es.head", nil, nil).(*wamp.Error)
	if !ok || m.Error != "es.error.unavailable" || m.ArgumentsKw["outcome"] != "none" {
		t.Errorf("got %#v", m)
	}
	busy.send(&wamp.Cancel{Request: 1, Options: wamp.Dict{}})
	busy.receive()
	eventually(t, "there is room again", func() bool { return h.bus.Stats().CallsInFlight == 0 })
	w.result("es.head", nil, nil)
}

// Who calls a lot shuts nobody out who calls a little, and where nothing is left
// that is so for all.
func TestTotalCallsAreShared(t *testing.T) {
	t.Parallel()
	h, log := openSpy(t, func(o *wampbus.Options) { o.Limits.TotalCalls = 8 })
	poll := func(w *wire) { // one long poll, which is served or refused
		w.id++
		w.send(&wamp.Call{Request: w.id, Options: wamp.Dict{}, Procedure: "es.read", ArgumentsKw: longPoll})
	}
	refused := func(w *wire) {
		t.Helper()
		if m, ok := w.receive().(*wamp.Error); !ok || m.Error != "es.error.unavailable" || m.ArgumentsKw["outcome"] != "none" {
			t.Errorf("got %#v", m)
		}
	}
	greedy := h.join(t, codec.MessagePack)
	for range 20 {
		poll(greedy)
	}
	for range 16 {
		refused(greedy)
	}
	for range 4 {
		<-log.waits
		poll(h.join(t, codec.CBOR))
	}
	for range 4 {
		<-log.waits
	}
	last := h.join(t, codec.JSON)
	poll(last)
	refused(last)
	if s := h.bus.Stats(); s.CallsInFlight != 8 || s.CallsRefused != 17 {
		t.Errorf("%d calls are in flight, %d were refused", s.CallsInFlight, s.CallsRefused)
	}
}

// A session is read from no faster than its requests may be refused.
func TestRefusalsTakeTime(t *testing.T) {
	t.Parallel()
	h, log := openSpy(t, func(o *wampbus.Options) { o.Limits.Calls = 1 })
	w := h.join(t, codec.MessagePack)
	w.send(&wamp.Call{Request: 1, Options: wamp.Dict{}, Procedure: "es.read", ArgumentsKw: longPoll})
	<-log.waits
	began := time.Now()
	for id := wamp.ID(2); id < 202; id++ {
		w.send(&wamp.Call{Request: id, Options: wamp.Dict{}, Procedure: "es.head"})
	}
	for range 200 {
		if m, ok := w.receive().(*wamp.Error); !ok || m.Error != "es.error.too_large" {
			t.Fatalf("got %#v", m)
		}
	}
	if took := time.Since(began); took < 199*time.Millisecond {
		t.Errorf("200 refusals took %v", took)
	}
}

// Before it has joined, a client can't hold anything for long.
func TestHandshake(t *testing.T) {
	t.Parallel()
	h := open(t, func(o *wampbus.Options) { o.Limits.Handshake = 300 * time.Millisecond })
	for name, hello := range map[string]wamp.Message{
		"no hello":    nil,
		"other first": &wamp.Call{Request: 1, Options: wamp.Dict{}, Procedure: "es.head"},
		"other realm": &wamp.Hello{Realm: "elsewhere", Details: everyRole},
		"no roles":    &wamp.Hello{Realm: "verbatim", Details: wamp.Dict{}},
		"as server":   &wamp.Hello{Realm: "verbatim", Details: wamp.Dict{"roles": everyRole["roles"], "authmethods": []any{"verbatim-server"}, "authextra": map[string]any{"secret": ""}}},
		"by ticket":   &wamp.Hello{Realm: "verbatim", Details: wamp.Dict{"roles": everyRole["roles"], "authmethods": []any{"ticket"}, "authid": "admin", "authrole": "admin"}},
	} {
		w := h.connect(t, codec.MessagePack)
		if hello != nil {
			w.send(hello)
		}
		if reason := w.ended(); reason == "" {
			t.Errorf("%s: ended without a reason", name)
		}
	}
	// A HELLO can't give itself what it wants.
	w := h.connect(t, codec.MessagePack)
	w.send(&wamp.Hello{Realm: "verbatim", Details: wamp.Dict{
		"roles": everyRole["roles"], "authrole": "admin", "authid": "server", "transport": map[string]any{"auth": map[string]any{"peer": 1}},
	}})
	welcome := w.welcomed()
	if role := welcome.Details["authrole"]; role != "reader,writer,commander" {
		t.Errorf("authrole %v", role)
	}
	if m, ok := w.call("es.schema.register", wamp.List{[]byte{}}, nil).(*wamp.Error); !ok || m.Error != wamp.ErrNotAuthorized {
		t.Errorf("es.schema.register: %#v", m)
	}
	// Half a request, and half a frame.
	conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(h.url, "ws://"), "/"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n")); err != nil {
		t.Fatal(err)
	}
	half := h.connect(t, codec.MessagePack)
	frame := binary.BigEndian.AppendUint32([]byte{0x82, 0xfe, 0x10, 0x00}, 0)
	if _, err := half.conn.NetConn().Write(frame); err != nil {
		t.Fatal(err)
	}
	if reason := half.ended(); reason != wamp.ErrProtocolViolation {
		t.Errorf("half a frame: ended with %q", reason)
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := http.ReadResponse(newReader(conn), nil); err == nil {
		t.Error("half a request was answered")
	}
}

// Only browsers say where they come from, and only some may connect.
func TestOrigin(t *testing.T) {
	t.Parallel()
	h := open(t, func(o *wampbus.Options) { o.AllowedOrigins = []string{"https://bank.example"} })
	host := strings.TrimSuffix(strings.TrimPrefix(h.url, "ws://"), "/")
	for origin, want := range map[string]bool{
		"http://" + host: true, "https://bank.example": true, "https://evil.example": false, "null": false, "https://bank.example.evil": false,
	} {
		dialer := websocket.Dialer{Subprotocols: []string{"wamp.2.json"}}
		conn, response, err := dialer.DialContext(deadline(t), h.url, http.Header{"Origin": {origin}})
		if (err == nil) != want {
			t.Errorf("origin %s: %v", origin, err)
		}
		if err == nil {
			_ = conn.Close()
		} else if response.StatusCode != http.StatusForbidden {
			t.Errorf("origin %s: status %d", origin, response.StatusCode)
		}
	}
	for _, protocols := range [][]string{nil, {"wamp.2.smile"}} {
		dialer := websocket.Dialer{Subprotocols: protocols}
		if _, response, err := dialer.DialContext(deadline(t), h.url, nil); err == nil || response.StatusCode != http.StatusBadRequest {
			t.Errorf("subprotocols %v: %v", protocols, err)
		}
	}
	response, err := http.Get("http://" + host + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("a browser gets %d", response.StatusCode)
	}
}

// Compression is not agreed to, whoever offers it, and a compressed frame is one
// that was not agreed upon: there is nothing to inflate.
func TestCompressedFrame(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	dialer := websocket.Dialer{Subprotocols: []string{"wamp.2.json"}, EnableCompression: true}
	conn, response, err := dialer.DialContext(deadline(t), h.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if agreed := response.Header.Get("Sec-WebSocket-Extensions"); agreed != "" {
		t.Errorf("agreed to %q", agreed)
	}
	w := h.join(t, codec.MessagePack)
	if _, err := w.conn.NetConn().Write([]byte{0xc2, 0x80, 0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	w.ended()
	h.alive(t)
}

// A message is bounded whole, in however many frames it comes.
func TestEndlessMessage(t *testing.T) {
	t.Parallel()
	h := open(t, func(o *wampbus.Options) { o.Limits.Message = 64 << 10 })
	w := h.join(t, codec.MessagePack)
	frame := append([]byte{0x02, 0xfe, 0x04, 0x00, 0, 0, 0, 0}, make([]byte, 1<<10)...) // the first of several
	for range 65 {
		if _, err := w.conn.NetConn().Write(frame); err != nil {
			break // it is over
		}
		frame[0] = 0x00 // to be continued
	}
	w.ended()
	eventually(t, "it counts as ended by the bus", func() bool { return h.bus.Stats().Ended == 1 })
	h.alive(t)
}

// Clients that vanish while they are being written to leave nothing: not their
// calls, not what waited for them, and others are served meanwhile.
func TestVanishMidWrite(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	bystander := h.join(t, codec.MessagePack)
	memo := strings.Repeat("m", 100<<10)
	for range 10 {
		h.append(t, event.Append{Stream: "account-1", Events: []event.Proposed{account.NewCredited(account.CreditedFields{Amount: 1, Memo: memo})}})
	}
	raw := h.raw(t, "tcp")
	page := func(id wamp.ID) *wamp.Call {
		return &wamp.Call{Request: id, Options: wamp.Dict{}, Procedure: "es.read", ArgumentsKw: wamp.Dict{"max_bytes": 1 << 20}}
	}
	for n := range 10 {
		var conn net.Conn
		if n%2 == 0 {
			w := h.join(t, codec.CBOR)
			for id := range wamp.ID(30) {
				w.send(page(id + 1))
			}
			conn = w.conn.NetConn()
		} else {
			w := rawJoin(t, raw, codec.CBOR, 15)
			for id := range wamp.ID(30) {
				w.send(page(id + 1))
			}
			conn = w.conn
		}
		if _, err := io.ReadFull(conn, make([]byte, 1+n*50<<10)); err != nil { // some of a page
			t.Fatal(err)
		}
		eventually(t, "the rest waits", func() bool { return h.bus.Stats().QueueBytes > 0 })
		_ = conn.(*net.TCPConn).SetLinger(0) // a reset
		_ = conn.Close()
		bystander.result("es.head", nil, nil)
	}
	eventually(t, "they are gone", func() bool {
		s := h.bus.Stats()
		return s.Sessions == 1 && s.CallsInFlight == 0 && s.QueueBytes == 0
	})
}

// Bytes of commands never reach a handler unverified.
func TestHostileCommands(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	w := h.join(t, codec.MessagePack)
	good := account.NewTransfer("2", account.TransferFields{Amount: 1})
	for i := range good {
		for _, flip := range []byte{0x01, 0x80, 0xff} {
			bad := bytes.Clone(good)
			bad[i] ^= flip
			if m, ok := w.call("es.command.account.transfer", wamp.List{"1", bad}, nil).(*wamp.Error); !ok || m.Error != "es.error.invalid_data" && m.Error != "es.error.rejected" {
				t.Fatalf("byte %d: %#v", i, m)
			}
		}
	}
}

// A name that somebody points at this machine is not the machine's own.
func TestRebinding(t *testing.T) {
	t.Parallel()
	h := open(t, func(o *wampbus.Options) { o.AllowedOrigins = []string{"http://bank.example"} })
	for host, want := range map[string]bool{
		"localhost": true, "localhost:80": true, "127.0.0.1": true, "[::1]:80": true, "bank.example": true,
		"evil.example": false, "evil.example:80": false, "localhost.evil.example": false, "127.0.0.1.evil.example": false,
	} {
		dialer := websocket.Dialer{Subprotocols: []string{"wamp.2.json"}}
		conn, _, err := dialer.DialContext(deadline(t), h.url, http.Header{"Host": {host}, "Origin": {"http://" + host}})
		if (err == nil) != want {
			t.Errorf("host %s: %v", host, err)
		}
		if err == nil {
			_ = conn.Close()
		}
	}
}

// What a client sent is not said back to it, or logged, at any length.
func TestLongReasons(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	w := h.join(t, codec.MessagePack)
	w.send(&wamp.Cancel{Request: 1, Options: wamp.Dict{"mode": strings.Repeat("é", 1<<20)}})
	m, ok := w.receive().(*wamp.Goodbye)
	if !ok {
		t.Fatalf("got %s", describe(m))
	}
	if message, _ := m.Details["message"].(string); len(message) < 190 || len(message) > 200 || !utf8.ValidString(message) {
		t.Errorf("the message has %d bytes: %q", len(message), message[:min(len(message), 300)])
	}
}
