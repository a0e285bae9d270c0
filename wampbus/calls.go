package wampbus

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"

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
	bus *Bus
	*caller
	*arguments
	// name is what the procedure's prefix leaves: "balances.get" of
	// es.view.balances.get.
	name string
}

// party is whom an answer goes to: a client's session, or a link to another
// router.
type party interface {
	// alive ends with the party, and with it every call from it; patient ends
	// earlier, when the party is to end in good order, and with it what its calls
	// wait for.
	alive() context.Context
	patient() context.Context
	// begin and over say that a procedure is about to serve a call and has
	// ended; a call that begin returns false for is not wanted any more.
	begin(*pendingCall) bool
	over(*pendingCall)
	// reserve waits until there is room for n bytes of an answer.
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

// callee answers the calls that one router passes on. Each runs in a goroutine of
// its own, so that one that waits holds up no other.
type callee struct {
	bus        *Bus
	peer       *endpoint
	admit      func(*wamp.Invocation) (*caller, error)
	procedures map[string]procedure
	running    sync.WaitGroup

	mu      sync.Mutex
	cancels map[wamp.ID]context.CancelFunc // by the router's request id
	names   map[wamp.ID]string             // what is registered, by the router's id
	closed  bool
}

// newCallee returns a callee that serves those whom admit returns. Its peer is
// to be set, and to call receive.
func newCallee(b *Bus, admit func(*wamp.Invocation) (*caller, error)) *callee {
	return &callee{
		bus: b, admit: admit, procedures: b.procedures(),
		cancels: make(map[wamp.ID]context.CancelFunc), names: make(map[wamp.ID]string),
	}
}

// announced admits the calls that the bus's own authorizer let through: it put
// the caller in front of the arguments.
func announced(m *wamp.Invocation) (*caller, error) {
	if len(m.Arguments) > 0 {
		if by, ok := m.Arguments[0].(*caller); ok {
			m.Arguments = m.Arguments[1:]
			return by, nil
		}
	}
	return nil, errors.New("the authorizer did not see it")
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
	by, err := c.admit(m)
	if err != nil {
		c.peer.send(&wamp.Error{Type: wamp.INVOCATION, Request: m.Request, Details: wamp.Dict{}, Error: wamp.ErrNotAuthorized, Arguments: wamp.List{err.Error()}})
		return
	}
	if by.party.alive().Err() != nil {
		return // its context has ended, too: what a flood leaves behind needs no goroutines
	}
	ctx, cancel := by.within()
	c.mu.Lock()
	closed := c.closed
	if !closed {
		c.running.Add(1)
		c.cancels[m.Request] = cancel
	}
	c.mu.Unlock()
	over := c.bus.calls.Add(1) > int64(c.bus.limits.TotalCalls)
	go func() {
		defer cancel()
		defer c.bus.calls.Add(-1)
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
			if !by.party.begin(by.call) {
				err = context.Canceled
				break
			}
			result, err = c.serve(ctx, by, m)
			by.party.over(by.call) // before the answer: its receiver may call again
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
	if by.party.alive().Err() != nil {
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
	uri := c.uri(m)
	pattern, serve := c.find(uri)
	defer func() {
		if p := recover(); p != nil {
			c.bus.log.Error("panic in a procedure", "procedure", uri, "panic", p, "stack", string(debug.Stack()))
			result, err = answer{}, &event.UnavailableError{Message: "internal error", Unknown: roleFor(uri) != Reader}
			if c.bus.handler(uri) != nil || !strings.HasPrefix(uri, "es.") {
				err = errInternalFault
			}
		}
		c.bus.stats.called(pattern, err)
	}()
	in := &invocation{
		bus:       c.bus,
		caller:    by,
		arguments: newArguments(m.Arguments, m.ArgumentsKw),
		name:      strings.TrimPrefix(uri, pattern),
	}
	return serve(ctx, in)
}

// uri is what was called: the router says so, or it is what was registered.
func (c *callee) uri(m *wamp.Invocation) string {
	if uri, ok := wamp.AsURI(m.Details[wamp.OptProcedure]); ok && uri != "" {
		return string(uri)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.names[m.Registration]
}

// find returns the most specific procedure for a URI.
func (c *callee) find(uri string) (pattern string, serve procedure) {
	if h := c.bus.handler(uri); h != nil {
		return uri, h.serve
	}
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

// register offers what is under es., and what else there is.
func (c *callee) register() error {
	for name := range c.procedures {
		match := ""
		if strings.HasSuffix(name, ".") {
			match = wamp.MatchPrefix
		}
		if err := c.add(name, match); err != nil {
			return err
		}
	}
	return nil
}

// add registers a procedure.
func (c *callee) add(uri, match string) error {
	id, err := c.peer.register(uri, match)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.names[id] = uri
	return nil
}

// remove takes a procedure back.
func (c *callee) remove(uri string) error {
	c.mu.Lock()
	var id wamp.ID
	for i, name := range c.names {
		if name == uri {
			id = i
			delete(c.names, i)
		}
	}
	c.mu.Unlock()
	if id == 0 {
		return nil
	}
	return c.peer.unregister(id)
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
