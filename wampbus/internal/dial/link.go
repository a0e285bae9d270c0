package dial

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// WriteTimeout is how long the network may take no byte of a message.
const WriteTimeout = 20 * time.Second

// Link carries whole messages to a router and back. One goroutine reads; the
// other methods may be called at any time, Write by one goroutine at a time.
type Link interface {
	// Read returns the next message; the bytes are the caller's. It answers
	// what the transport itself asks, such as pings. An error is the link's end.
	Read() ([]byte, error)
	Write(b []byte) error
	// Limit is the largest message that can be written, in bytes.
	Limit() int
	Ping() error
	// Silent is how long nothing has come from the router.
	Silent() time.Duration
	// Leave says that nothing follows, where the transport has a word for it.
	Leave()
	// Close ends Read and Write. It does not wait.
	Close()
}

// Options configure links. All but TLS must be set.
type Options struct {
	Format codec.Format
	// TLS is for URLs that ask for it; nil means the defaults.
	TLS *tls.Config
	// Watch is how long the router's machine or network may be gone until the
	// kernel ends the connection, and Patience how long the router may send
	// nothing, not even pongs.
	Watch, Patience time.Duration
	// MaxIn and MaxOut bound messages, in bytes.
	MaxIn, MaxOut int
}

// heard keeps the time at which something came, and how long the next may take.
type heard struct {
	conn     net.Conn
	patience time.Duration
	began    time.Time
	at       atomic.Int64 // since began, in ns
}

func newHeard(conn net.Conn, o *Options) *heard {
	return &heard{conn: conn, patience: o.Patience, began: time.Now()}
}

// Silent implements [Link].
func (h *heard) Silent() time.Duration { return time.Since(h.began) - time.Duration(h.at.Load()) }

// wait is called before something is waited for, and came when it has come.
func (h *heard) wait() { _ = h.conn.SetReadDeadline(time.Now().Add(h.patience)) }
func (h *heard) came() { h.at.Store(int64(time.Since(h.began))) }

// heardReader takes every byte of a long message for a sign of life.
type heardReader struct {
	*heard
	from io.Reader
}

func (r heardReader) Read(b []byte) (int, error) {
	r.wait()
	n, err := r.from.Read(b)
	if n > 0 {
		r.came()
	}
	return n, err
}

// Dialer connects; ctx bounds that, and not the link's life.
type Dialer func(ctx context.Context) (Link, error)

// For reads a router's URL. It does not connect.
func For(text string, o Options) (Dialer, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, err
	}
	raw := func(network, address string, config *tls.Config) Dialer {
		return func(ctx context.Context) (Link, error) { return dialRawSocket(ctx, network, address, config, o) }
	}
	switch scheme := u.Scheme; {
	case (scheme == "ws" || scheme == "wss") && u.Host != "":
		return func(ctx context.Context) (Link, error) { return dialWebSocket(ctx, text, o) }, nil
	case (scheme == "rs" || scheme == "tcp") && u.Port() != "":
		return raw("tcp", u.Host, nil), nil
	case (scheme == "rss" || scheme == "tcps") && u.Port() != "":
		config := o.TLS.Clone()
		if config == nil {
			config = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		if config.ServerName == "" {
			config.ServerName = u.Hostname()
		}
		return raw("tcp", net.JoinHostPort(u.Hostname(), u.Port()), config), nil
	case scheme == "unix" && u.Host+u.Path != "":
		return raw("unix", u.Host+u.Path, nil), nil
	}
	return nil, fmt.Errorf("%q is no URL of a bus: use ws://, wss://, rs://host:port or tcp://, rss://host:port or tcps://, or unix:///path", text)
}
