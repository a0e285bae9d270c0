package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
	"github.com/verbatim-es/verbatim/wampbus/internal/dial"
)

// connectTimeout bounds each attempt to reconnect.
const connectTimeout = 15 * time.Second

// Client is a client of a bus. When its session ends it makes another, and goes
// on. Its methods are safe for concurrent use.
type Client struct {
	options Options
	format  codec.Format
	url     string
	dial    dial.Dialer

	life  context.Context // ends with Close
	end   context.CancelFunc
	done  chan struct{} // closed when the client is over
	parts sync.WaitGroup

	mu      sync.Mutex
	session *session      // nil while there is none
	changed chan struct{} // closed, and replaced, when session changes
	err     error         // why the client is over
	status  Status
}

var _ event.Log = (*Client)(nil)

// Dial connects to the bus at a URL and joins its realm. The URL is
// "ws://host:port/" or "wss://" for WebSocket; "rs://host:port", "rss://" (with
// TLS) or "unix:///path" for RawSocket, of which the first two may be written
// "tcp://" and "tcps://", too. ctx bounds that, and not the client's
// life: Close it. The first connection is tried once; those that follow when it
// is lost, until there is one.
func Dial(ctx context.Context, url string, o Options) (*Client, error) {
	o, format, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Client{options: o, format: format, url: url, done: make(chan struct{}), changed: make(chan struct{})}
	if c.dial, err = o.dialer(url, format); err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	s, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	c.life, c.end = context.WithCancel(context.Background())
	c.adopt(s)
	c.parts.Go(func() { c.keep(s) })
	return c, nil
}

// connect makes a session.
func (c *Client) connect(ctx context.Context) (*session, error) {
	l, err := c.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", c.url, err)
	}
	stop := context.AfterFunc(ctx, l.Close)
	s, err := join(ctx, l, c.format, &c.options)
	if err == nil {
		if err = s.askStore(ctx); err != nil {
			s.close(ErrClosed)
		}
	}
	if ctx.Err() != nil && err != nil {
		err = ctx.Err() // and not what its end made of the connection
	}
	if !stop() && err == nil {
		s.close(ErrClosed)
		err = ctx.Err()
	}
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("join realm %q at %s: %w", c.options.Realm, c.url, err)
	}
	return s, nil
}

// askStore learns which store the server has. A client without a role that may
// ask goes on without.
func (s *session) askStore(ctx context.Context) error {
	r, err := s.call(ctx, "es.info", nil, nil)
	if errors.Is(err, ErrNotAuthorized) {
		return nil
	}
	if err != nil {
		return err
	}
	a := answer{procedure: "es.info", result: r}
	if protocol := a.number("protocol"); a.err == nil && protocol != 1 {
		return fmt.Errorf("the server speaks protocol %d, this client protocol 1", protocol)
	}
	s.store = a.id("store")
	return a.err
}

// adopt makes a new session the client's.
func (c *Client) adopt(s *session) {
	c.mu.Lock()
	c.session = s
	close(c.changed)
	c.changed = make(chan struct{})
	c.mu.Unlock()
	c.change(func(now *Status) {
		now.State, now.Store, now.Attempts = Connected, s.store, 0
		now.Sessions++
	})
}

// keep waits for the session's end and makes another, until the client is over.
func (c *Client) keep(s *session) {
	for {
		select {
		case <-s.done:
		case <-c.life.Done():
			s.close(ErrClosed)
		}
		err := s.ended()
		s.parts.Wait()
		c.mu.Lock()
		c.session = nil
		c.mu.Unlock()
		if c.life.Err() == nil && !c.options.NoReconnect {
			c.change(func(now *Status) { now.State, now.Err = Reconnecting, err })
			s, err = c.reconnect()
		}
		if c.life.Err() != nil {
			err = ErrClosed
		}
		if c.life.Err() != nil || c.options.NoReconnect || err != nil {
			if s != nil {
				s.close(err)
			}
			c.finish(err)
			return
		}
		c.adopt(s)
	}
}

// finish ends the client. What waits for a session learns why.
func (c *Client) finish(err error) {
	c.mu.Lock()
	c.err = err
	c.mu.Unlock()
	close(c.done)
	c.change(func(now *Status) { now.State, now.Err = Closed, err })
}

// reconnect tries until there is a session, at growing intervals, each of a
// random length so that the clients of a server that was restarted don't come
// at once. It gives up when the server refuses the client itself.
func (c *Client) reconnect() (*session, error) {
	for interval := c.options.ReconnectMin; ; interval = min(2*interval, c.options.ReconnectMax) {
		timer := time.NewTimer(interval/2 + rand.N(interval/2+1))
		select {
		case <-timer.C:
		case <-c.life.Done():
			timer.Stop()
			return nil, ErrClosed
		}
		ctx, cancel := context.WithTimeout(c.life, connectTimeout)
		s, err := c.connect(ctx)
		cancel()
		if err == nil || refused(err) || c.life.Err() != nil {
			return s, err
		}
		c.change(func(now *Status) { now.Attempts, now.Err = now.Attempts+1, err })
	}
}

// refusals are why a server won't have a client whoever asks again.
var refusals = []wamp.URI{
	wamp.ErrAuthenticationFailed, wamp.ErrAuthorizationFailed, wamp.ErrNotAuthorized, wamp.ErrNoSuchRealm, wamp.ErrNoSuchRole,
	wamp.ErrNoAuthMethod,
}

func refused(err error) bool {
	var e *Error
	return errors.As(err, &e) && slices.Contains(refusals, wamp.URI(e.URI))
}

// acquire returns a session to make calls in, another than not. It waits for
// one until ctx ends or the client does.
func (c *Client) acquire(ctx context.Context, not *session) (*session, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c.mu.Lock()
		s, err, changed := c.session, c.err, c.changed
		c.mu.Unlock()
		if err != nil {
			return nil, err
		}
		if s != nil && s != not && s.usable() {
			return s, nil
		}
		select {
		case <-changed:
		case <-c.done:
		case <-ctx.Done():
		}
	}
}

// Done is closed when the client is over, for the reason that Err tells.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err returns why the client is over: [ErrClosed] after Close; what the server
// said that would not have it any more, an [*Error]; with Options.NoReconnect
// why the session ended, an [event.UnavailableError]. It is nil while the
// client lives, connected or not.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close leaves the realm and closes the connection. Calls in flight fail, and
// it waits for the functions of subscriptions, which must not call it, nor must
// Options.OnStatus. A second Close does nothing.
func (c *Client) Close() error {
	c.end()
	c.parts.Wait()
	return nil
}
