package wampbus

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"net"
	"sync"
	"time"

	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// The octets of the RawSocket handshake, and the errors in its answer: WAMP
// specification, section "RawSocket Transport".
const (
	rawMagic = 0x7f

	rawErrSerializer  = 1
	rawErrReserved    = 3
	rawErrConnections = 4
)

// rawFormats are the formats by the number that the handshake has for them.
var rawFormats = map[byte]codec.Format{1: codec.JSON, 2: codec.MessagePack, 3: codec.CBOR}

// The kinds of frames, in the first octet of each.
const (
	rawMessage = 0
	rawPing    = 1
	rawPong    = 2
)

const (
	// rawShortest is the length for which the handshake's length exponent is 0,
	// rawLongest the most that the three octets of a frame's length can say.
	rawShortest = 1 << 9
	rawLongest  = 1<<24 - 1
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
		refuseRaw(conn, rawErrConnections)
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
		refuseRaw(conn, rawErrConnections)
		return
	}
	defer b.sessions.remove(s)
	if own.add(s) != nil {
		refuseRaw(conn, rawErrConnections)
		return
	}
	defer own.remove(s)
	arrived()
	if _, err := conn.Write(raw.answer()); err != nil {
		_ = conn.Close()
		return
	}
	_ = conn.SetDeadline(time.Time{})
	details := transportDetails(raw.name(), conn.RemoteAddr().String(), s)
	details["protocol"] = format.Subprotocol()
	s.run(details)
}

func refuseRaw(conn net.Conn, reason byte) {
	_ = conn.SetWriteDeadline(time.Now().Add(lingerTime))
	_, _ = conn.Write([]byte{rawMagic, reason << 4, 0, 0})
	_ = conn.Close()
}

// rawSocket is the transport of a client that is connected by RawSocket.
type rawSocket struct {
	in     *bufio.Reader
	source *watched // of in
	format byte
	takes  int // the longest message that the client takes
	limit  int // the longest that it may send
	pinged func([]byte)
	ponged func()
}

// greetRaw reads the client's part of the handshake, and answers it when it is
// refused.
func greetRaw(conn net.Conn, limit int) (*rawSocket, codec.Format, error) {
	source := &watched{Reader: conn}
	in := bufio.NewReaderSize(source, 4<<10)
	var hello [4]byte
	if _, err := io.ReadFull(in, hello[:]); err != nil {
		return nil, 0, err
	}
	format, known := rawFormats[hello[1]&0xf]
	switch {
	case hello[0] != rawMagic:
		return nil, 0, fmt.Errorf("the first octet is 0x%02x, not 0x%02x", hello[0], rawMagic)
	case !known:
		refuseRaw(conn, rawErrSerializer)
		return nil, 0, fmt.Errorf("serializer %d is unknown", hello[1]&0xf)
	case hello[2] != 0 || hello[3] != 0:
		refuseRaw(conn, rawErrReserved)
		return nil, 0, errors.New("the reserved octets are not zero")
	}
	return &rawSocket{
		in: in, source: source, format: hello[1] & 0xf,
		takes: min(rawShortest<<(hello[1]>>4), rawLongest), limit: max(min(limit, rawLongest), rawShortest),
	}, format, nil
}

// answer is the server's part of the handshake: the largest length exponent
// whose length is not above the limit.
func (r *rawSocket) answer() []byte {
	exponent := bits.Len(uint(r.limit)) - 10
	if r.limit == rawLongest {
		exponent = 15 // which stands for one more than the frames can say
	}
	return []byte{rawMagic, byte(exponent)<<4 | r.format, 0, 0}
}

func (*rawSocket) name() string { return "rawsocket" }

func (r *rawSocket) serve(s *session) {
	r.pinged, r.ponged = s.pinged, s.heard
	if r.source != nil {
		r.source.progressed = s.progressed
	}
}

func (r *rawSocket) receive() ([]byte, error) {
	for {
		var head [4]byte
		if _, err := io.ReadFull(r.in, head[:]); err != nil {
			if errors.Is(err, io.EOF) {
				return nil, errLeft
			}
			return nil, err
		}
		kind, n := head[0], int(binary.BigEndian.Uint32(head[:])&rawLongest)
		switch {
		case kind > rawPong:
			return nil, &misframed{closeProtocol, fmt.Sprintf("a frame's first octet is 0x%02x", kind)}
		case n > r.limit:
			return nil, errTooLong
		}
		b, err := r.payload(n)
		if err != nil {
			return nil, err
		}
		switch kind {
		case rawMessage:
			return b, nil
		case rawPing:
			r.pinged(b)
		default:
			r.ponged()
		}
	}
}

// payload reads n bytes. It takes memory as they come, not as they are announced.
func (r *rawSocket) payload(n int) ([]byte, error) {
	const trusted = 64 << 10
	b := make([]byte, 0, min(n, trusted))
	for len(b) < n {
		if len(b) == cap(b) {
			b = append(make([]byte, 0, min(n, 2*cap(b))), b...)
		}
		read, err := io.ReadFull(r.in, b[len(b):cap(b)])
		if b = b[:len(b)+read]; err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (r *rawSocket) appendHead(dst []byte, kind frame, n int) []byte {
	octet := uint32(rawMessage)
	switch kind {
	case framePing:
		octet = rawPing
	case framePong:
		octet = rawPong
	}
	return binary.BigEndian.AppendUint32(dst, octet<<24|uint32(n))
}

// appendClose appends nothing: a RawSocket is just closed.
func (*rawSocket) appendClose(dst []byte, _ uint16, _ string) []byte { return dst }

func (r *rawSocket) most() int { return r.takes }
