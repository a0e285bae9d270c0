package wampbus

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
	"github.com/verbatim-es/verbatim/wampbus/internal/rawsocket"
)

// ServeRawSocket serves clients that connect to the listener, TCP or unix, by
// WAMP RawSocket, until ctx ends or the bus is closed, and closes the listener.
// For TLS, give it a [crypto/tls.NewListener]. When ctx ends its sessions are
// ended first, as with [Bus.ServeWebSocket]. It then returns nil; any other end
// is an error.
func (b *Bus) ServeRawSocket(ctx context.Context, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stopClosing := context.AfterFunc(b.draining, cancel)
	defer stopClosing()
	closeListener := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer closeListener()

	var own group
	var arriving sync.WaitGroup
	err := b.acceptRaw(ctx, listener, func(conn net.Conn) {
		arriving.Go(func() { b.serveRaw(ctx, conn, &own) })
	})
	cancel()
	_ = listener.Close()
	if b.draining.Err() == nil {
		own.close()
	}
	own.shut()
	arriving.Wait() // a closing bus ends its sessions itself, after their calls
	return err
}

// acceptRaw accepts connections until ctx ends; that is no error.
func (b *Bus) acceptRaw(ctx context.Context, listener net.Listener, serve func(net.Conn)) error {
	const shortest, longest = 5 * time.Millisecond, time.Second
	for delay := shortest; ; {
		conn, err := listener.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil: // too many open files, a client that is gone already
			b.log.Warn("accepting a connection", "error", err, "retry", delay)
			timer := time.NewTimer(delay)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
			}
			delay = min(2*delay, longest)
			continue
		}
		delay = shortest
		serve(conn)
	}
}

// serveRaw serves one connection. Until its handshake is over, the end of ctx
// is its end.
func (b *Bus) serveRaw(ctx context.Context, conn net.Conn, own *group) {
	if b.arriving.Add(1) > int64(b.limits.Sessions) {
		b.arriving.Add(-1)
		refuseRaw(conn, rawsocket.RefuseConnections)
		return
	}
	arrived := sync.OnceFunc(func() { b.arriving.Add(-1) })
	defer arrived()
	since := time.Now()
	_ = conn.SetDeadline(since.Add(b.limits.Handshake))
	hurry := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	raw, format, err := greetRaw(conn, b.limits.Message)
	if !hurry() || err != nil {
		b.log.Debug("no RawSocket handshake", "remote", conn.RemoteAddr().String(), "error", err)
		_ = conn.Close()
		return
	}
	s := newSession(b, conn, format, raw, since)
	if b.sessions.add(s) != nil {
		refuseRaw(conn, rawsocket.RefuseConnections)
		return
	}
	defer b.sessions.remove(s)
	if own.add(s) != nil {
		refuseRaw(conn, rawsocket.RefuseConnections)
		return
	}
	defer own.remove(s)
	arrived()
	answer := rawsocket.Greet(format, raw.limit)
	if _, err := conn.Write(answer[:]); err != nil {
		_ = conn.Close()
		return
	}
	_ = conn.SetDeadline(time.Time{})
	details := transportDetails(raw.name(), conn.RemoteAddr().String(), s)
	details["protocol"] = format.Subprotocol()
	s.run(details)
}

func refuseRaw(conn net.Conn, why rawsocket.Refusal) {
	_ = conn.SetWriteDeadline(time.Now().Add(lingerTime))
	answer := why.Hello()
	_, _ = conn.Write(answer[:])
	_ = conn.Close()
}

// rawSocket is the transport of a client that is connected by RawSocket.
type rawSocket struct {
	in     *bufio.Reader
	source *watched // of in
	takes  int      // the longest message that the client takes
	limit  int      // the longest that it may send
	pinged func([]byte)
	ponged func()
}

// greetRaw reads the client's part of the handshake, and answers it when it is
// refused.
func greetRaw(conn net.Conn, limit int) (*rawSocket, codec.Format, error) {
	source := &watched{Reader: conn}
	in := bufio.NewReaderSize(source, 4<<10)
	var hello rawsocket.Hello
	if _, err := io.ReadFull(in, hello[:]); err != nil {
		return nil, 0, err
	}
	format, err := hello.Asks()
	var refused rawsocket.Refusal
	if errors.As(err, &refused) {
		refuseRaw(conn, refused)
	}
	if err != nil {
		return nil, 0, err
	}
	limit = max(min(limit, rawsocket.Longest), rawsocket.Shortest)
	return &rawSocket{in: in, source: source, takes: hello.Takes(), limit: limit}, format, nil
}

func (*rawSocket) name() string { return "rawsocket" }

func (r *rawSocket) serve(s *session) {
	r.pinged, r.ponged = s.pinged, s.heard
	if r.source != nil {
		r.source.progressed = s.heard
	}
}

func (r *rawSocket) receive() ([]byte, error) {
	for {
		kind, b, err := rawsocket.Read(r.in, r.limit)
		var unknown rawsocket.KindError
		switch {
		case errors.Is(err, io.EOF):
			return nil, errLeft
		case errors.As(err, &unknown):
			return nil, &misframed{closeProtocol, unknown.Error()}
		case errors.As(err, new(*event.TooLargeError)):
			return nil, errTooLong
		case err != nil:
			return nil, err
		}
		switch kind {
		case rawsocket.Message:
			return b, nil
		case rawsocket.Ping:
			r.pinged(b)
		default:
			r.ponged()
		}
	}
}

func (r *rawSocket) appendHead(dst []byte, kind frame, n int) []byte {
	as := rawsocket.Message
	switch kind {
	case framePing:
		as = rawsocket.Ping
	case framePong:
		as = rawsocket.Pong
	}
	return rawsocket.AppendHead(dst, as, n)
}

// appendClose appends nothing: a RawSocket is just closed.
func (*rawSocket) appendClose(dst []byte, _ uint16, _ string) []byte { return dst }

func (r *rawSocket) most() int { return r.takes }
