package wampbus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
	"github.com/verbatim-es/verbatim/wampbus/internal/dial"
)

// Remote is a WAMP router elsewhere, at which a bus serves the same URIs.
//
// That router decides who may call and subscribe. It hides who they are unless
// it discloses its callers, so Roles holds for all of them, and idempotency keys
// are shared by those whose authid it does not tell.
type Remote struct {
	// URL is the router's: ws:// or wss:// for WebSocket; rs://, rss:// (with TLS)
	// or unix:// for RawSocket, of which the first two may be written tcp:// and
	// tcps://, too.
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
	// TLS is for wss:// and rss://; nil means the defaults.
	TLS *tls.Config
	// JSON makes the link speak JSON instead of MessagePack.
	JSON bool
}

func (r *Remote) format() codec.Format {
	if r.JSON {
		return codec.JSON
	}
	return codec.MessagePack
}

// The largest messages on a link, its interval of pings, and how long a router
// may send nothing.
const (
	linkMessage   = 16 << 20
	linkKeepAlive = 20 * time.Second
	linkPatience  = 3 * linkKeepAlive
)

func (r *Remote) dialer() (dial.Dialer, error) {
	return dial.For(r.URL, dial.Options{
		Format: r.format(), TLS: r.TLS, Watch: linkPatience, Patience: linkPatience, MaxIn: linkMessage, MaxOut: linkMessage,
	})
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
// included, and live events. Whatever that router does, stalls included, holds
// up nothing but itself. It connects again, with growing pauses, whenever the
// connection is lost, until ctx ends or the bus is closed; then it returns nil.
// That takes at most Limits.Shutdown, for calls that are running and a router
// that does not listen. It returns an error when the router refuses what a retry
// would not change.
//
// While there is no connection, live events are not published there. Subscribers
// see the gap by previous, as everywhere.
func (b *Bus) Attach(ctx context.Context, to Remote) error {
	if to.Roles == 0 {
		return errNoRoles
	}
	connect, err := to.dialer()
	if err != nil {
		return fmt.Errorf("wampbus: %w", err)
	}
	if to.Realm == "" {
		to.Realm = b.options.Realm
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(b.draining, cancel)()
	for retry := firstRetry; ; {
		began := time.Now()
		err := b.linkOnce(ctx, connect, to)
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
	// changed has a value when the program's procedures may be others than those
	// that are registered there.
	changed chan struct{}
}

// linkOnce connects, serves until the connection is lost or ctx ends, and takes
// its leave.
func (b *Bus) linkOnce(ctx context.Context, connect dial.Dialer, to Remote) error {
	opening, opened := context.WithTimeout(ctx, b.limits.Handshake)
	defer opened()
	conn, err := connect(opening)
	if err != nil {
		return err
	}
	peer := newRemotePeer(conn, to.format(), b.log)
	defer peer.close()
	if err := joinRouter(opening, peer, &to); err != nil {
		return err
	}
	l := &link{bus: b, remote: &to, room: newOutbox(b.limits.Queue, nil), changed: make(chan struct{}, 1)}
	alive, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	l.ctx = alive
	ready := make(chan struct{})
	l.peer = newEndpoint(peer.to, peer.from, func(m wamp.Message) { <-ready; l.callee.receive(m) })
	l.callee = newCallee(l, l.peer)
	close(ready)
	defer l.peer.pumping.Wait()
	defer l.peer.Close()
	b.enter(l)
	defer b.leave(l)
	giveUp := context.AfterFunc(ctx, l.peer.Close)
	if err := l.register(); err != nil {
		return err
	}
	if !giveUp() {
		return ctx.Err()
	}
	return l.serve(ctx)
}

func (b *Bus) enter(l *link) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.links[l] = struct{}{}
}

func (b *Bus) leave(l *link) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.links, l)
}

// tellLinks has the links look at what the program serves.
func (b *Bus) tellLinks() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for l := range b.links {
		select {
		case l.changed <- struct{}{}:
		default: // it is going to
		}
	}
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
	parts.Go(func() { l.follow(running) })
	select {
	case <-l.peer.done:
		stop()
		parts.Wait()
		return errors.New("the connection is lost")
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.bus.limits.Shutdown)
	defer cancel()
	defer context.AfterFunc(drain, l.peer.Close)() // a router that takes nothing has had its time
	_ = l.callee.calls.drain(drain)
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
	for name := range l.callee.calls.procedures {
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
	return nil
}

// follow registers what the program serves, and takes back what it serves no
// more, until ctx ends. What the router refuses, since somebody else has it
// there, does not end the link; that the router does not answer does.
func (l *link) follow(ctx context.Context) {
	offered := make(map[string]*handled)
	for {
		now := l.bus.handlers()
		for uri, h := range offered {
			if now[uri] != h {
				l.settled(l.callee.remove(uri))
				delete(offered, uri)
			}
		}
		for uri, h := range now {
			if offered[uri] == nil {
				l.settled(l.callee.add(uri, ""))
				offered[uri] = h
			}
		}
		select {
		case <-l.changed:
		case <-ctx.Done():
			return
		}
	}
}

// settled judges the outcome of a registration.
func (l *link) settled(err error) {
	if err != nil {
		l.bus.log.Warn("a procedure is not served, or served on, at another router", "router", l.remote.URL, "error", err)
	}
	if errors.Is(err, errNoAnswer) {
		l.peer.Close()
	}
}

// The methods of party.
func (l *link) alive() context.Context   { return l.ctx }
func (l *link) patient() context.Context { return l.ctx }
func (l *link) page() int                { return l.bus.limits.Page }

func (l *link) reserve(ctx context.Context, c *pendingCall, n int) error {
	if err := l.room.reserve(ctx, n); err != nil {
		return err
	}
	c.reserved += n
	return nil
}

// joinRouter exchanges HELLO and WELCOME.
func joinRouter(ctx context.Context, peer *remotePeer, to *Remote) error {
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
		case peer.to <- m:
		case <-ctx.Done():
			return ctx.Err()
		}
		var answer wamp.Message
		var open bool
		select {
		case answer, open = <-peer.from:
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
