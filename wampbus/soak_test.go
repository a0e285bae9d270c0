package wampbus_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gammazero/nexus/v3/wamp"
	"github.com/gorilla/websocket"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/wampbus/client"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

var (
	soakTime    = flag.Duration("soak", 30*time.Second, "how long TestSoak loads the server; a tenth of it with -short")
	soakClients = flag.Int("soak-clients", 60, "how many clients TestSoak has at a time")
)

// Clients of every behaviour at once, over WebSocket and RawSocket, while
// connections are cut, followers killed, and in the end the server too. Every
// well-behaved one has every event once, in order, whatever the others did;
// every append that was acknowledged is in the log once, and no other; and the
// server's heap and goroutines are where they were before.
func TestSoak(t *testing.T) {
	d := *soakTime
	if testing.Short() {
		d /= 10
	}
	stall := min(d/20, 10*time.Second)
	s := startSoaked(t)
	warm := newSoak(s, *soakClients) // the runtime keeps what the most goroutines at once have taken
	warm.misbehave, warm.stall = true, stall
	warm.run(t, d/10, nil)
	before := s.settled(t)

	mixed := newSoak(s, *soakClients)
	mixed.misbehave, mixed.stall = true, stall
	mixed.run(t, d*5/10, nil)
	after := s.settled(t)
	t.Logf("mixed: %v; heap %d KiB, then %d KiB; goroutines %d, then %d; %d sessions ended by the server",
		mixed, before.Heap>>10, after.Heap>>10, before.Goroutines, after.Goroutines, after.Ended)
	if after.Goroutines > before.Goroutines+2 {
		t.Errorf("%d goroutines are left, %d were there before", after.Goroutines, before.Goroutines)
	}
	if most := before.Heap + 8<<20; after.Heap > most {
		t.Errorf("the heap holds %d KiB, %d KiB before", after.Heap>>10, before.Heap>>10)
	}
	if after.Ended == 0 {
		t.Error("the server ended no session: nobody misbehaved")
	}

	killed := newSoak(s, *soakClients/2)
	killed.misbehave, killed.stall = true, stall
	killed.run(t, d*4/10, func() {
		// A server that nobody is connected to yet is not worth killing.
		eventually(t, "all writers are connected", func() bool { return int(killed.writers.Load()) == killed.writing() })
		before := killed.sessions.Load()
		if s.kills++; s.kills%3 == 0 {
			s.stop()
		} else {
			s.kill()
		}
		s.start()
		eventually(t, "a client has come back", func() bool { return killed.sessions.Load() > before })
	})
	t.Logf("killed %d times, a third of them in good order, in %v at most: %v", s.kills, s.slowest, killed)
	if s.kills == 0 || killed.sessions.Load() == 0 {
		t.Errorf("%d kills, and clients reconnected %d times", s.kills, killed.sessions.Load())
	}
	ends := uint64(s.kills) + mixed.cuts.Load() + mixed.deaths.Load() + killed.cuts.Load() + killed.deaths.Load()
	if least := uint64(d * leastEnds / (10 * time.Minute)); ends < least {
		t.Errorf("only %d connections, followers and servers were ended, want %d", ends, least)
	}
	if !testing.Short() && mixed.stalls.Load()+killed.stalls.Load() == 0 {
		t.Error("no follower stalled")
	}
}

const (
	// leastEnds is how often something is ended at random in ten minutes, at least.
	leastEnds = 1000
	cutEvery  = 150 * time.Millisecond
	shortStay = 200 * time.Millisecond // how long those stay at least who come and go
	killEvery = 2 * time.Second
)

// settled waits until no client is left.
func (s *soaked) settled(t *testing.T) (v vitals) {
	t.Helper()
	eventually(t, "all sessions and calls are gone", func() bool { v = s.vitals(); return v.Sessions == 0 && v.Calls == 0 })
	// Connections that never became sessions end with their handshake's time.
	eventually(t, "goroutines have ended", func() bool {
		last := v.Goroutines
		v = s.vitals()
		return v.Goroutines >= last
	})
	return v
}

// soak is a crowd of clients of one server.
type soak struct {
	server    *soaked
	clients   int
	misbehave bool
	stall     time.Duration // how long some followers stop reading, now and then
	lines     [2]*cable     // to the server's WebSocket and RawSocket

	stop      chan struct{} // writers and the ill-behaved end
	ledger    ledger
	followed  atomic.Uint64
	sessions  atomic.Uint64 // that clients made anew
	writers   atomic.Int64  // that have connected
	incidents atomic.Uint64
	cuts      atomic.Uint64 // connections
	deaths    atomic.Uint64 // of followers, which come again
	stalls    atomic.Uint64
}

func newSoak(s *soaked, clients int) *soak {
	return &soak{server: s, clients: clients, stop: make(chan struct{}), ledger: ledger{first: make(map[string]uint64)}}
}

func (s *soak) String() string {
	acknowledged, unknown := s.ledger.totals()
	return fmt.Sprintf("%d appends acknowledged, %d unknown, %d events delivered, %d connections cut, %d followers killed, %d stalls of %v, %d reconnects, %d misdeeds",
		acknowledged, unknown, s.followed.Load(), s.cuts.Load(), s.deaths.Load(), s.stalls.Load(), s.stall, s.sessions.Load(), s.incidents.Load())
}

// writing is how many of the crowd write. They stay until it ends, and make
// another session whenever they lose one.
func (s *soak) writing() int { return max(s.clients/16, 2) }

// run lets the crowd loose for a time, with disturb called now and then, and
// checks what its well-behaved part has got.
func (s *soak) run(t *testing.T, d time.Duration, disturb func()) {
	t.Helper()
	s.lines = [2]*cable{layTo(t, s.server.address), layTo(t, s.server.raw)}
	before := s.server.vitals().Head
	var writing, misbehaving, following sync.WaitGroup
	ctx, cancel := context.WithTimeout(context.Background(), d+2*patience)
	defer cancel()
	followers := make([]*soakFollower, max(s.clients/4, 3))
	for i := range followers {
		f := &soakFollower{soak: s, kind: i, done: make(chan struct{}), last: before}
		f.at.Store(before)
		followers[i] = f
		following.Go(func() { defer close(f.done); f.run(t, ctx) })
	}
	for i := range s.writing() {
		writing.Go(func() { s.write(t, ctx, i) })
	}
	for i := 0; s.misbehave && i < s.clients-len(followers); i++ {
		misbehaving.Go(func() { s.harm(i) })
	}
	if s.misbehave {
		misbehaving.Go(func() { s.cut(followers) })
	}
	for end := time.Now().Add(d); ; {
		pause := min(time.Until(end), max(d/10, 300*time.Millisecond), killEvery)
		if pause <= 0 {
			break
		}
		<-time.After(pause)
		if disturb != nil {
			disturb()
		}
	}
	close(s.stop)
	writing.Wait()
	misbehaving.Wait()
	head := s.server.vitals().Head
	s.audit(t, ctx, before, head)
	for _, f := range followers {
		eventually(t, fmt.Sprintf("follower %d is at %d, now at %d", f.kind, head, f.at.Load()), func() bool {
			select {
			case <-f.done:
				return true
			default:
				return f.at.Load() >= head
			}
		})
	}
	cancel()
	following.Wait()
	for _, f := range followers {
		if f.topic() {
			f.lost = int((head-before)/2) - f.count
		}
		if got := f.at.Load(); got != head || f.lost != 0 || f.repeated > 0 {
			t.Errorf("follower %d is at %d of %d, lost %d and had %d twice", f.kind, got, head, f.lost, f.repeated)
		}
	}
}

// audit compares the log behind before, which ends at head, with what the writers
// know of it: every acknowledged append is there once, where its receipt says, and
// no other is but those of which nobody knows. Those are asked for by their keys.
func (s *soak) audit(t *testing.T, ctx context.Context, before, head uint64) {
	t.Helper()
	c, err := s.dial(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	stored := make(map[string]uint64) // the first position, by key
	read := before
	for e, err := range event.Read(ctx, c, event.Selection{After: before}) {
		if err != nil {
			t.Fatal(err)
		}
		if read++; e.Position() != read {
			t.Fatalf("position %d follows %d", e.Position(), read-1)
		}
		if e.BatchSeq() != 0 {
			continue
		}
		key := strings.Clone(e.BatchKey()) // and not the page around it
		if at, twice := stored[key]; twice {
			t.Errorf("the append %q is there twice, at %d and %d", key, at, read)
		}
		stored[key] = read
	}
	if read != head {
		t.Errorf("%d events were read, want %d", read-before, head-before)
	}
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	for key, first := range s.ledger.first {
		if at := stored[key]; at != first {
			t.Errorf("the append %q was acknowledged at %d, and is at %d", key, first, at)
		}
	}
	found := 0
	for _, key := range s.ledger.unknown {
		receipt, ok, err := c.AppendByKey(ctx, key)
		if at, there := stored[key]; err != nil || ok != there || ok && receipt.First != at {
			t.Errorf("the append %q is at %d, by its key at %d: %v", key, at, receipt.First, err)
		}
		if ok {
			found++
		}
	}
	if known := len(s.ledger.first) + found; known != len(stored) {
		t.Errorf("%d appends are stored, and the writers know of %d", len(stored), known)
	}
}

// ledger is what the writers know of their appends.
type ledger struct {
	mu      sync.Mutex
	first   map[string]uint64 // of those acknowledged, the first position, by key
	unknown []string          // keys of those whose outcome nobody knows
}

func (l *ledger) enter(key string, receipt event.Receipt, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.first[key] = receipt.First
	case errors.Is(err, event.ErrOutcomeUnknown):
		l.unknown = append(l.unknown, key)
	}
}

func (l *ledger) totals() (acknowledged, unknown int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.first), len(l.unknown)
}

// cut ends connections and followers at random, until the soak stops.
func (s *soak) cut(followers []*soakFollower) {
	for n := 0; ; n++ {
		select {
		case <-s.stop:
			return
		case <-time.After(cutEvery):
		}
		switch f := followers[rand.IntN(len(followers))]; {
		case n%3 < 2 && s.lines[n%3].cutOne():
			s.cuts.Add(1)
		case n%3 == 2 && f.kill():
			s.deaths.Add(1)
		}
	}
}

func (s *soak) dial(ctx context.Context) (*client.Client, error) {
	for {
		url := s.lines[0].url()
		if rand.IntN(2) == 0 {
			url = "rs://" + s.lines[1].listener.Addr().String()
		}
		c, err := client.Dial(ctx, url, client.Options{Unverified: true,
			Serialization: codec.Formats[rand.IntN(3)].String(), ReconnectMin: 10 * time.Millisecond, ReconnectMax: 200 * time.Millisecond, Logger: quiet,
			OnStatus: func(now client.Status) {
				if now.State == client.Connected && now.Sessions > 1 {
					s.sessions.Add(1)
				}
			},
		})
		if err == nil || ctx.Err() != nil {
			return c, err
		}
		select {
		case <-time.After(20 * time.Millisecond): // it is being restarted
		case <-ctx.Done():
		}
	}
}

// write appends bursts of 64 at once, each with a key: an account is opened and
// credited.
func (s *soak) write(t *testing.T, ctx context.Context, writer int) {
	c, err := s.dial(ctx)
	if err != nil {
		if !errors.Is(ctx.Err(), context.Canceled) {
			t.Error(err)
		}
		return
	}
	defer c.Close()
	s.writers.Add(1)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	run := rand.Uint64()
	for burst := 0; ; burst++ { // one at least: there is something to follow
		var calls sync.WaitGroup
		for i := range 64 {
			calls.Go(func() {
				a := event.Append{
					Stream: fmt.Sprintf("account-%d", i), Key: fmt.Sprintf("%d %d %d %d", run, writer, burst, i),
					Events: []event.Proposed{account.NewOpened("ada"), account.NewCredited(account.CreditedFields{Amount: int64(i)})},
				}
				receipt, err := c.Append(ctx, a)
				if err != nil && !errors.Is(err, event.ErrOutcomeUnknown) && !errors.Is(ctx.Err(), context.Canceled) {
					t.Errorf("append: %v", err)
				}
				s.ledger.enter(a.Key, receipt, err)
			})
		}
		calls.Wait()
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
	}
}

// soakFollower is a well-behaved client. What it does between events, and how
// it follows, depends on its kind.
type soakFollower struct {
	soak           *soak
	kind           int
	done           chan struct{}
	at             atomic.Uint64
	last           uint64
	count          int // of events
	lost, repeated int
	stalled        time.Time

	mu  sync.Mutex
	end context.CancelFunc // of this life
}

// kill ends the follower's client, and reports whether there was one. The
// follower makes another and goes on from its last event.
func (f *soakFollower) kill() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.end == nil {
		return false
	}
	f.end()
	f.end = nil
	return true
}

func (f *soakFollower) run(t *testing.T, ctx context.Context) {
	for ctx.Err() == nil {
		c, err := f.soak.dial(ctx)
		if err != nil {
			return
		}
		life, end := context.WithCancel(ctx)
		f.mu.Lock()
		f.end = end
		f.mu.Unlock()
		if f.topic() {
			err = followTopic(life, c, account.OpenedTopic, account.OpenedType, f.last, f.took)
		} else {
			err = f.follow(life, c)
		}
		if life.Err() != nil {
			err = nil
		}
		f.kill()
		_ = c.Close()
		if err != nil && ctx.Err() == nil {
			t.Errorf("follower %d at %d: %v", f.kind, f.last, err)
			return
		}
	}
}

// follow goes on from the last event, until ctx ends or the follower leaves.
func (f *soakFollower) follow(ctx context.Context, c *client.Client) error {
	events := c.Subscribe(ctx, event.Selection{After: f.last}, event.SubscribeOptions{})
	if f.kind%3 == 1 {
		events = event.Subscribe(ctx, c, event.Selection{After: f.last}, event.SubscribeOptions{})
	}
	leaves, came, arrived := f.kind%3 == 2, f.last, time.Now()
	for e, err := range events {
		if err != nil {
			return err
		}
		switch at := e.Position(); {
		case at <= f.last:
			f.repeated++
		default:
			f.lost += int(at - f.last - 1)
			f.last = at
		}
		f.at.Store(f.last)
		f.soak.followed.Add(1)
		if leaves && f.last-came >= 500 && time.Since(arrived) > shortStay {
			return nil
		}
		if f.kind%5 == 2 {
			f.pause(ctx)
		}
	}
	return nil
}

// pause stalls now and then.
func (f *soakFollower) pause(ctx context.Context) {
	if f.soak.stall == 0 || time.Since(f.stalled) < 3*f.soak.stall {
		return
	}
	select {
	case <-time.After(f.soak.stall):
		f.soak.stalls.Add(1)
	case <-f.soak.stop:
	case <-ctx.Done():
	}
	f.stalled = time.Now()
}

// topic reports whether it follows one topic, and not the log: the accounts that
// are opened.
func (f *soakFollower) topic() bool { return f.kind%4 == 3 }

func (f *soakFollower) took(e event.Event) {
	f.last = e.Position()
	f.count++
	f.at.Store(f.last + 1) // the credit behind it is another topic's
	f.soak.followed.Add(1)
}

// harm misbehaves, in a way that depends on the number, until the soak stops.
func (s *soak) harm(number int) {
	ways := []func(*rude){(*rude).neverRead, (*rude).readSlowly, (*rude).vanish, (*rude).flood, (*rude).garble, (*rude).dawdle}
	for n := number; ; n += 7 {
		select {
		case <-s.stop:
			return
		case <-time.After(time.Duration(rand.IntN(50)) * time.Millisecond):
		}
		r := &rude{soak: s, format: codec.Formats[n%3], dialer: dialerFrom(number)}
		ways[number%len(ways)](r)
		if r.conn != nil {
			_ = r.conn.Close()
		}
		s.incidents.Add(1)
	}
}

// rude is a client that does as it likes.
type rude struct {
	soak   *soak
	format codec.Format
	dialer *net.Dialer
	conn   *websocket.Conn
}

// dialerFrom gives each number an address of its own, where the system's loopback
// network has more than one: who is ended for what they do comes from elsewhere
// than the well-behaved.
func dialerFrom(number int) *net.Dialer {
	d := &net.Dialer{Timeout: 2 * time.Second}
	if runtime.GOOS == "linux" {
		d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 1, byte(number/250), byte(1+number%250))}
	}
	return d
}

func (r *rude) join() bool {
	dialer := websocket.Dialer{Subprotocols: []string{r.format.Subprotocol()}, HandshakeTimeout: 2 * time.Second, NetDialContext: r.dialer.DialContext}
	conn, _, err := dialer.Dial(r.soak.server.url(), nil)
	if err != nil {
		return false
	}
	r.conn = conn
	return r.send(&wamp.Hello{Realm: "verbatim", Details: everyRole})
}

func (r *rude) send(m wamp.Message) bool {
	b, err := r.format.Append(nil, m)
	return err == nil && r.write(b)
}

func (r *rude) write(b []byte) bool {
	kind := websocket.BinaryMessage
	if r.format.Text() {
		kind = websocket.TextMessage
	}
	_ = r.conn.SetWriteDeadline(time.Now().Add(time.Second))
	return r.conn.WriteMessage(kind, b) == nil
}

func (r *rude) subscribe() bool {
	return r.join() && r.send(&wamp.Subscribe{Request: 1, Options: wamp.Dict{"match": "prefix"}, Topic: "es."})
}

// pause waits, and reports whether the soak goes on.
func (r *rude) pause(d time.Duration) bool {
	select {
	case <-r.soak.stop:
		return false
	case <-time.After(d):
		return true
	}
}

// neverRead asks for everything and reads nothing, until it is thrown out.
func (r *rude) neverRead() {
	for id := wamp.ID(2); r.conn != nil || r.subscribe(); id++ {
		if !r.send(&wamp.Call{Request: id, Options: wamp.Dict{}, Procedure: "es.read"}) || id > 500 || !r.pause(5*time.Millisecond) {
			return
		}
	}
}

// readSlowly takes a message now and then.
func (r *rude) readSlowly() {
	for ok := r.subscribe(); ok && r.pause(20*time.Millisecond); {
		_ = r.conn.SetReadDeadline(time.Now().Add(time.Second))
		if _, _, err := r.conn.ReadMessage(); err != nil {
			return
		}
	}
}

// vanish resets its connection in the middle of things.
func (r *rude) vanish() {
	if !r.subscribe() {
		return
	}
	r.send(&wamp.Call{Request: 2, Options: wamp.Dict{}, Procedure: "es.read", ArgumentsKw: wamp.Dict{"wait_ms": 60000}})
	r.pause(time.Duration(rand.IntN(100)) * time.Millisecond)
	if tcp, ok := r.conn.NetConn().(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

// flood calls without waiting for answers.
func (r *rude) flood() {
	if !r.join() {
		return
	}
	go func() { _, _ = io.Copy(io.Discard, r.conn.NetConn()) }() // ends with the connection
	for id := wamp.ID(1); id < 2000; id++ {
		if !r.send(&wamp.Call{Request: id, Options: wamp.Dict{}, Procedure: "es.head"}) {
			return
		}
		if id%100 == 0 && !r.pause(10*time.Millisecond) {
			return
		}
	}
}

// garble sends what is no message.
func (r *rude) garble() {
	if !r.join() {
		return
	}
	b, err := r.format.Append(nil, &wamp.Call{Request: 1, Options: wamp.Dict{}, Procedure: "es.read", ArgumentsKw: wamp.Dict{"after": 1, "types": wamp.List{"a"}}})
	if err != nil {
		return
	}
	b[rand.IntN(len(b))] ^= byte(1 + rand.IntN(255))
	r.write(b[:rand.IntN(len(b)+1)])
	r.pause(50 * time.Millisecond)
}

// dawdle connects and says half a word.
func (r *rude) dawdle() {
	conn, err := r.dialer.Dial("tcp", r.soak.server.address)
	if err != nil {
		return
	}
	defer conn.Close()
	_, err = conn.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\nUpg"))
	if err == nil || !errors.Is(err, net.ErrClosed) {
		r.pause(500 * time.Millisecond)
	}
}
