package wampbus

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/gammazero/nexus/v3/wamp"
)

// registrar registers procedures at a router. At the bus's own they are there to
// be looked up only: calls go past it.
type registrar struct {
	peer *endpoint

	mu    sync.Mutex
	names map[wamp.ID]string // what is registered, by the router's id
}

func newRegistrar(peer *endpoint) *registrar {
	return &registrar{peer: peer, names: make(map[wamp.ID]string)}
}

// add registers a procedure, or all that start with it when match says so.
func (r *registrar) add(uri, match string) error {
	id, err := r.peer.register(uri, match)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names[id] = uri
	return nil
}

// addAll registers what is served under es.
func (r *registrar) addAll(procedures map[string]procedure) error {
	for name := range procedures {
		match := ""
		if strings.HasSuffix(name, ".") {
			match = wamp.MatchPrefix
		}
		if err := r.add(name, match); err != nil {
			return err
		}
	}
	return nil
}

// remove takes a procedure back.
func (r *registrar) remove(uri string) error {
	r.mu.Lock()
	var id wamp.ID
	for i, name := range r.names {
		if name == uri {
			id = i
			delete(r.names, i)
		}
	}
	r.mu.Unlock()
	if id == 0 {
		return nil
	}
	return r.peer.unregister(id)
}

// uri is what was called: the router says so, or it is what was registered.
func (r *registrar) uri(m *wamp.Invocation) string {
	if uri, ok := wamp.AsURI(m.Details[wamp.OptProcedure]); ok && uri != "" {
		return string(uri)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.names[m.Registration]
}

// callee answers the calls that the router of a link passes on.
type callee struct {
	*registrar
	link  *link
	calls *dispatcher

	mu      sync.Mutex
	cancels map[wamp.ID]context.CancelFunc // of calls being served, by the router's request id
}

func newCallee(l *link, peer *endpoint) *callee {
	return &callee{registrar: newRegistrar(peer), link: l, calls: newDispatcher(l.bus), cancels: make(map[wamp.ID]context.CancelFunc)}
}

// receive starts an invocation or interrupts one.
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

// start serves a call, or refuses it. A refusal takes no goroutine: a router
// that takes no answers is read from no more.
func (c *callee) start(m *wamp.Invocation) {
	by, err := c.admit(m)
	if err != nil {
		c.peer.send(&wamp.Error{Type: wamp.INVOCATION, Request: m.Request, Details: wamp.Dict{}, Error: wamp.ErrNotAuthorized, Arguments: wamp.List{err.Error()}})
		return
	}
	if by.party.alive().Err() != nil {
		return
	}
	c.mu.Lock()
	own := len(c.cancels)
	c.mu.Unlock()
	if !c.calls.bus.enterCall(own, 1) {
		c.reply(by, answer{}, errOverloaded)
		return
	}
	var ctx context.Context
	ctx, by.call.cancel = by.within()
	c.mu.Lock()
	c.cancels[m.Request] = by.call.cancel
	c.mu.Unlock()
	served := c.calls.dispatch(ctx, by, by.call.procedure, m.Arguments, m.ArgumentsKw, func(result answer, err error) {
		defer c.over(by.call)
		c.link.room.release(by.call.reserved)
		c.reply(by, result, err)
	})
	if !served {
		c.over(by.call)
		c.reply(by, answer{}, errShuttingDown)
	}
}

// admit says who calls: whom the router discloses, with the roles of the link.
func (c *callee) admit(m *wamp.Invocation) (*caller, error) {
	roles, uri := c.link.remote.Roles, c.uri(m)
	if !c.calls.bus.mayCall(roles, uri) {
		return nil, fmt.Errorf("callers of this router may not call %s", uri)
	}
	by := &caller{party: c.link, call: &pendingCall{request: m.Request, procedure: uri}, roles: roles}
	for _, name := range []string{"caller_authid", "authid"} {
		if id, ok := wamp.AsString(m.Details[name]); ok && by.principal == "" {
			by.principal = id
		}
	}
	return by, nil
}

func (c *callee) over(call *pendingCall) {
	call.cancel()
	c.mu.Lock()
	delete(c.cancels, call.request)
	c.mu.Unlock()
	c.calls.bus.calls.Add(-1)
}

func (c *callee) reply(by *caller, result answer, err error) {
	if by.party.alive().Err() != nil {
		return // nobody waits for it
	}
	id := by.call.request
	if err != nil {
		c.peer.send(refusal(wamp.INVOCATION, id, err))
		return
	}
	c.peer.send(&yield{
		Yield:     wamp.Yield{Request: id, Options: wamp.Dict{}, Arguments: result.args, ArgumentsKw: result.kwargs},
		procedure: by.call.procedure,
	})
}
