package wampbus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/gammazero/nexus/v3/wamp"
)

// Procedure is a procedure of a program's own, served beside those under es.
type Procedure struct {
	// Role is what a caller must have: Reader, Writer, Commander or Admin.
	Role Roles
	// Args are the full type names of the positional arguments. Each is one
	// FlatBuffer, verified with Options.Schemas before Serve sees it.
	Args []string
	// Concurrency is how many calls run at once, 16 if zero; more wait.
	Concurrency int
	// Serve answers a call. A panic ends the call only.
	Serve func(ctx context.Context, r *Request) (Reply, error)
}

// Request is a call of a [Procedure].
type Request struct {
	// Args are the arguments' bytes: of the types of Procedure.Args, verified.
	Args [][]byte
	// Keywords are the keyword arguments as they came, unverified: strings,
	// numbers (int64, uint64, float64), booleans, []byte, []any, map[string]any.
	Keywords map[string]any
	// AuthID is who calls, "" for an anonymous client; Roles are the caller's.
	AuthID string
	Roles  Roles
}

// Reply answers a [Request].
type Reply struct {
	// Args are sent as they are, one binary each: stored records or rows, say.
	// They must not change any more.
	Args [][]byte
	// Keywords are the keyword arguments of the answer: what Request.Keywords
	// may hold. They must not change any more. Others are logged, and end the
	// call as es.error.internal.
	Keywords map[string]any
}

// ProcedureError is an error with a URI of the program's own. Any other error
// than it and those of package event reaches the caller as es.error.internal,
// without its text, and the log with it. Keywords are as in [Reply].
type ProcedureError struct {
	URI      string
	Message  string
	Keywords map[string]any
}

func (e *ProcedureError) Error() string { return e.Message }

// handled is a procedure of the program's own, registered.
type handled struct {
	Procedure
	uri     string
	running chan struct{}
}

// Handle serves a procedure under a URI, from now on. URIs under es. and wamp.
// are taken; others have components of lower-case letters, digits and
// underscores. The returned function ends it: calls that are running are
// answered, later ones find no such procedure. Routers that the bus is attached
// to learn of both, too, which nobody waits for.
func (b *Bus) Handle(uri string, p Procedure) (end func() error, err error) {
	if err := b.checkProcedure(uri, &p); err != nil {
		return nil, fmt.Errorf("wampbus: handle %q: %w", uri, err)
	}
	h := &handled{Procedure: p, uri: uri, running: make(chan struct{}, p.Concurrency)}
	b.registering.Lock()
	defer b.registering.Unlock()
	b.mu.Lock()
	taken, closing := b.handled[uri] != nil, b.draining.Err() != nil
	if !taken && !closing {
		b.handled[uri] = h
	}
	b.mu.Unlock()
	switch {
	case closing:
		return nil, ErrClosed
	case taken:
		return nil, fmt.Errorf("wampbus: handle %q: it is handled already", uri)
	}
	if err := b.registrar.add(uri, ""); err != nil {
		b.forget(h)
		return nil, fmt.Errorf("wampbus: %w", err)
	}
	b.tellLinks()
	return func() error { return b.unhandle(h) }, nil
}

func (b *Bus) checkProcedure(uri string, p *Procedure) error {
	switch first, _, _ := strings.Cut(uri, "."); {
	case first == "es" || first == "wamp":
		return fmt.Errorf("URIs under %s. are taken", first)
	case !wamp.URI(uri).ValidURI(true, ""):
		return errors.New("a URI is components of lower-case letters, digits and underscores, with dots between them")
	case p.Serve == nil:
		return errors.New("the procedure's Serve is nil")
	case p.Concurrency < 0:
		return errors.New("the procedure's Concurrency is negative")
	case p.Role != Reader && p.Role != Writer && p.Role != Commander && p.Role != Admin:
		return fmt.Errorf("the procedure's Role is %q: name the one role that a caller must have", p.Role)
	}
	for _, typ := range p.Args {
		if _, _, ok := b.options.Schemas.Lookup(typ); !ok {
			return fmt.Errorf("argument type %q is not in Options.Schemas", typ)
		}
	}
	if p.Concurrency == 0 {
		p.Concurrency = 16
	}
	return nil
}

// unhandle ends a procedure; ending it again does nothing.
func (b *Bus) unhandle(h *handled) error {
	b.registering.Lock()
	defer b.registering.Unlock()
	if !b.forget(h) {
		return nil
	}
	b.tellLinks()
	return b.registrar.remove(h.uri)
}

func (b *Bus) forget(h *handled) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.handled[h.uri] != h {
		return false
	}
	delete(b.handled, h.uri)
	return true
}

func (b *Bus) handler(uri string) *handled {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.handled[uri]
}

func (b *Bus) handlers() map[string]*handled {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.handled)
}

// serve verifies a call and passes it to the program.
func (h *handled) serve(ctx context.Context, in *invocation) (answer, error) {
	if !in.roles.Has(h.Role) { // another procedure had the URI when the call was let through
		return answer{}, &ProcedureError{URI: string(wamp.ErrNotAuthorized), Message: "not authorized"}
	}
	request, err := h.request(in)
	if err != nil {
		return answer{}, err
	}
	select {
	case h.running <- struct{}{}:
		defer func() { <-h.running }()
	case <-ctx.Done():
		return answer{}, ctx.Err()
	}
	reply, err := h.Serve(ctx, request)
	if err != nil {
		return answer{}, h.judged(ctx, in, err)
	}
	size := 0
	args := make(wamp.List, len(reply.Args))
	for i, b := range reply.Args {
		args[i], size = b, size+len(b)
	}
	if err := in.party.reserve(ctx, in.call, size); err != nil {
		return answer{}, err
	}
	return answer{args: args, kwargs: reply.Keywords}, nil
}

func (h *handled) request(in *invocation) (*Request, error) {
	r := &Request{Args: make([][]byte, len(h.Args)), Keywords: maps.Clone(in.kw), AuthID: in.principal, Roles: in.roles}
	for i, typ := range h.Args {
		data, err := asData(typ, in.next(typ))
		in.keep(err)
		r.Args[i] = data
	}
	clear(in.kw) // they are the program's to judge
	if err := in.end(); err != nil {
		return nil, err
	}
	for i, typ := range h.Args {
		if err := in.bus.options.Schemas.Verify(typ, 0, r.Args[i]); err != nil {
			return nil, dataError("type", typ, err)
		}
	}
	return r, nil
}

// judged keeps what a caller may know of an error.
func (h *handled) judged(ctx context.Context, in *invocation, err error) error {
	var own *ProcedureError
	known := false
	if errors.As(err, &own) {
		known = wamp.URI(own.URI).ValidURI(true, "")
	} else {
		_, _, known = knownFacts(err)
	}
	if known || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return err
	}
	in.bus.log.Error("a procedure failed", "procedure", h.uri, "error", err)
	return errInternalFault
}
