package client

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// webSocket is a link over WebSocket (RFC 6455).
type webSocket struct {
	conn     *websocket.Conn
	kind     int // of the messages: text or binary
	most     int
	patience time.Duration // a server that is silent for so long is gone
}

func dialWebSocket(ctx context.Context, url string, o Options, format codec.Format) (link, error) {
	dialer := websocket.Dialer{
		Proxy:           http.ProxyFromEnvironment,
		TLSClientConfig: o.TLS,
		Subprotocols:    []string{format.Subprotocol()},
		ReadBufferSize:  32 << 10,
	}
	conn, response, err := dialer.DialContext(ctx, url, nil)
	if err != nil {
		if response != nil {
			err = fmt.Errorf("%w: the server answered %q", err, response.Status)
		}
		return nil, err
	}
	w := &webSocket{conn: conn, kind: websocket.BinaryMessage, most: o.MaxMessage, patience: 3 * o.KeepAlive}
	if format.Text() {
		w.kind = websocket.TextMessage
	}
	conn.SetReadLimit(int64(o.MaxMessage))
	pong := conn.PingHandler()
	conn.SetPingHandler(func(data string) error { w.alive(); return pong(data) })
	conn.SetPongHandler(func(string) error { w.alive(); return nil })
	return w, nil
}

func (w *webSocket) alive() { _ = w.conn.SetReadDeadline(time.Now().Add(w.patience)) }

func (w *webSocket) read() ([]byte, error) {
	w.alive()
	_, b, err := w.conn.ReadMessage()
	return b, err
}

func (w *webSocket) write(b []byte) error {
	_ = w.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	return w.conn.WriteMessage(w.kind, b)
}

func (w *webSocket) limit() int { return w.most }

func (w *webSocket) ping() error {
	return w.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeTimeout))
}

func (w *webSocket) leave() {
	goodbye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	_ = w.conn.WriteControl(websocket.CloseMessage, goodbye, time.Now().Add(time.Second))
}

func (w *webSocket) close() { _ = w.conn.Close() }
