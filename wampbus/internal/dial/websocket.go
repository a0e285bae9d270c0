package dial

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"github.com/verbatim-es/verbatim/wampbus/internal/keepalive"
)

// webSocket is a link over WebSocket (RFC 6455).
type webSocket struct {
	*heard
	conn *websocket.Conn
	kind int // of the messages: text or binary
	most int
}

func dialWebSocket(ctx context.Context, url string, o Options) (Link, error) {
	dialer := websocket.Dialer{
		Proxy:           http.ProxyFromEnvironment,
		TLSClientConfig: o.TLS,
		Subprotocols:    []string{o.Format.Subprotocol()},
		ReadBufferSize:  32 << 10,
	}
	conn, response, err := dialer.DialContext(ctx, url, nil)
	if err != nil {
		if response != nil {
			err = fmt.Errorf("%w: the server answered %q", err, response.Status)
		}
		return nil, err
	}
	if err := keepalive.Watch(conn.NetConn(), o.Watch); err != nil {
		_ = conn.Close()
		return nil, err
	}
	w := &webSocket{heard: newHeard(conn.NetConn(), &o), conn: conn, kind: websocket.BinaryMessage, most: o.MaxOut}
	if o.Format.Text() {
		w.kind = websocket.TextMessage
	}
	conn.SetReadLimit(int64(o.MaxIn))
	pong := conn.PingHandler()
	conn.SetPingHandler(func(data string) error { w.came(); w.wait(); return pong(data) })
	conn.SetPongHandler(func(string) error { w.came(); w.wait(); return nil })
	return w, nil
}

func (w *webSocket) Read() ([]byte, error) {
	w.wait()
	_, message, err := w.conn.NextReader()
	if err != nil {
		return nil, err
	}
	w.came()
	return io.ReadAll(heardReader{w.heard, message})
}

func (w *webSocket) Write(b []byte) error {
	_ = w.conn.SetWriteDeadline(time.Now().Add(WriteTimeout))
	return w.conn.WriteMessage(w.kind, b)
}

func (w *webSocket) Limit() int { return w.most }

func (w *webSocket) Ping() error {
	return w.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(WriteTimeout))
}

func (w *webSocket) Leave() {
	goodbye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	_ = w.conn.WriteControl(websocket.CloseMessage, goodbye, time.Now().Add(time.Second))
}

func (w *webSocket) Close() { _ = w.conn.Close() }
