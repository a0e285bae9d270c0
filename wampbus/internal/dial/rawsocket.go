package dial

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/verbatim-es/verbatim/wampbus/internal/keepalive"
	"github.com/verbatim-es/verbatim/wampbus/internal/rawsocket"
)

// rawSocket is a link over RawSocket.
type rawSocket struct {
	*heard
	in      *bufio.Reader // of a heardReader
	mostIn  int
	mostOut int

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
	if err := keepalive.Watch(conn, o.Watch); err != nil {
		return nil, err
	}
	h := newHeard(conn, &o)
	r := &rawSocket{heard: h, in: bufio.NewReaderSize(heardReader{h, conn}, 32<<10)}
	return r, r.shakeHands(&o)
}

// shakeHands tells the server what it may send, and learns what it takes.
func (r *rawSocket) shakeHands(o *Options) error {
	hello := rawsocket.Greet(o.Format, o.MaxIn)
	r.mostIn = hello.Takes()
	if _, err := r.conn.Write(hello[:]); err != nil {
		return err
	}
	var answer rawsocket.Hello
	if _, err := io.ReadFull(r.in, answer[:]); err != nil {
		return fmt.Errorf("no answer to the handshake: %w", err)
	}
	r.mostOut = min(answer.Takes(), o.MaxOut)
	return answer.Answers(o.Format)
}

func (r *rawSocket) Read() ([]byte, error) {
	for {
		kind, b, err := rawsocket.Read(r.in, r.mostIn)
		if err != nil {
			return nil, err
		}
		switch kind {
		case rawsocket.Message:
			return b, nil
		case rawsocket.Ping:
			if err := r.frame(rawsocket.Pong, b); err != nil {
				return nil, err
			}
		}
	}
}

func (r *rawSocket) frame(kind rawsocket.Kind, b []byte) error {
	frame := append(rawsocket.AppendHead(make([]byte, 0, 4+len(b)), kind, len(b)), b...)
	r.writing.Lock()
	defer r.writing.Unlock()
	_ = r.conn.SetWriteDeadline(time.Now().Add(WriteTimeout))
	_, err := r.conn.Write(frame)
	return err
}

func (r *rawSocket) Write(b []byte) error { return r.frame(rawsocket.Message, b) }
func (r *rawSocket) Limit() int           { return r.mostOut }
func (r *rawSocket) Ping() error          { return r.frame(rawsocket.Ping, nil) }
func (r *rawSocket) Leave()               {}
func (r *rawSocket) Close()               { _ = r.conn.Close() }
