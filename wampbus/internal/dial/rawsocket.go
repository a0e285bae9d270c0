package dial

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"net"
	"sync"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// The handshake and the frames of RawSocket (The WAMP Specification, "RawSocket
// Transport"). A frame is a type and a length of 24 bits, then the payload.
const (
	rawMagic       = 0x7f
	rawLengthBits  = 9 // a length nibble n stands for 2^(9+n)
	rawMaxExponent = 15
	rawMaxPayload  = 1<<24 - 1

	rawMessage = 0
	rawPing    = 1
	rawPong    = 2
)

// rawSerializers are the numbers of the formats in the handshake.
var rawSerializers = map[codec.Format]byte{codec.JSON: 1, codec.MessagePack: 2, codec.CBOR: 3}

// rawRefusals are what a server may answer to a handshake.
var rawRefusals = map[byte]string{
	1: "it does not speak this serialization",
	2: "it does not accept this length of messages",
	3: "it does not know the reserved bits",
	4: "it has as many connections as it takes",
}

// rawSocket is a link over RawSocket.
type rawSocket struct {
	conn     net.Conn
	in       *bufio.Reader
	mostIn   int
	mostOut  int
	patience time.Duration

	writing sync.Mutex
}

func dialRawSocket(ctx context.Context, network, address string, config *tls.Config, o Options) (Link, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	r, err := newRawSocket(ctx, conn, config, o)
	if !stop() {
		err = ctx.Err() // and not what its end made of the connection
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return r, nil
}

func newRawSocket(ctx context.Context, conn net.Conn, config *tls.Config, o Options) (*rawSocket, error) {
	if config != nil {
		secured := tls.Client(conn, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		conn = secured
	}
	r := &rawSocket{conn: conn, in: bufio.NewReaderSize(conn, 32<<10), patience: 3 * o.KeepAlive}
	return r, r.shakeHands(o.MaxIn, o.MaxOut, rawSerializers[o.Format])
}

// shakeHands tells the server what it may send, at most in bytes, and learns
// what it takes, at most out.
func (r *rawSocket) shakeHands(in, out int, serializer byte) error {
	exponent := min(max(bits.Len(uint(in))-1-rawLengthBits, 0), rawMaxExponent)
	r.mostIn = min(1<<(rawLengthBits+exponent), rawMaxPayload)
	r.alive()
	if _, err := r.conn.Write([]byte{rawMagic, byte(exponent)<<4 | serializer, 0, 0}); err != nil {
		return err
	}
	var answer [4]byte
	if _, err := io.ReadFull(r.in, answer[:]); err != nil {
		return fmt.Errorf("no answer to the handshake: %w", err)
	}
	switch {
	case answer[0] != rawMagic || answer[2] != 0 || answer[3] != 0:
		return fmt.Errorf("the server does not speak RawSocket: it answered % x", answer)
	case answer[1]&0x0f == 0:
		why, ok := rawRefusals[answer[1]>>4]
		if !ok {
			why = fmt.Sprintf("error %d", answer[1]>>4)
		}
		return fmt.Errorf("the server refused the handshake: %s", why)
	case answer[1]&0x0f != serializer:
		return fmt.Errorf("the server answered with serialization %d, %d was asked for", answer[1]&0x0f, serializer)
	}
	r.mostOut = min(1<<(rawLengthBits+answer[1]>>4), rawMaxPayload, out)
	return nil
}

func (r *rawSocket) alive() { _ = r.conn.SetReadDeadline(time.Now().Add(r.patience)) }

func (r *rawSocket) Read() ([]byte, error) {
	for {
		r.alive()
		var header [4]byte
		if _, err := io.ReadFull(r.in, header[:]); err != nil {
			return nil, err
		}
		n := int(binary.BigEndian.Uint32(header[:]) & rawMaxPayload)
		if n > r.mostIn {
			return nil, &event.TooLargeError{Bound: "message", Limit: uint64(r.mostIn), Actual: uint64(n)}
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(aliveReader{r}, b); err != nil {
			return nil, err
		}
		switch header[0] {
		case rawMessage:
			return b, nil
		case rawPing:
			if err := r.frame(rawPong, b); err != nil {
				return nil, err
			}
		case rawPong:
		default:
			return nil, fmt.Errorf("a RawSocket frame has type %d", header[0])
		}
	}
}

// aliveReader takes every byte of a long message for a sign of life.
type aliveReader struct{ *rawSocket }

func (a aliveReader) Read(b []byte) (int, error) {
	a.alive()
	return a.in.Read(b)
}

func (r *rawSocket) frame(kind byte, b []byte) error {
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(b)), uint32(kind)<<24|uint32(len(b)))
	frame = append(frame, b...)
	r.writing.Lock()
	defer r.writing.Unlock()
	_ = r.conn.SetWriteDeadline(time.Now().Add(WriteTimeout))
	_, err := r.conn.Write(frame)
	return err
}

func (r *rawSocket) Write(b []byte) error { return r.frame(rawMessage, b) }
func (r *rawSocket) Limit() int           { return r.mostOut }
func (r *rawSocket) Ping() error          { return r.frame(rawPing, nil) }
func (r *rawSocket) Leave()               {}
func (r *rawSocket) Close()               { _ = r.conn.Close() }
