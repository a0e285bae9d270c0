package wampbus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"time"

	nexus "github.com/gammazero/nexus/v3/transport"
	"github.com/gammazero/nexus/v3/transport/serialize"
	"github.com/gammazero/nexus/v3/wamp"
)

// Remote is a WAMP router elsewhere, at which a bus serves the same URIs.
//
// That router decides who may call and subscribe. It hides who they are unless
// it discloses its callers, so Roles holds for all of them, and idempotency keys
// are shared by those whose authid it does not tell.
type Remote struct {
	// URL is the router's: ws://, wss://, tcp:// (RawSocket), tcps:// or unix://.
	URL string
	// Realm is the realm there; "" means that of the bus.
	Realm string
	// Roles are what the router's callers may do here; none are refused.
	Roles Roles
	// AuthID and Challenge authenticate the bus there, by Method ("ticket", say);
	// it joins as an anonymous client when Method is "".
	AuthID, Method string
	// Challenge answers a CHALLENGE.
	Challenge func(*wamp.Challenge) (signature string, err error)
	// TLS is for wss:// and tcps://; nil means the defaults.
	TLS *tls.Config
	// JSON makes the link speak JSON instead of MessagePack.
	JSON bool
}

// How long a link waits before it connects again, after the first failure and
// at most.
const (
	firstRetry   = 100 * time.Millisecond
	longestRetry = 10 * time.Second
)

// errNoRoles refuses to attach to a router whose callers may do nothing.
var errNoRoles = errors.New("wampbus: Remote.Roles is empty: its callers could do nothing")

// Attach serves the bus at another router too: procedures, those of [Bus.Handle]
// included, and live events. It connects again, with growing pauses, whenever the
// connection is lost, until ctx ends or the bus is closed; then it returns nil.
// It returns an error when the router refuses what a retry would not change.
//
// While there is no connection, live events are not published there. Subscribers
// see the gap by previous, as everywhere.
func (b *Bus) Attach(ctx context.Context, to Remote) error {
	if to.Roles == 0 {
		return errNoRoles
	}
	if u, err := url.Parse(to.URL); err != nil || u.Scheme == "" {
		return fmt.Errorf("wampbus: %q is no URL of a router", to.URL)
	}
	if to.Realm == "" {
		to.Realm = b.options.Realm
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(b.draining, cancel)()
	for retry := firstRetry; ; {
		began := time.Now()
		err := b.linkOnce(ctx, to)
		var refused *refusedError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &refused):
			return fmt.Errorf("wampbus: attach to %s: %w", to.URL, err)
		case time.Since(began) > longestRetry:
			retry = firstRetry
		}
		b.log.Warn("the link to another router is down", "router", to.URL, "error", err, "retry", retry)
		timer := time.NewTimer(retry/2 + rand.N(retry/2))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
		retry = min(2*retry, longestRetry)
	}
}

// refusedError is a router's ABORT for a reason that stays.
type refusedError struct{ reason wamp.URI }

func (e *refusedError) Error() string { return "the router refuses the session: " + string(e.reason) }

// link is one connection to another router.
type link struct {
	bus    *Bus
	remote *Remote
	callee *callee
	peer   *endpoint
	ctx    context.Context
	room   *outbox // counts answers in the making, and holds none
}

// linkOnce connects, serves until the connection is lost or ctx ends, and takes
// its leave.
func (b *Bus) linkOnce(ctx context.Context, to Remote) error {
	peer, err := dialRouter(ctx, &to)
	if err != nil {
		return err
	}
	defer peer.Close()
	if err := joinRouter(ctx, peer, &to, b.limits.Handshake); err != nil {
		return err
	}
	l := &link{bus: b, remote: &to, room: newOutbox(b.limits.Queue, nil)}
	alive, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	l.ctx = alive
	l.callee = newCallee(b, l.admit)
	ready := make(chan struct{})
	l.peer = newEndpoint(peer.Send(), peer.Recv(), func(m wamp.Message) { <-ready; l.callee.receive(m) })
	l.callee.peer = l.peer
	close(ready)
	defer l.peer.pumping.Wait()
	defer l.peer.Close()
	if err := l.register(); err != nil {
		return err
	}
	defer l.retract()
	return l.serve(ctx)
}

// serve publishes until the link is over, and lets running calls end.
func (l *link) serve(ctx context.Context) error {
	running, stop := context.WithCancel(ctx)
	defer stop()
	p, err := newPublisher(running, l.bus, l.publish, func(context.Context) {})
	if err != nil {
		return err
	}
	announcements := newAnnouncer(l.bus, l.publish)
	var parts sync.WaitGroup
	parts.Go(func() { p.run(running) })
	parts.Go(func() { announcements.run(running) })
	select {
	case <-l.peer.done:
		stop()
		parts.Wait()
		return errors.New("the connection is lost")
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.bus.limits.Shutdown)
	defer cancel()
	_ = l.callee.drain(drain)
	stop()
	parts.Wait()
	l.peer.send(&wamp.Goodbye{Reason: wamp.CloseSystemShutdown, Details: wamp.Dict{}})
	select {
	case <-l.peer.done: // it has been answered
	case <-drain.Done():
	}
	return nil
}

// publish waits for the connection: a slow router delays nobody but its own
// subscribers.
func (l *link) publish(p *publication) {
	l.peer.asking.Lock()
	defer l.peer.asking.Unlock()
	l.peer.send(p.publish(l.peer.nextRequest()))
}

// register offers what the bus serves. A prefix goes without its last dot, which
// not every router takes; what else it matches is unknown.
func (l *link) register() error {
	l.bus.registering.Lock()
	defer l.bus.registering.Unlock()
	for name := range l.callee.procedures {
		var err error
		if prefix, ok := strings.CutSuffix(name, "."); !ok {
			err = l.callee.add(name, "")
		} else if prefix != "es" { // what there is not is the router's to answer
			err = l.callee.add(prefix, wamp.MatchPrefix)
		}
		if err != nil {
			return err
		}
	}
	for _, uri := range l.bus.handledURIs() {
		l.add(uri)
	}
	l.bus.links[l] = struct{}{}
	return nil
}

func (l *link) retract() {
	l.bus.registering.Lock()
	defer l.bus.registering.Unlock()
	delete(l.bus.links, l)
}

// add registers a procedure of the program's. One that the router refuses, since
// somebody else has it there, does not end the link.
func (l *link) add(uri string) {
	if err := l.callee.add(uri, ""); err != nil {
		l.bus.log.Warn("a procedure is not served at another router", "router", l.remote.URL, "error", err)
	}
}

// admit says who calls: whom the router discloses, with the roles of the link.
func (l *link) admit(m *wamp.Invocation) (*caller, error) {
	if uri := l.callee.uri(m); !l.bus.mayCall(l.remote.Roles, uri) {
		return nil, fmt.Errorf("callers of this router may not call %s", uri)
	}
	by := &caller{party: l, call: new(pendingCall), roles: l.remote.Roles}
	for _, name := range []string{"caller_authid", "authid"} {
		if id, ok := wamp.AsString(m.Details[name]); ok && by.principal == "" {
			by.principal = id
		}
	}
	return by, nil
}

// The methods of party.
func (l *link) alive() context.Context   { return l.ctx }
func (l *link) patient() context.Context { return l.ctx }
func (l *link) begin(*pendingCall) bool  { return true }
func (l *link) page() int                { return l.bus.limits.Page }

func (l *link) reserve(ctx context.Context, c *pendingCall, n int) error {
	if err := l.room.reserve(ctx, n); err != nil {
		return err
	}
	c.reserved += n
	return nil
}

func (l *link) over(c *pendingCall) { l.room.release(c.reserved) }

// dialRouter connects.
func dialRouter(ctx context.Context, to *Remote) (wamp.Peer, error) {
	serialization := serialize.MSGPACK
	if to.JSON {
		serialization = serialize.JSON
	}
	quiet := slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	u, err := url.Parse(to.URL)
	if err != nil {
		return nil, err
	}
	config := to.TLS
	if config == nil {
		config = new(tls.Config)
	}
	switch u.Scheme {
	case "ws", "wss":
		return nexus.ConnectWebsocketPeer(ctx, to.URL, serialization, config, quiet, &nexus.WebsocketConfig{KeepAlive: 20 * time.Second})
	case "tcp":
		return nexus.ConnectRawSocketPeer(ctx, "tcp", u.Host, serialization, nil, quiet, 0)
	case "tcps":
		return nexus.ConnectRawSocketPeer(ctx, "tcp", u.Host, serialization, config, quiet, 0)
	case "unix":
		return nexus.ConnectRawSocketPeer(ctx, "unix", u.Host+u.Path, serialization, nil, quiet, 0)
	}
	return nil, &refusedError{wamp.URI("unknown scheme " + u.Scheme)}
}

// joinRouter exchanges HELLO and WELCOME.
func joinRouter(ctx context.Context, peer wamp.Peer, to *Remote, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	details := wamp.Dict{"agent": "verbatim", "roles": serverRoles}
	if to.AuthID != "" {
		details["authid"] = to.AuthID
	}
	if to.Method != "" {
		details["authmethods"] = []string{to.Method}
	}
	var m wamp.Message = &wamp.Hello{Realm: wamp.URI(to.Realm), Details: details}
	for {
		select {
		case peer.Send() <- m:
		case <-ctx.Done():
			return ctx.Err()
		}
		var answer wamp.Message
		var open bool
		select {
		case answer, open = <-peer.Recv():
		case <-ctx.Done():
			return ctx.Err()
		}
		if !open {
			return errors.New("the router closed the connection")
		}
		switch answer := answer.(type) {
		case *wamp.Welcome:
			return nil
		case *wamp.Abort:
			return aborted(answer)
		case *wamp.Challenge:
			if to.Challenge == nil || answer.AuthMethod != to.Method {
				return &refusedError{wamp.URI("it wants authentication by " + answer.AuthMethod)}
			}
			signature, err := to.Challenge(answer)
			if err != nil {
				return err
			}
			m = &wamp.Authenticate{Signature: signature, Extra: wamp.Dict{}}
		default:
			return fmt.Errorf("the router answered HELLO with %s", answer.MessageType())
		}
	}
}

// aborted tells what stays from what may pass.
func aborted(m *wamp.Abort) error {
	switch m.Reason {
	case wamp.ErrNoSuchRealm, wamp.ErrAuthenticationFailed, wamp.ErrAuthorizationFailed, wamp.ErrNotAuthorized, wamp.ErrNoSuchRole:
		return &refusedError{m.Reason}
	}
	return fmt.Errorf("the router aborted the session: %s", m.Reason)
}
