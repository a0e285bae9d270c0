package wampbus

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// ServeWebSocket serves clients that connect to the listener, at any path,
// until ctx ends or the bus is closed, and closes the listener. When ctx ends
// its sessions are ended first: they get what is queued for them and a GOODBYE,
// for which Limits.Shutdown allows. It then returns nil; any other end is an
// error.
func (b *Bus) ServeWebSocket(ctx context.Context, listener net.Listener) error {
	var own group
	server := &http.Server{
		Handler:        handler{bus: b, group: &own},
		ReadTimeout:    b.limits.Handshake, // an upgrade ends it
		WriteTimeout:   b.limits.Handshake,
		IdleTimeout:    b.limits.Handshake,
		MaxHeaderBytes: 16 << 10,
		ErrorLog:       slog.NewLogLogger(b.log.Handler(), slog.LevelDebug),
		ConnState:      b.arrival,
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, connected{}, time.Now())
		},
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		own.close()
		return err
	case <-ctx.Done():
	case <-b.draining.Done():
	}
	_ = server.Close()
	err := <-failed
	if b.draining.Err() == nil {
		own.close()
	}
	own.shut()
	own.over.Wait() // a closing bus ends them itself, after its calls
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// connected is the key under which a request's context has the time when its
// connection was accepted.
type connected struct{}

// arrival bounds the connections that are no sessions yet.
func (b *Bus) arrival(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		if b.arriving.Add(1) > int64(b.limits.Sessions) {
			_ = conn.Close()
		}
	case http.StateHijacked, http.StateClosed:
		b.arriving.Add(-1)
	}
}

// Handler serves clients on a server of the caller's: it upgrades requests to
// WebSockets, whatever their path. The connections end when the bus is closed.
func (b *Bus) Handler() http.Handler { return handler{bus: b, group: new(group)} }

type handler struct {
	bus   *Bus
	group *group
}

// noBuffers hands gorilla's write buffers out for a handshake only: frames are
// written without one.
var noBuffers sync.Pool

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !websocket.IsWebSocketUpgrade(r) {
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "close")
		http.Error(w, "this is a WAMP router: connect with a WebSocket and one of the subprotocols "+strings.Join(subprotocols(), ", "), http.StatusUpgradeRequired)
		return
	}
	if !slices.ContainsFunc(websocket.Subprotocols(r), func(s string) bool { return slices.Contains(subprotocols(), s) }) {
		http.Error(w, "none of the WebSocket subprotocols offered is known, use one of "+strings.Join(subprotocols(), ", "), http.StatusBadRequest)
		return
	}
	upgrader := websocket.Upgrader{
		HandshakeTimeout: h.bus.limits.Handshake,
		WriteBufferSize:  1 << 10, // for reading, it takes over the server's
		WriteBufferPool:  &noBuffers,
		Subprotocols:     subprotocols(),
		CheckOrigin:      h.bus.originAllowed,
	}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil { // it has been answered
		h.bus.log.Debug("no upgrade to a WebSocket", "remote", r.RemoteAddr, "error", err)
		return
	}
	format, _ := codec.BySubprotocol(conn.Subprotocol())
	since, ok := r.Context().Value(connected{}).(time.Time)
	if !ok { // the server is the caller's
		since = time.Now()
	}
	s := newSession(h.bus, conn.NetConn(), format, newWebSocket(conn, format, h.bus.limits.Message), since)
	if err := h.bus.sessions.add(s); err != nil {
		refuse(conn, err)
		return
	}
	if err := h.group.add(s); err != nil {
		h.bus.sessions.remove(s)
		refuse(conn, err)
		return
	}
	details := transportDetails(s.transport.name(), r.RemoteAddr, s)
	details["protocol"] = conn.Subprotocol()
	go func() { // the server's memory for the request is let go of
		defer h.bus.sessions.remove(s)
		defer h.group.remove(s)
		s.run(details)
	}()
}

func refuse(conn *websocket.Conn, err error) {
	_ = conn.NetConn().SetWriteDeadline(time.Now().Add(lingerTime))
	_, _ = conn.NetConn().Write(appendFrame(nil, opClose, closePayload(closeTryAgain, err.Error())))
	_ = conn.Close()
}

func subprotocols() []string {
	names := make([]string, len(codec.Formats))
	for i, f := range codec.Formats {
		names[i] = f.Subprotocol()
	}
	return names
}

// originAllowed accepts programs that are no browsers, pages of the origins
// allowed, and pages of the same host; with anonymous clients, the latter only
// when the host is localhost or an IP address.
func (b *Bus) originAllowed(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || slices.Contains(b.options.AllowedOrigins, "*") {
		return true
	}
	if slices.ContainsFunc(b.options.AllowedOrigins, func(allowed string) bool { return strings.EqualFold(allowed, origin) }) {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host) {
		return false
	}
	return b.options.Anonymous == 0 || isOwnName(u.Hostname())
}

// isOwnName reports whether a host can't be a name that somebody else points
// here: where clients need not authenticate, a page of any name that resolves
// to this machine would be let in as one of the same host.
func isOwnName(host string) bool {
	return strings.EqualFold(host, "localhost") || net.ParseIP(host) != nil
}

// webSocket is the transport of a client that is connected by WebSocket.
type webSocket struct {
	conn *websocket.Conn
	text bool
	body watched // of the message that is being read
}

func newWebSocket(conn *websocket.Conn, format codec.Format, limit int) *webSocket {
	conn.SetReadLimit(int64(limit))
	conn.SetCloseHandler(func(int, string) error { return nil }) // the writer answers
	return &webSocket{conn: conn, text: format.Text()}
}

func (*webSocket) name() string { return "websocket" }

func (w *webSocket) serve(s *session) {
	w.body.progressed = s.heard
	w.conn.SetPingHandler(func(data string) error { s.pinged([]byte(data)); return nil })
	w.conn.SetPongHandler(func(string) error { s.heard(); return nil })
}

func (w *webSocket) receive() ([]byte, error) {
	kind, message, err := w.conn.NextReader()
	var b []byte
	if err == nil {
		w.body.Reader = message
		b, err = io.ReadAll(&w.body)
	}
	var closed *websocket.CloseError
	switch {
	case errors.Is(err, websocket.ErrReadLimit):
		return nil, errTooLong
	case errors.As(err, &closed):
		return nil, errLeft
	case err != nil:
		return nil, err
	case (kind == websocket.TextMessage) != w.text:
		return nil, &misframed{closeUnsupported, "frames of this subprotocol have the other type, text or binary"}
	}
	return b, nil
}

func (w *webSocket) appendHead(dst []byte, kind frame, n int) []byte {
	switch {
	case kind == framePing:
		return appendFrameHead(dst, opPing, n)
	case kind == framePong:
		return appendFrameHead(dst, opPong, n)
	case w.text:
		return appendFrameHead(dst, opText, n)
	}
	return appendFrameHead(dst, opBinary, n)
}

func (w *webSocket) appendClose(dst []byte, code uint16, reason string) []byte {
	return appendFrame(dst, opClose, closePayload(code, reason))
}

func (w *webSocket) most() int { return math.MaxInt }
