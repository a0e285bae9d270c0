package wampbus

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gammazero/nexus/v3/router"
	"github.com/gammazero/nexus/v3/router/auth"
	"github.com/gammazero/nexus/v3/wamp"
)

// flatbuffersVersion is the version of the library that writes the records.
const flatbuffersVersion = "25.12.19"

// ErrClosed is returned by a bus that was closed.
var ErrClosed = errors.New("the bus is closed")

// Bus serves a log over WAMP. Make one with [New]; its methods are safe for
// concurrent use.
type Bus struct {
	options  Options
	limits   Limits
	log      *slog.Logger
	routes   map[string]route
	secret   string // of the bus's own sessions
	stats    stats
	throttle throttle
	offences offences
	keeper   *keeper

	router    router.Router
	registrar *registrar
	local     *localPeer // of registrar
	// calls are those in flight of all sessions and links; what sessions call is
	// served by dispatcher.
	calls      atomic.Int64
	dispatcher *dispatcher
	// subscriptions are those of all sessions, with those asked for.
	subscriptions atomic.Int64
	fanout        *fanout
	// crowded are sessions whose queues filled up since the publisher has waited
	// for such last.
	crowded map[*session]struct{}

	sessions  group           // of all clients
	draining  context.Context // ends when the bus is closing: listeners stop
	drain     context.CancelFunc
	stopLive  context.CancelFunc
	liveDone  chan struct{}
	closeOnce sync.Once
	closed    chan struct{}
	arriving  atomic.Int64 // connections before their handshake

	registering sync.Mutex // held while procedures come and go

	mu      sync.Mutex
	links   map[*link]struct{}
	handled map[string]*handled
}

// New starts a bus: it answers calls and publishes what is committed from now
// on. Nobody can reach it before [Bus.ServeWebSocket] or [Bus.Handler] is used.
// Close it before the log, the views and the handlers it uses.
func New(o Options) (*Bus, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	b := &Bus{
		options: o, limits: o.Limits, log: o.Logger, secret: rand.Text(),
		sessions: group{limit: o.Limits.Sessions},
		handled:  make(map[string]*handled), links: make(map[*link]struct{}),
		closed: make(chan struct{}), liveDone: make(chan struct{}), fanout: newFanout(), crowded: make(map[*session]struct{}),
	}
	b.dispatcher, b.keeper = newDispatcher(b), newKeeper(o.Limits.KeepAlive)
	b.stats.calls, b.stats.logins = make(map[Call]uint64), make(map[string]uint64)
	if err := checked(append(b.logins(), o.Authenticators...)); err != nil {
		return nil, err
	}
	if b.routes, err = routes(o.Handlers, o.Schemas); err != nil {
		return nil, err
	}
	b.draining, b.drain = context.WithCancel(context.Background())
	if err := b.start(); err != nil {
		b.drain()
		return nil, fmt.Errorf("wampbus: %w", err)
	}
	return b, nil
}

// start makes the router and attaches the bus's own sessions.
func (b *Bus) start() error {
	r, err := router.NewRouter(&router.Config{RealmConfigs: []*router.RealmConfig{{
		URI:       wamp.URI(b.options.Realm),
		StrictURI: true,
		Authenticators: append([]auth.Authenticator{
			anonymous{roles: b.options.Anonymous, anywhere: b.options.AnonymousAnywhere},
			serverAuth{b},
		}, b.authenticators()...),
		Authorizer: authorizer{b},
		// Every peer says that it is local, so locals are trusted with nothing.
		RequireLocalAuth:  true,
		RequireLocalAuthz: true,
		MetaStrict:        true,
	}}}, routerLog{b.log})
	if err != nil {
		return err
	}
	b.router = r
	local := newLocalPeer()
	b.registrar, b.local = newRegistrar(local.endpoint), local
	running, stopLive := context.WithCancel(context.Background())
	b.stopLive = stopLive
	announcements := newAnnouncer(b, func(p *publication) { b.fanout.deliver(p, nil) })
	p, err := newPublisher(running, b, b.publish, b.pace)
	if err == nil {
		err = local.join(b)
	}
	if err == nil {
		err = b.registrar.addAll(b.dispatcher.procedures)
	}
	if err != nil {
		stopLive()
		b.closeRouter()
		return err
	}
	var live sync.WaitGroup
	live.Go(func() { announcements.run(running) })
	live.Go(func() { b.keeper.run(running) })
	go func() {
		defer close(b.liveDone)
		p.run(running)
		live.Wait()
	}()
	return nil
}

// publish and pace are the publisher's.
func (b *Bus) publish(p *publication) {
	b.fanout.deliver(p, b.crowded)
	if p.record != nil {
		b.stats.published.Add(1)
		b.stats.publishedPosition.Store(p.position)
	}
}

func (b *Bus) pace(ctx context.Context) {
	until := time.Now().Add(graceTime)
	for s := range b.crowded {
		s.pace(ctx, until)
	}
	clear(b.crowded)
}

// Close ends the bus in good order: new calls are refused as unavailable, waits
// end, running calls finish, what is committed is published, sessions get what
// is queued for them and a GOODBYE. Each of these steps is bounded by
// Limits.Shutdown. A second Close waits for the first.
func (b *Bus) Close() error {
	var err error
	b.closeOnce.Do(func() {
		defer close(b.closed)
		err = b.shutdown()
	})
	<-b.closed
	return err
}

func (b *Bus) shutdown() error {
	b.sessions.shut()
	b.drain()
	for _, s := range b.sessions.all() {
		s.quiesce()
	}
	ctx, cancel := context.WithTimeout(context.Background(), b.limits.Shutdown)
	defer cancel()
	err := b.dispatcher.drain(ctx)
	b.stopLive()
	<-b.liveDone
	b.sessions.close()
	b.closeRouter()
	return err
}

// closeRouter is called when no session can attach any more: the router panics
// at those that try when it is closed.
func (b *Bus) closeRouter() {
	b.router.Close()
	b.local.Close()
	b.local.pumping.Wait()
}

// owns reports whether the peer is the bus's own.
func (b *Bus) owns(p *localPeer) bool { return p == b.local }

// routerLog passes the router's chatter on at debug level.
type routerLog struct{ log *slog.Logger }

func (l routerLog) write(message func() string) {
	if ctx := context.Background(); l.log.Enabled(ctx, slog.LevelDebug) {
		l.log.DebugContext(ctx, message(), "from", "router")
	}
}

func (l routerLog) Print(v ...any)   { l.write(func() string { return fmt.Sprint(v...) }) }
func (l routerLog) Println(v ...any) { l.write(func() string { return fmt.Sprint(v...) }) }
func (l routerLog) Printf(format string, v ...any) {
	l.write(func() string { return fmt.Sprintf(format, v...) })
}
