package wampbus

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event"
)

// answer is what a procedure returns.
type answer struct {
	args   wamp.List
	kwargs wamp.Dict
}

// invocation is a call while it is being served.
type invocation struct {
	*caller
	*arguments
	// name is what the procedure's prefix leaves: "balances.get" of
	// es.view.balances.get.
	name string
}

// waiting returns a context that ends, too, when the session is to end in good
// order. It is for what waits: long polls, not appends.
func (c *caller) waiting(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(c.session.waits, cancel)
	return ctx, func() { stop(); cancel() }
}

// orShutdown says why a wait ended.
func (c *caller) orShutdown(err error) error {
	if errors.Is(err, context.Canceled) && c.session.waits.Err() != nil && c.session.ctx.Err() == nil {
		return &event.UnavailableError{Message: "shutting down"}
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

// callee answers the calls to the bus. Each runs in a goroutine of its own, so
// that one that waits holds up no other.
type callee struct {
	bus        *Bus
	peer       *localPeer
	procedures map[string]procedure
	running    sync.WaitGroup
	total      atomic.Int64

	mu      sync.Mutex
	cancels map[wamp.ID]context.CancelFunc // by the router's request id
	closed  bool
}

func newCallee(b *Bus) *callee {
	c := &callee{bus: b, procedures: b.procedures(), cancels: make(map[wamp.ID]context.CancelFunc)}
	c.peer = newLocalPeer(c.receive)
	return c
}

// receive starts an invocation or interrupts one. It does not wait.
func (c *callee) receive(m wamp.Message) {
	switch m := m.(type) {
	case *wamp.Invocation:
		c.start(m)
	case *wamp.Interrupt:
		c.mu.Lock()
		cancel := c.cancels[m.Request]
		c.mu.Unlock()
		if cancel != nil {
			cancel()
		}
	}
}

func (c *callee) start(m *wamp.Invocation) {
	if len(m.Arguments) == 0 {
		return
	}
	by, ok := m.Arguments[0].(*caller)
	if !ok { // the authorizer puts it there
		return
	}
	ctx, cancel := context.WithCancel(by.session.ctx)
	if by.timeout > 0 {
		ctx, cancel = context.WithTimeout(by.session.ctx, by.timeout)
	}
	c.mu.Lock()
	closed := c.closed
	if !closed {
		c.running.Add(1)
		c.cancels[m.Request] = cancel
	}
	c.mu.Unlock()
	over := c.total.Add(1) > int64(c.bus.limits.TotalCalls)
	go func() {
		defer cancel()
		defer c.total.Add(-1)
		if !closed {
			defer c.finished(m.Request)
		}
		var result answer
		var err error
		switch {
		case closed:
			err = &event.UnavailableError{Message: "shutting down"}
		case over:
			err = &event.UnavailableError{Message: "overloaded: too many calls are in flight, try again later"}
		default:
			if !by.session.begin(by.call) {
				err = context.Canceled
				break
			}
			result, err = c.serve(ctx, by, m)
			by.session.over(by.call) // before the answer: its receiver may call again
		}
		c.reply(ctx, by, m.Request, result, err)
	}()
}

func (c *callee) finished(id wamp.ID) {
	c.mu.Lock()
	delete(c.cancels, id)
	c.mu.Unlock()
	c.running.Done()
}

func (c *callee) reply(ctx context.Context, by *caller, id wamp.ID, result answer, err error) {
	if by.session.ctx.Err() != nil {
		return // nobody waits for it
	}
	if err == nil {
		c.peer.send(&wamp.Yield{Request: id, Options: wamp.Dict{}, Arguments: result.args, ArgumentsKw: result.kwargs})
		return
	}
	if cause := ctx.Err(); cause != nil && errors.Is(err, cause) && !errors.Is(err, event.ErrOutcomeUnknown) {
		err = cause // the caller's own cancellation or timeout
	}
	uri, args, kwargs := errorParts(err)
	c.peer.send(&wamp.Error{Type: wamp.INVOCATION, Request: id, Details: wamp.Dict{}, Error: uri, Arguments: args, ArgumentsKw: kwargs})
}

// serve runs a procedure. A panic in it, or in a user's handler, ends the call
// only.
func (c *callee) serve(ctx context.Context, by *caller, m *wamp.Invocation) (result answer, err error) {
	uri := string(wamp.OptionURI(m.Details, wamp.OptProcedure))
	pattern, serve := c.find(uri)
	defer func() {
		if p := recover(); p != nil {
			c.bus.log.Error("panic in a procedure", "procedure", uri, "panic", p, "stack", string(debug.Stack()))
			result, err = answer{}, &event.UnavailableError{Message: "internal error", Unknown: roleFor(uri) != Reader}
		}
		c.bus.stats.called(pattern, err)
	}()
	in := &invocation{
		caller:    by,
		arguments: newArguments(m.Arguments[1:], m.ArgumentsKw),
		name:      strings.TrimPrefix(uri, pattern),
	}
	return serve(ctx, in)
}

// find returns the most specific procedure for a URI.
func (c *callee) find(uri string) (pattern string, serve procedure) {
	if serve, ok := c.procedures[uri]; ok && !strings.HasSuffix(uri, ".") {
		return uri, serve
	}
	for _, pattern := range []string{"es.command.", "es.view."} {
		if strings.HasPrefix(uri, pattern) {
			return pattern, c.procedures[pattern]
		}
	}
	return "es.", c.procedures["es."]
}

// register offers the procedures.
func (c *callee) register() error {
	id := wamp.ID(1)
	for name := range c.procedures {
		if err := c.peer.register(id, name); err != nil {
			return err
		}
		id++
	}
	return nil
}

// drain refuses new calls and waits for the running ones until ctx ends.
func (c *callee) drain(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	done := make(chan struct{})
	go func() {
		c.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("calls are still running: %w", ctx.Err())
	}
}
