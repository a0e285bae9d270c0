package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gammazero/nexus/v3/wamp"
	"github.com/gorilla/websocket"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// writeTimeout is how long the network may take no byte of a message.
const writeTimeout = 20 * time.Second

// Client is a session with a bus. Its methods are safe for concurrent use.
type Client struct {
	options Options
	format  codec.Format
	log     *slog.Logger
	conn    *websocket.Conn
	welcome *wamp.Welcome

	closing atomic.Bool   // Close was called
	writing chan struct{} // holds a value while somebody writes
	topics  sync.Mutex    // held while subscriptions change: the router knows one per topic
	done    chan struct{} // closed when the session is over
	parts   sync.WaitGroup

	mu      sync.Mutex
	err     error // why it is over
	request wamp.ID
	pending map[wamp.ID]chan wamp.Message // requests without answer
	subs    map[wamp.ID][]*Subscription   // by the router's subscription id
}

var _ event.Log = (*Client)(nil)

// Dial connects to the bus at a URL like "ws://localhost:8080/" and joins its
// realm. ctx bounds that, and not the client's life: Close it.
func Dial(ctx context.Context, url string, o Options) (*Client, error) {
	o, format, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
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
		return nil, fmt.Errorf("connect to %s: %w", url, err)
	}
	c := &Client{
		options: o, format: format, log: o.Logger, conn: conn,
		writing: make(chan struct{}, 1), done: make(chan struct{}),
		pending: make(map[wamp.ID]chan wamp.Message), subs: make(map[wamp.ID][]*Subscription),
	}
	conn.SetReadLimit(int64(o.MaxMessage))
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	err = c.join(ctx)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("join realm %q at %s: %w", o.Realm, url, err)
	}
	c.parts.Go(c.read)
	c.parts.Go(c.ping)
	return c, nil
}

// join exchanges HELLO and WELCOME.
func (c *Client) join(ctx context.Context) error {
	details := wamp.Dict{
		"agent": "verbatim-go",
		"roles": wamp.Dict{wamp.RoleCaller: wamp.Dict{"features": wamp.Dict{wamp.FeatureCallCanceling: true}}, wamp.RoleSubscriber: wamp.Dict{}},
	}
	if c.options.AuthID != "" {
		details["authid"] = c.options.AuthID
	}
	if len(c.options.Authenticators) > 0 {
		methods := []string{}
		for method := range c.options.Authenticators {
			methods = append(methods, method)
		}
		details["authmethods"] = methods
	}
	err := c.send(ctx, &wamp.Hello{Realm: wamp.URI(c.options.Realm), Details: details})
	for err == nil {
		var m wamp.Message
		if m, err = c.receive(); err != nil {
			break
		}
		switch m := m.(type) {
		case *wamp.Welcome:
			c.welcome = m
			return nil
		case *wamp.Challenge:
			err = c.answer(ctx, m)
		case *wamp.Abort:
			return abortError(m.Reason, m.Details)
		default:
			return fmt.Errorf("the server answered HELLO with %s", m.MessageType())
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func (c *Client) answer(ctx context.Context, m *wamp.Challenge) error {
	respond := c.options.Authenticators[m.AuthMethod]
	if respond == nil {
		return fmt.Errorf("the server wants authentication method %q", m.AuthMethod)
	}
	signature, err := respond(m)
	if err != nil {
		return err
	}
	return c.send(ctx, &wamp.Authenticate{Signature: signature, Extra: wamp.Dict{}})
}

// Done is closed when the session is over, for the reason that Err tells.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err returns why the session is over: [ErrClosed] after Close, otherwise an
// [event.UnavailableError]. It is nil while the session lives.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close leaves the realm and closes the connection. Calls in flight fail, and
// it waits for the functions of subscriptions, which must not call it. A second
// Close does nothing.
func (c *Client) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c.closing.Store(true)
	if c.Err() == nil {
		_ = c.send(ctx, &wamp.Goodbye{Reason: wamp.CloseRealm, Details: wamp.Dict{}})
		_ = c.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(time.Second))
	}
	c.fail(ErrClosed)
	c.parts.Wait()
	return nil
}

// fail ends the session. The first error counts.
func (c *Client) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	if c.closing.Load() {
		err = ErrClosed // and not what the server made of it
	}
	c.err = err
	close(c.done)
	for _, subs := range c.subs {
		for _, s := range subs {
			s.end(err)
		}
	}
	_ = c.conn.Close()
}

func (c *Client) ping() {
	ticker := time.NewTicker(c.options.KeepAlive)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			_ = c.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeTimeout))
		case <-c.done:
			return
		}
	}
}

func (c *Client) alive() { _ = c.conn.SetReadDeadline(time.Now().Add(3 * c.options.KeepAlive)) }

// read dispatches what comes in, until the session is over.
func (c *Client) read() {
	defer func() {
		if p := recover(); p != nil {
			c.log.Error("panic in a client", "panic", p, "stack", string(debug.Stack()))
			c.fail(&event.UnavailableError{Message: "internal error"})
		}
	}()
	pong := c.conn.PingHandler()
	c.conn.SetPingHandler(func(data string) error { c.alive(); return pong(data) })
	c.conn.SetPongHandler(func(string) error { c.alive(); return nil })
	for {
		c.alive()
		m, err := c.receive()
		if err != nil {
			c.fail(&event.UnavailableError{Message: "the connection is lost", Cause: err})
			return
		}
		switch m := m.(type) {
		case *wamp.Goodbye:
			c.fail(&event.UnavailableError{Message: "the server ended the session", Cause: abortError(m.Reason, m.Details)})
			return
		case *wamp.Abort:
			c.fail(&event.UnavailableError{Message: "the server ended the session", Cause: abortError(m.Reason, m.Details)})
			return
		case *wamp.Event:
			c.deliver(m)
		default:
			c.settle(m)
		}
	}
}

func (c *Client) receive() (wamp.Message, error) {
	_, b, err := c.conn.ReadMessage()
	if err != nil {
		return nil, err
	}
	return c.format.Decode(b)
}

// settle hands an answer to the one who asked.
func (c *Client) settle(m wamp.Message) {
	var id wamp.ID
	switch m := m.(type) {
	case *wamp.Result:
		id = m.Request
	case *wamp.Error:
		id = m.Request
	case *wamp.Subscribed:
		id = m.Request
	case *wamp.Unsubscribed:
		id = m.Request
	default:
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	wait := c.pending[id]
	if wait == nil {
		return // it was canceled
	}
	delete(c.pending, id)
	if subscribed, ok := m.(*wamp.Subscribed); ok {
		c.attach(id, subscribed.Subscription) // before any event of it is read
	}
	wait <- m
}

// send writes a message, at most one at a time.
func (c *Client) send(ctx context.Context, m wamp.Message) error {
	b, err := c.format.Append(nil, m)
	if err != nil {
		return err
	}
	if len(b) > c.options.MaxMessage {
		return &event.TooLargeError{Bound: "message", Limit: uint64(c.options.MaxMessage), Actual: uint64(len(b))}
	}
	select {
	case c.writing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-c.done:
		return c.Err()
	}
	defer func() { <-c.writing }()
	kind := websocket.BinaryMessage
	if c.format.Text() {
		kind = websocket.TextMessage
	}
	_ = c.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if err := c.conn.WriteMessage(kind, b); err != nil {
		lost := &event.UnavailableError{Message: "the connection is lost", Cause: err, Unknown: true}
		c.fail(&event.UnavailableError{Message: lost.Message, Cause: err})
		return lost
	}
	return nil
}

// expect enters a request and returns where its answer will come.
func (c *Client) expect() (wamp.ID, chan wamp.Message, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, nil, c.err
	}
	c.request++
	wait := make(chan wamp.Message, 1)
	c.pending[c.request] = wait
	return c.request, wait, nil
}

func (c *Client) forget(id wamp.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pending, id)
}

// errUnanswered is what is known of a call that was sent and not answered: it
// may have had its effect.
type errUnanswered struct{ cause error }

func (e *errUnanswered) Error() string { return "no answer: " + e.cause.Error() }
func (e *errUnanswered) Unwrap() error { return e.cause }

// call calls a procedure. A call that ends with ctx is canceled at the server.
func (c *Client) call(ctx context.Context, procedure string, args wamp.List, kwargs wamp.Dict) (*wamp.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	id, wait, err := c.expect()
	if err != nil {
		return nil, err
	}
	if err := c.send(ctx, &wamp.Call{Request: id, Options: wamp.Dict{}, Procedure: wamp.URI(procedure), Arguments: args, ArgumentsKw: kwargs}); err != nil {
		c.forget(id)
		return nil, err
	}
	select {
	case m := <-wait:
		return result(procedure, m)
	case <-ctx.Done():
		c.forget(id)
		cancel, stop := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
		defer stop()
		_ = c.send(cancel, &wamp.Cancel{Request: id, Options: wamp.Dict{wamp.OptMode: wamp.CancelModeKillNoWait}})
		return nil, &errUnanswered{ctx.Err()}
	case <-c.done:
		select {
		case m := <-wait: // the answer was the last thing that came
			return result(procedure, m)
		default:
			return nil, &errUnanswered{c.Err()}
		}
	}
}

func result(procedure string, m wamp.Message) (*wamp.Result, error) {
	switch m := m.(type) {
	case *wamp.Result:
		return m, nil
	case *wamp.Error:
		return nil, wireError(m)
	}
	return nil, fmt.Errorf("the server answered the call of %s with %s", procedure, m.MessageType())
}

// reading is the error of a call that changes nothing.
func reading(err error) error {
	var unanswered *errUnanswered
	if errors.As(err, &unanswered) {
		return unanswered.cause
	}
	return err
}

// changing is the error of a call that may have had its effect all the same.
func changing(err error) error {
	var unanswered *errUnanswered
	if errors.As(err, &unanswered) {
		return &event.UnavailableError{Message: "the answer did not arrive", Unknown: true, Cause: unanswered.cause}
	}
	return err
}
