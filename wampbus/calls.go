package wampbus

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event"
)

// answer is what a procedure returns. spent, unless nil, may be called once what
// args refer to is not needed any more.
type answer struct {
	args   wamp.List
	kwargs wamp.Dict
	spent  func()
}

// invocation is a call while it is being served.
type invocation struct {
	bus *Bus
	*caller
	*arguments
	// name is what the procedure's prefix leaves: "balances.get" of
	// es.view.balances.get.
	name string
}

// caller is who made a call. Nothing in it comes from the call itself.
type caller struct {
	party party
	call  *pendingCall
	roles Roles
	// principal is the authid of a client that proved it, "" for an anonymous one.
	principal string
	timeout   time.Duration // 0 means none
}

// party is whom an answer goes to: a client's session, or a link to another
// router.
type party interface {
	// alive ends with the party, and with it every call from it; patient ends
	// earlier, when the party is to end in good order, and with it what its calls
	// wait for.
	alive() context.Context
	patient() context.Context
	// reserve waits until there is room for n bytes of an answer. The room is the
	// call's until it is answered.
	reserve(ctx context.Context, c *pendingCall, n int) error
	// page is the most bytes of records that an answer may hold.
	page() int
}

// waiting returns a context that ends, too, when the session is to end in good
// order. It is for what waits: long polls, not appends.
func (c *caller) waiting(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(c.party.patient(), cancel)
	return ctx, func() { stop(); cancel() }
}

// within returns the context in which a call of the caller's is served.
func (c *caller) within() (context.Context, context.CancelFunc) {
	if c.timeout > 0 {
		return context.WithTimeout(c.party.alive(), c.timeout)
	}
	return context.WithCancel(c.party.alive())
}

// room waits until the caller has room for an answer of n bytes, and sets it
// aside. It is for answers that cost nothing to make again.
func (in *invocation) room(ctx context.Context, n int) error {
	ctx, stop := in.waiting(ctx)
	defer stop()
	return in.orShutdown(in.party.reserve(ctx, in.call, n))
}

// orShutdown says why a wait ended.
func (c *caller) orShutdown(err error) error {
	if errors.Is(err, context.Canceled) && c.party.patient().Err() != nil && c.party.alive().Err() == nil {
		return errShuttingDown
	}
	return err
}

type procedure func(ctx context.Context, in *invocation) (answer, error)

// procedures returns what the bus serves. A name that ends in '.' is a prefix;
// the last is the one for everything else under es.
func (b *Bus) procedures() map[string]procedure {
	return map[string]procedure{
		"es.info":    b.info,
		"es.head":    b.head,
		"es.read":    b.read,
		"es.append":  b.append,
		"es.key":     b.key,
		"es.schemas": b.listSchemas,
		"es.schema":  b.schema,

		"es.schema.register": b.registerSchema,

		"es.command.": b.command,
		"es.view.":    b.view,
		"es.":         unknownProcedure,
	}
}

func unknownProcedure(_ context.Context, in *invocation) (answer, error) {
	return answer{}, &event.UnknownError{Kind: "procedure", Name: "es." + in.name}
}

// dispatcher serves calls: those of the bus's own clients, or those that come by
// one link to another router.
type dispatcher struct {
	bus        *Bus
	procedures map[string]procedure
	running    sync.WaitGroup

	mu     sync.Mutex
	closed bool
}

func newDispatcher(b *Bus) *dispatcher { return &dispatcher{bus: b, procedures: b.procedures()} }

// dispatch serves a call in a goroutine of its own, so that one that waits holds
// up no other, and has done told of the outcome there. It returns false when it
// is closed; nothing is done then.
func (d *dispatcher) dispatch(ctx context.Context, by *caller, uri string, args wamp.List, kwargs wamp.Dict, done func(answer, error)) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	d.running.Go(func() {
		result, err := d.serve(ctx, by, uri, args, kwargs)
		if cause := ctx.Err(); cause != nil && errors.Is(err, cause) && !errors.Is(err, event.ErrOutcomeUnknown) {
			err = cause // the caller's own cancellation or timeout
		}
		done(result, err)
	})
	return true
}

// serve runs a procedure. A panic in it, or in a user's handler, ends the call
// only.
func (d *dispatcher) serve(ctx context.Context, by *caller, uri string, args wamp.List, kwargs wamp.Dict) (result answer, err error) {
	pattern, serve := d.find(uri)
	defer func() {
		if p := recover(); p != nil {
			d.bus.log.Error("panic in a procedure", "procedure", uri, "panic", p, "stack", string(debug.Stack()))
			result, err = answer{}, &event.UnavailableError{Message: "internal error", Unknown: roleFor(uri) != Reader}
			if d.bus.handler(uri) != nil || !strings.HasPrefix(uri, "es.") {
				err = errInternalFault
			}
		}
		d.bus.stats.called(pattern, err)
	}()
	in := &invocation{
		bus:       d.bus,
		caller:    by,
		arguments: newArguments(args, kwargs),
		name:      strings.TrimPrefix(uri, pattern),
	}
	return serve(ctx, in)
}

// find returns the most specific procedure for a URI.
func (d *dispatcher) find(uri string) (pattern string, serve procedure) {
	if h := d.bus.handler(uri); h != nil {
		return uri, h.serve
	}
	if serve, ok := d.procedures[uri]; ok && !strings.HasSuffix(uri, ".") {
		return uri, serve
	}
	for _, pattern := range []string{"es.command.", "es.view."} {
		if strings.HasPrefix(uri, pattern) {
			return pattern, d.procedures[pattern]
		}
	}
	return "es.", d.procedures["es."]
}

// drain refuses new calls and waits for the running ones until ctx ends.
func (d *dispatcher) drain(ctx context.Context) error {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	done := make(chan struct{})
	go func() {
		d.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("calls are still running: %w", ctx.Err())
	}
}
