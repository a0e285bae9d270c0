package wampbus

import (
	"errors"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
)

// frame is a kind of frame that both transports have.
type frame uint8

const (
	frameMessage frame = iota
	framePing
	framePong
)

// framer puts bytes into the frames of a transport.
type framer interface {
	// appendHead appends what stands before a payload of n bytes.
	appendHead(dst []byte, kind frame, n int) []byte
}

// transport carries the messages of one client. Only the reader calls receive.
type transport interface {
	framer
	// name is the kind of transport in what the bus says of itself.
	name() string
	// serve is called once, before receive: pings and pongs go to the session.
	serve(s *session)
	// receive returns the next message, which is the caller's. Errors are those below, or the connection's.
	receive() ([]byte, error)
	// appendClose appends the transport's own farewell, if it has one.
	appendClose(dst []byte, code uint16, reason string) []byte
	// most is the largest message that the client takes, in bytes.
	most() int
}

var (
	// errTooLong is a message over Limits.Message.
	errTooLong = errors.New("message over the limit")
	// errLeft is a client that closed its end in good order.
	errLeft = errors.New("the client closed the connection")
)

// watched is a reader that says when something has come.
type watched struct {
	io.Reader
	progressed func()
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Reader.Read(b)
	if n > 0 && w.progressed != nil {
		w.progressed()
	}
	return n, err
}

// misframed is a frame that the transport does not allow here.
type misframed struct {
	code    uint16
	message string
}

func (e *misframed) Error() string { return e.message }

// group is the sessions of one listener, or of the bus. They end together.
type group struct {
	limit    int // 0 means none
	mu       sync.Mutex
	sessions map[*session]struct{}
	closed   bool
	over     sync.WaitGroup
}

// add enters a session, unless the group is closed or has enough of them.
func (g *group) add(s *session) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return ErrClosed
	}
	if n := len(g.sessions); g.limit > 0 && n >= g.limit {
		return tooLarge("sessions", g.limit, n+1)
	}
	if g.sessions == nil {
		g.sessions = make(map[*session]struct{})
	}
	g.sessions[s] = struct{}{}
	g.over.Add(1)
	return nil
}

func (g *group) remove(s *session) {
	g.mu.Lock()
	delete(g.sessions, s)
	g.mu.Unlock()
	g.over.Done()
}

func (g *group) all() []*session {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Collect(maps.Keys(g.sessions))
}

// shut lets no more sessions in: whoever waits for the others needs that.
func (g *group) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}

// close ends the sessions and waits for them.
func (g *group) close() {
	g.shut()
	for _, s := range g.all() {
		go s.retire()
	}
	g.over.Wait()
}

func isLoopback(addr net.Addr) bool {
	if addr.Network() == "unix" {
		return true
	}
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
