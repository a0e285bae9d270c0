package client

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// writeTimeout is how long the network may take no byte of a message.
const writeTimeout = 20 * time.Second

// link carries whole messages to a server and back. One goroutine reads; the
// other methods may be called at any time, write by one goroutine at a time.
type link interface {
	// read returns the next message; the bytes are the caller's. It answers
	// what the transport itself asks, such as pings. An error is the link's end.
	read() ([]byte, error)
	write(b []byte) error
	// limit is the largest message that can be written, in bytes.
	limit() int
	ping() error
	// leave says that nothing follows, where the transport has a word for it.
	leave()
	close()
}

// dialer knows how to reach a server.
type dialer func(ctx context.Context) (link, error)

// dialerFor reads a URL. It does not connect.
func dialerFor(text string, o Options, format codec.Format) (dialer, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	raw := func(network, address string, config *tls.Config) dialer {
		return func(ctx context.Context) (link, error) {
			return dialRawSocket(ctx, network, address, config, o, format)
		}
	}
	switch {
	case u.Scheme == "ws" || u.Scheme == "wss":
		return func(ctx context.Context) (link, error) { return dialWebSocket(ctx, text, o, format) }, nil
	case u.Scheme == "rs" && u.Port() != "":
		return raw("tcp", u.Host, nil), nil
	case u.Scheme == "rss" && u.Port() != "":
		config := o.TLS.Clone()
		if config == nil {
			config = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		if config.ServerName == "" {
			config.ServerName = u.Hostname()
		}
		return raw("tcp", net.JoinHostPort(u.Hostname(), u.Port()), config), nil
	case u.Scheme == "unix" && u.Host+u.Path != "":
		return raw("unix", u.Host+u.Path, nil), nil
	}
	return nil, fmt.Errorf("client: %q is no URL of a bus: use ws://, wss://, rs://host:port, rss://host:port or unix:///path", text)
}
