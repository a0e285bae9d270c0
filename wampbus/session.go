package wampbus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
	"github.com/verbatim-es/verbatim/wampbus/internal/keepalive"
)

// routerQueue is the capacity of the channel through which the router hands a
// session its messages. The router never waits: what finds the channel full is
// dropped. The pump therefore does nothing but encode, events go past the
// channel, and a session whose channel was full all the same ends.
const routerQueue = 256

// lingerTime is how long an ended session waits for its client to close the
// connection, so that what was written last is not lost to a reset.
const lingerTime = time.Second

// refusalPause is how long a session is not read from after a request that was
// over its limits: refusing costs the bus work, too.
const refusalPause = time.Millisecond

// maxMessage bounds what is logged and said of a session's end, in bytes.
const maxMessage = 200

// URIs with which the bus ends a session, as the reason of GOODBYE or ABORT.
const (
	reasonTooSlow  = wamp.URI("es.close.too_slow")
	reasonTooLarge = wamp.URI("es.close.too_large")
	reasonInternal = wamp.URI("es.close.internal_error")
	reasonTryLater = wamp.URI("es.close.try_later")
)

// session is a remote client: the router's [wamp.Peer] on one side, a connection
// on the other. Three goroutines carry it: the reader decodes and checks what
// comes in, the pump encodes what the router sends into the outbox, the writer
// empties the outbox into the connection.
type session struct {
	bus       *Bus
	conn      net.Conn
	transport transport // of conn
	format    codec.Format

	in  chan wamp.Message // to the router
	out chan wamp.Message // from the router
	box *outbox

	// ctx ends with the session, and with it every call it made.
	ctx    context.Context
	cancel context.CancelFunc
	// waits ends earlier, when the bus wants to end the session in good order,
	// and with it what its calls wait for.
	waits     context.Context
	stopWaits context.CancelFunc
	quiet     chan struct{} // closed when such a session has no more calls

	routerDone   chan struct{} // the router has let go of the session
	routerOnce   sync.Once
	attached     chan struct{} // the router's attempt to attach it is over
	readerDone   chan struct{}
	greeted      bool          // it has sent HELLO; the reader's
	joined       atomic.Bool   // it was welcomed
	welcomed     chan struct{} // closed when its client was told, and who is known
	challenged   chan struct{} // has a value while a CHALLENGE is not answered
	parted       atomic.Bool   // a GOODBYE is on its way to the client
	throttled    atomic.Bool   // its login was not tried, for others' failures
	endOnce      sync.Once
	why          atomic.Pointer[farewell] // the bus ended it; logged when it is over
	endBy        atomic.Int64             // when a session that is over stops writing, in ns since 1970
	handshakeEnd time.Time

	heardAt  atomic.Int64  // when something was heard of the client, by the keeper's time
	pingedAt time.Duration // the keeper's

	// The publisher's: whether it has waited for the session in vain, and after
	// how many times that its queue was empty.
	lagged   bool
	laggedAt uint64

	who identity // valid once welcomed is closed

	// The writer's, for reuse.
	segments, gathered, writing net.Buffers

	mu        sync.Mutex
	retired   bool // no new calls
	calls     map[wamp.ID]*pendingCall
	orphans   int                  // calls that are answered, and still running
	answering int                  // answers that are not queued yet
	subs      map[wamp.ID]interest // by subscription id
	asking    map[wamp.ID]interest // SUBSCRIBE requests without answer; of what, once that is allowed
	leaving   map[wamp.ID]wamp.ID  // UNSUBSCRIBE requests and their subscriptions
}

// newSession returns the session of a client that is connected since the time
// given.
func newSession(b *Bus, conn net.Conn, format codec.Format, t transport, since time.Time) *session {
	s := &session{
		bus: b, conn: conn, transport: t, format: format,
		in: make(chan wamp.Message), out: make(chan wamp.Message, routerQueue),
		box:        newOutbox(b.limits.Queue, t),
		routerDone: make(chan struct{}), attached: make(chan struct{}), readerDone: make(chan struct{}), quiet: make(chan struct{}), welcomed: make(chan struct{}), challenged: make(chan struct{}, 1),
		handshakeEnd: since.Add(b.limits.Handshake),
		calls:        make(map[wamp.ID]*pendingCall),
		subs:         make(map[wamp.ID]interest),
		asking:       make(map[wamp.ID]interest),
		leaving:      make(map[wamp.ID]wamp.ID),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.waits, s.stopWaits = context.WithCancel(s.ctx)
	t.serve(s)
	return s
}

// loopback reports whether the client is on this machine.
func (s *session) loopback() bool { return isLoopback(s.conn.RemoteAddr()) }

// run serves the session until it is over, with all its goroutines.
func (s *session) run(details wamp.Dict) {
	if err := keepalive.Watch(s.conn, max(s.bus.limits.KeepAlive, s.bus.limits.Write)); err != nil {
		s.bus.log.Debug("the kernel does not watch a connection", "remote", s.conn.RemoteAddr().String(), "error", err)
	}
	part := s.bus.keeper.add(s)
	defer s.bus.keeper.remove(s, part)
	penalty := s.bus.offences.delay(time.Now(), origin(s.conn.RemoteAddr()), s.bus.limits.Penalty)
	s.handshakeEnd = s.handshakeEnd.Add(penalty)
	var parts sync.WaitGroup
	parts.Go(s.read)
	parts.Go(s.pump)
	parts.Go(s.write)
	s.atone(penalty)
	if err := s.bus.router.AttachClient(s, details); err != nil {
		s.bus.log.Debug("client did not join", "remote", s.conn.RemoteAddr().String(), "error", err)
	}
	close(s.attached)
	parts.Wait()
	for id := range s.subs {
		s.unsubscribed(id)
	}
	s.bus.subscriptions.Add(-int64(len(s.asking)))
	s.bus.calls.Add(-int64(s.unserved()))
	s.cancel()
	if why := s.why.Load(); why != nil {
		s.bus.log.Info("session ended", "remote", s.conn.RemoteAddr().String(), "reason", string(why.reason), "message", why.message)
	}
	s.bus.stats.sessionEnded(s)
}

// atone waits, before the session joins. Its handshake may take longer by that.
func (s *session) atone(delay time.Duration) {
	if delay == 0 {
		return
	}
	s.bus.stats.delayed.Add(1)
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.ctx.Done():
	}
}

// The methods of wamp.Peer. The router treats a session that says it is local
// as one that may change the messages it gets, and so gives each its own copy.
func (s *session) IsLocal() bool             { return true }
func (s *session) Recv() <-chan wamp.Message { return s.in }
func (s *session) Send() chan<- wamp.Message { return s.out }

// Close is the router's word that it is done with the session: what it sent is
// still written. It may be called more than once, and does not wait.
func (s *session) Close() {
	s.routerOnce.Do(func() {
		s.stop(s.bus.limits.Shutdown)
		close(s.routerDone)
	})
}

// end ends the session and tells its client why. What waits to be sent is
// dropped. The first reason counts.
func (s *session) end(reason wamp.URI, code uint16, message string) {
	s.finish(true, reason != wamp.ErrNetworkFailure && reason != reasonInternal, reason, code, message)
}

// farewell is the last message of a session. That of one which is ended in good
// order travels behind everything that the router has sent.
type farewell struct {
	reason  wamp.URI
	code    uint16
	message string
}

func (farewell) MessageType() wamp.MessageType { return wamp.GOODBYE }

// quiesce refuses new calls and ends what running ones wait for.
func (s *session) quiesce() {
	s.mu.Lock()
	s.retired = true
	s.mu.Unlock()
	s.stopWaits()
	s.checkQuiet()
}

// retire ends the session in good order: running calls are answered first, as
// far as Limits.Shutdown allows.
func (s *session) retire() {
	s.quiesce()
	timer := time.NewTimer(s.bus.limits.Shutdown)
	defer timer.Stop()
	select {
	case <-s.quiet:
	case <-timer.C:
	case <-s.ctx.Done():
		return
	}
	select {
	case s.out <- farewell{wamp.CloseSystemShutdown, closeGoingAway, "the server is shutting down"}:
	case <-s.ctx.Done():
	}
}

func (s *session) checkQuiet() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.retired || len(s.calls)+s.answering > 0 {
		return
	}
	select {
	case <-s.quiet:
	default:
		close(s.quiet)
	}
}

// leave ends the session after what waits to be sent.
func (s *session) leave(reason wamp.URI, code uint16, message string) {
	s.finish(false, false, reason, code, message)
}

// finish ends the session once. What waits to be sent is dropped when drop is
// set; when it is blamed on the client, it counts against its address.
func (s *session) finish(drop, blamed bool, reason wamp.URI, code uint16, message string) {
	message = shortened(message, maxMessage) // it may quote the client
	s.endOnce.Do(func() {
		patience := s.bus.limits.Shutdown
		if drop {
			patience = min(patience, lingerTime)
			s.bus.stats.ended.Add(1)
			s.why.Store(&farewell{reason, code, message})
		}
		if blamed {
			s.bus.offences.add(time.Now(), origin(s.conn.RemoteAddr()))
		}
		s.box.seal(drop, func(dst []byte) []byte {
			return s.transport.appendClose(s.appendFarewell(dst, reason, message), code, message)
		})
		s.stop(patience)
	})
}

// stop ends what the session does, calls and reading, and bounds what it may
// still take to write the rest.
func (s *session) stop(patience time.Duration) {
	s.cancel()
	now := time.Now()
	s.endBy.CompareAndSwap(0, now.Add(patience).UnixNano())
	_ = s.conn.SetWriteDeadline(now.Add(patience))
	_ = s.conn.SetReadDeadline(now) // wakes the reader
}

// appendFarewell appends the last message, unless the router has said it.
func (s *session) appendFarewell(dst []byte, reason wamp.URI, message string) []byte {
	if s.parted.Load() {
		return dst
	}
	details := wamp.Dict{wamp.OptMessage: message}
	var m wamp.Message = &wamp.Goodbye{Reason: reason, Details: details}
	if !s.joined.Load() {
		m = &wamp.Abort{Reason: reason, Details: details}
	}
	payload, err := s.format.Append(nil, m)
	if err != nil {
		return dst
	}
	return append(s.transport.appendHead(dst, frameMessage, len(payload)), payload...)
}

// put queues a frame, for which room may have been reserved, and reports whether
// the queue is now more than half full; a session without room for it ends.
func (s *session) put(kind frame, m codec.Parts, reserved int) (crowded bool) {
	if n := m.Len(); n > s.transport.most() {
		s.end(reasonTooLarge, closePolicy, fmt.Sprintf("a message has %d bytes, and the client takes %d", n, s.transport.most()))
		return false
	}
	fits, crowded := s.box.put(kind, m, reserved)
	if !fits {
		waiting, _ := s.box.waiting()
		s.end(reasonTooSlow, closeTryAgain, fmt.Sprintf(
			"%d bytes wait to be read, the limit is %d: read on with es.read after your last position", waiting, s.bus.limits.Queue))
	}
	return crowded
}

// send queues a message that does not come from the router.
func (s *session) send(m wamp.Message) {
	payload, err := s.format.Append(nil, m)
	if err != nil {
		s.end(reasonInternal, closeInternal, err.Error())
		return
	}
	s.put(frameMessage, codec.Parts{Head: payload}, 0)
}

// guard turns a panic into the session's end: nothing that a client sent, or
// is sent, may take the process down.
func (s *session) guard() {
	if p := recover(); p != nil {
		s.bus.log.Error("panic in a session", "panic", p, "stack", string(debug.Stack()))
		s.end(reasonInternal, closeInternal, "internal error")
	}
}

// pinged answers a ping.
func (s *session) pinged(payload []byte) {
	s.heard()
	s.put(framePong, codec.Parts{Head: payload}, 0)
}

// page is the most bytes of records that an answer to this client may hold: what
// it takes, less room for what stands around them, and for base64 in JSON.
func (s *session) page() int {
	most := s.transport.most()
	if most == math.MaxInt {
		return most
	}
	if s.format == codec.JSON {
		most = most / 4 * 3
	}
	return max(most-headroom, 1)
}

// limitReading sets the time by which the next message, or its beginning, must
// have come; the zero time is never. It changes nothing of a session that is over.
func (s *session) limitReading(by time.Time) {
	if s.ctx.Err() == nil {
		_ = s.conn.SetReadDeadline(by)
	}
	if s.ctx.Err() != nil { // it ended meanwhile: the deadline is the end's again
		_ = s.conn.SetReadDeadline(time.Now())
	}
}

// read is the reader.
func (s *session) read() {
	defer close(s.readerDone)
	defer close(s.in)
	defer s.guard()
	s.limitReading(s.handshakeEnd)
	for {
		b, err := s.transport.receive()
		if err != nil {
			s.lost(err)
			return
		}
		s.heard()
		if !s.receive(b) {
			return
		}
	}
}

// lost says what a failed read means for the session.
func (s *session) lost(err error) {
	var wrong *misframed
	var timeout net.Error
	switch {
	case s.ctx.Err() != nil: // it was ended here
	case errors.Is(err, errTooLong):
		s.end(wamp.ErrProtocolViolation, closePolicy, fmt.Sprintf("a message is over the limit of %d bytes", s.bus.limits.Message))
	case errors.As(err, &wrong):
		s.end(wamp.ErrProtocolViolation, wrong.code, wrong.message)
	case errors.Is(err, errLeft):
		s.leave(wamp.CloseRealm, closeNormal, "")
	case errors.As(err, &timeout) && timeout.Timeout(): // nobody's fault for sure: the bus may be slow
		s.finish(true, false, wamp.ErrProtocolViolation, closePolicy, "the handshake took too long")
	default:
		s.leave(wamp.ErrNetworkFailure, closeProtocol, "")
	}
}

// receive passes one message to the router and reports whether to go on.
func (s *session) receive(b []byte) bool {
	m, err := s.format.Decode(b)
	if err == nil {
		err = sanitize(m)
	}
	if err != nil {
		s.end(wamp.ErrProtocolViolation, closeProtocol, err.Error())
		return false
	}
	refused, err := s.admit(m)
	switch {
	case err != nil:
		s.end(wamp.ErrProtocolViolation, closeProtocol, err.Error())
		return false
	case refused != nil:
		s.send(refused)
		time.Sleep(refusalPause)
		return true
	}
	if s.direct(m) {
		return true
	}
	select {
	case s.in <- m:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// admit keeps count of what a client has open. It returns the answer to a
// request over the limits, and an error for one that breaks the protocol.
func (s *session) admit(m wamp.Message) (refused wamp.Message, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	limits := &s.bus.limits
	switch m := m.(type) {
	case *wamp.Hello, *wamp.Authenticate:
		_, hello := m.(*wamp.Hello)
		if s.joined.Load() || hello && s.greeted {
			return nil, fmt.Errorf("%s: the session is open", m.MessageType())
		}
		s.greeted = s.greeted || hello
	case *wamp.Call:
		if s.calls[m.Request] != nil {
			return nil, fmt.Errorf("CALL: request id %d is in use", m.Request)
		}
		if err := s.admitCall(m); err != nil {
			return refusal(wamp.CALL, m.Request, err), nil
		}
	case *wamp.Subscribe:
		if _, ok := s.asking[m.Request]; ok {
			return nil, fmt.Errorf("SUBSCRIBE: request id %d is in use", m.Request)
		}
		if n := len(s.subs) + len(s.asking); n >= limits.Subscriptions {
			return refusal(wamp.SUBSCRIBE, m.Request, tooLarge("subscriptions", limits.Subscriptions, n+1)), nil
		}
		if n := s.bus.subscriptions.Add(1); n > int64(limits.TotalSubscriptions) {
			s.bus.subscriptions.Add(-1)
			return refusal(wamp.SUBSCRIBE, m.Request, &event.UnavailableError{Message: "overloaded: there are too many subscriptions, try again later"}), nil
		}
		s.asking[m.Request] = interest{}
	case *wamp.Unsubscribe:
		if _, ok := s.leaving[m.Request]; ok {
			return nil, fmt.Errorf("UNSUBSCRIBE: request id %d is in use", m.Request)
		}
		s.leaving[m.Request] = m.Subscription
	}
	return nil, nil
}

// allowed says what a SUBSCRIBE is about that the authorizer has let through.
func (s *session) allowed(request wamp.ID, to interest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asking[request] = to
}

func refusal(request wamp.MessageType, id wamp.ID, err error) wamp.Message {
	uri, args, kwargs := errorParts(err)
	return &wamp.Error{Type: request, Request: id, Details: wamp.Dict{}, Error: uri, Arguments: args, ArgumentsKw: kwargs}
}

// settle is admit for the router's answers.
func (s *session) settle(m wamp.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch m := m.(type) {
	case *wamp.Subscribed:
		to := s.asking[m.Request]
		delete(s.asking, m.Request)
		if _, again := s.subs[m.Subscription]; again {
			s.bus.subscriptions.Add(-1)
		}
		s.subs[m.Subscription] = to
	case *wamp.Unsubscribed:
		delete(s.leaving, m.Request)
	case *wamp.Error:
		switch m.Type {
		case wamp.SUBSCRIBE:
			delete(s.asking, m.Request)
			s.bus.subscriptions.Add(-1)
		case wamp.UNSUBSCRIBE:
			delete(s.leaving, m.Request)
		}
	}
}

// pump moves messages from the router into the outbox. It never waits for the
// network, so the router's channel stays nearly empty.
func (s *session) pump() {
	defer s.box.seal(false, func(dst []byte) []byte {
		return s.transport.appendClose(dst, closeNormal, "")
	})
	var scratch []byte
	for {
		select {
		case m := <-s.out:
			if len(s.out) >= cap(s.out)-1 {
				s.end(reasonTooSlow, closeTryAgain, "requests came faster than they could be answered")
			}
			scratch = s.deliver(m, scratch)
		case <-s.routerDone:
			<-s.attached
			for {
				select {
				case m := <-s.out:
					scratch = s.deliver(m, scratch)
				default:
					return
				}
			}
		}
	}
}

// deliver encodes one message into the outbox. It returns scratch for reuse.
func (s *session) deliver(m wamp.Message, scratch []byte) []byte {
	defer s.guard()
	switch m := m.(type) {
	case farewell:
		s.leave(m.reason, m.code, m.message)
		return scratch
	case *wamp.Event:
		return scratch // the router's own, and nobody may subscribe to those
	}
	if m, ok := m.(*wamp.Unsubscribed); ok {
		s.mu.Lock()
		id := s.leaving[m.Request]
		s.mu.Unlock()
		s.unsubscribed(id)
	}
	if _, ok := answered(m); ok {
		s.relay(m)
		return scratch
	}
	if m, ok := m.(*wamp.Error); ok {
		s.who.explain(m, "")
	}
	s.settle(m)
	welcome, joins := m.(*wamp.Welcome)
	if joins {
		m, s.who = describe(welcome), identityOf(welcome)
		s.heard()
		s.joined.Store(true)
		s.limitReading(time.Time{}) // from now on it is the keeper who looks
		s.bus.stats.joined.Add(1)
		defer close(s.welcomed)
	}
	if _, ok := m.(*wamp.Challenge); ok {
		select {
		case s.challenged <- struct{}{}:
		default:
		}
	}
	if m, ok := m.(*wamp.Goodbye); ok {
		s.part(m)
		return scratch
	}
	if m, ok := m.(*wamp.Abort); ok && s.throttled.Load() {
		m.Reason = reasonTryLater
	}
	parts, err := s.format.Parts(scratch[:0], m)
	if err != nil {
		s.end(reasonInternal, closeInternal, err.Error())
		return nil
	}
	say := func() { s.put(frameMessage, parts, 0) }
	if m, ok := m.(*wamp.Subscribed); ok {
		s.subscribed(m.Subscription, say)
	} else {
		say()
	}
	return reusable(parts.Head)
}

// part queues the router's GOODBYE, and nothing behind it.
func (s *session) part(m *wamp.Goodbye) {
	s.parted.Store(true)
	payload, err := s.format.Append(nil, m)
	if err != nil {
		s.end(reasonInternal, closeInternal, err.Error())
		return
	}
	s.box.seal(false, func(dst []byte) []byte {
		dst = append(s.transport.appendHead(dst, frameMessage, len(payload)), payload...)
		return s.transport.appendClose(dst, closeNormal, "")
	})
}

// subscribed lets events of a subscription in, behind the word that it is there.
func (s *session) subscribed(id wamp.ID, say func()) {
	s.mu.Lock()
	to := s.subs[id]
	s.mu.Unlock()
	s.bus.fanout.add(s, id, to, say)
}

// unsubscribed keeps events of a subscription out.
func (s *session) unsubscribed(id wamp.ID) {
	s.mu.Lock()
	from, ok := s.subs[id]
	delete(s.subs, id)
	s.mu.Unlock()
	if ok {
		s.bus.subscriptions.Add(-1)
		s.bus.fanout.remove(s, id, from)
	}
}

// writeChunk bounds what one write may hold, wholeChunk that of one which can't
// go on after a deadline, as those of TLS can't: it is what has to get through
// in Limits.Write.
const (
	writeChunk = 256 << 10
	wholeChunk = 16 << 10
)

// writeFrames is how many pieces of memory one write may gather.
const writeFrames = 64

// write is the writer. It ends the connection.
func (s *session) write() {
	defer func() {
		_ = s.conn.Close()
		<-s.readerDone
	}()
	for {
		frames, last := s.box.take()
		switch {
		case frames.size > 0:
			if err := s.writeAll(frames); err != nil {
				s.end(wamp.ErrNetworkFailure, closeGoingAway, "writing failed: "+err.Error())
				return
			}
			continue
		case last:
			s.handOver()
			return
		}
		<-s.box.wake
	}
}

func (s *session) writeAll(frames batch) error {
	chunk := wholeChunk
	if resumes(s.conn) {
		chunk = writeChunk
	}
	s.segments = frames.segments(s.segments[:0])
	defer clear(s.segments) // they may be others' large bodies
	for rest := s.segments; len(rest) > 0; {
		n := 0
		s.gathered = s.gathered[:0]
		for len(rest) > 0 && len(s.gathered) < writeFrames && n < chunk {
			piece := rest[0][:min(len(rest[0]), chunk-n)]
			s.gathered, n = append(s.gathered, piece), n+len(piece)
			if rest[0] = rest[0][len(piece):]; len(rest[0]) == 0 {
				rest = rest[1:]
			}
		}
		if err := s.writeGathered(frames); err != nil {
			return err
		}
	}
	return nil
}

// writeGathered writes one part of the frames, and goes on for as long as the
// client takes some of it. That counts as hearing it: its pongs come no sooner
// than it has got the pings, which stand behind the rest.
func (s *session) writeGathered(of batch) error {
	limits := &s.bus.limits
	s.writing = s.gathered // WriteTo eats it
	for taken := time.Now(); ; {
		began := time.Now()
		by := taken.Add(limits.Write)
		if look := began.Add(limits.KeepAlive); look.Before(by) {
			by = look
		}
		_ = s.conn.SetWriteDeadline(by)
		if end := s.endBy.Load(); end != 0 {
			_ = s.conn.SetWriteDeadline(time.Unix(0, end))
		}
		n, err := s.writing.WriteTo(s.conn)
		s.bus.stats.bytesOut.Add(uint64(n))
		if n > 0 {
			taken = time.Now()
			s.box.written(int(n), of)
			// What did not wait may be in this machine's buffers only.
			if s.joined.Load() && taken.Sub(began) > limits.KeepAlive/100 {
				s.heard()
			}
		}
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) || !resumes(s.conn) || s.endBy.Load() != 0 || time.Since(taken) >= limits.Write {
			return err
		}
	}
}

// resumes reports whether a write may go on where a deadline has cut it.
func resumes(conn net.Conn) bool {
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn:
		return true
	}
	return false
}

// handOver waits a moment for the client to close its end: closing with unread
// input would reset the connection, and lose what was written last.
func (s *session) handOver() {
	if half, ok := s.conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	<-s.readerDone
	_ = s.conn.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.Copy(io.Discard, s.conn)
}
