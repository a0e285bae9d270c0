package wampbus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gammazero/nexus/v3/router/auth"
	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/projection"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/wampbus/users"
)

// CommandHandler handles the commands of one kind of aggregate. Every
// [aggregate.Handler], and with it every generated one, is a CommandHandler.
// The bytes it gets have been verified against the command's schema.
type CommandHandler interface {
	// Category is the category of the aggregate's streams, the <aggregate> of
	// es.command.<aggregate>.<command>.
	Category() string
	// Commands lists the full type names of the commands.
	Commands() []string
	Handle(ctx context.Context, id, command string, data []byte, opts ...aggregate.Option) (aggregate.Receipt, error)
}

// Views are the views that the bus serves; *[projection.Engine] is one. Each call
// asks for them anew: which version of a view serves may change meanwhile.
type Views interface {
	Views() []projection.Info
	At(ctx context.Context, position uint64, fn func(*projection.Snapshot) error, views ...string) error
}

// Options configures a [Bus]. Log and Schemas are required; the zero value of
// every other field works.
type Options struct {
	// Log is what is served. When it is a [Registrar], as a local store is, admins
	// may register schemas in it.
	Log event.Log
	// Schemas are the schemas of the log's events and of the commands. The bus
	// verifies commands with them; events are verified by the log. When the set
	// grows, that is published.
	Schemas *schema.Set
	// Views are served under es.view; nil serves none.
	Views Views
	// Handlers are served under es.command.
	Handlers []CommandHandler

	// Realm is the WAMP realm; "" means "verbatim".
	Realm string
	// Anonymous are the roles of clients that do not authenticate. None, the
	// default, lets none in.
	Anonymous Roles
	// AnonymousAnywhere extends Anonymous to clients that are not on this
	// machine's loopback interface.
	AnonymousAnywhere bool
	// Users are let in by ticket, WAMP-CRA or Cryptosign; nil means none. Failed
	// attempts are slowed down, by address and by authid.
	Users *users.File
	// Authenticators let other clients in, by other methods; their failures are
	// slowed down likewise. The authrole that one grants is a list of role names
	// as in [Roles.String]; other names grant nothing.
	Authenticators []auth.Authenticator
	// AllowedOrigins are the origins, "https://example.com", whose web pages
	// may connect, besides those of the same host; "*" is any. With Anonymous,
	// pages of the same host may only when it is "localhost" or an IP address:
	// anybody can make a name resolve to this machine. Clients that send no
	// origin are no browsers and always may.
	AllowedOrigins []string

	Limits Limits
	// Logger receives what an operator should know; nil means [slog.Default].
	Logger *slog.Logger
}

// Limits bound what clients can make the bus spend. Zero fields mean the
// defaults given.
type Limits struct {
	// Message is the largest message a client may send, in bytes: 16 MiB, a
	// record of the largest size with room around it.
	Message int
	// Queue is how many bytes may wait to be sent to one session: 16 MiB. A
	// single message may be larger when nothing else waits, and answers that
	// wait for room are never too much. While more than half
	// of it is taken, live events wait for it, up to a second.
	Queue int
	// Page is the largest max_bytes that es.read grants, and the most that a
	// list of a view returns: 1 MiB. A single record or row may be larger.
	Page int
	// Calls is how many calls of one session may be in flight: 64. One that was
	// canceled counts until what serves it has ended.
	Calls int
	// TotalCalls is how many calls may be in flight over all sessions and links:
	// 16384. When most of them are, a session may have fewer than Calls; one that
	// has none in flight may always make one more, while there is any left.
	TotalCalls int
	// Subscriptions is how many one session may hold: 256.
	Subscriptions int
	// TotalSubscriptions is how many all sessions may hold together: 65536.
	TotalSubscriptions int
	// Sessions is how many clients may be connected: 16384.
	Sessions int
	// Handshake is how long a client may take from connecting until it has
	// joined the realm: 5 s, and no more than that for its HELLO. With
	// [Bus.Handler], it counts from the upgrade.
	Handshake time.Duration
	// KeepAlive is how long a client may be silent before it is pinged: 50 s,
	// which is less than the minute after which many proxies drop a connection.
	// One that sends nothing, not even pongs, and takes nothing that waits for
	// it, for two such times is gone; over TCP, one whose machine or network is
	// gone is noticed by the kernel after one, or Write when that is longer.
	KeepAlive time.Duration
	// Write is how long the client may take no byte of what is to be sent: 20 s.
	// With TLS it is how long it may take for 16 KiB, at most.
	Write time.Duration
	// Penalty is how long a session may have to wait before it joins, because
	// others from its address were ended for what they did, more than one a
	// second: 2 s. Where all clients have a proxy's address, it is better short.
	Penalty time.Duration
	// Shutdown is how long closing waits for calls to finish and for queues to
	// empty: 5 s.
	Shutdown time.Duration
}

func (o Options) withDefaults() (Options, error) {
	switch {
	case o.Log == nil:
		return o, errors.New("wampbus: Options.Log is nil: the bus needs a log to serve")
	case o.Schemas == nil:
		return o, errors.New("wampbus: Options.Schemas is nil: the bus needs the log's schemas")
	case o.Anonymous > Reader|Writer|Commander|Admin:
		return o, fmt.Errorf("wampbus: Options.Anonymous is %d, which is no set of roles", o.Anonymous)
	}
	if o.Users != nil {
		if err := o.Users.Require(func(c *users.Credential) error {
			_, err := ParseRoles(c.Roles)
			return err
		}); err != nil {
			return o, fmt.Errorf("wampbus: Options.Users: %w", err)
		}
	}
	if o.Realm == "" {
		o.Realm = "verbatim"
	}
	if !wamp.URI(o.Realm).ValidURI(true, "") {
		return o, fmt.Errorf("wampbus: realm %q is not made of lower-case letters, digits, underscores and dots", o.Realm)
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o, o.Limits.setDefaults()
}

func (l *Limits) setDefaults() error {
	for _, n := range []struct {
		name     string
		value    *int
		standard int
	}{
		{"Message", &l.Message, 16 << 20}, {"Queue", &l.Queue, 16 << 20}, {"Page", &l.Page, 1 << 20},
		{"Calls", &l.Calls, 64}, {"TotalCalls", &l.TotalCalls, 16384},
		{"Subscriptions", &l.Subscriptions, 256}, {"TotalSubscriptions", &l.TotalSubscriptions, 65536}, {"Sessions", &l.Sessions, 16384},
	} {
		if *n.value < 0 {
			return fmt.Errorf("wampbus: Limits.%s must not be negative", n.name)
		}
		if *n.value == 0 {
			*n.value = n.standard
		}
	}
	for _, d := range []struct {
		name     string
		value    *time.Duration
		standard time.Duration
	}{
		{"Handshake", &l.Handshake, 5 * time.Second}, {"KeepAlive", &l.KeepAlive, 50 * time.Second},
		{"Write", &l.Write, 20 * time.Second}, {"Penalty", &l.Penalty, 2 * time.Second}, {"Shutdown", &l.Shutdown, 5 * time.Second},
	} {
		if *d.value < 0 {
			return fmt.Errorf("wampbus: Limits.%s must not be negative", d.name)
		}
		if *d.value == 0 {
			*d.value = d.standard
		}
	}
	return nil
}
