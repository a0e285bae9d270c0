package client

import (
	"context"
	"errors"
	"time"

	"github.com/gammazero/nexus/v3/wamp"
	"github.com/gorilla/websocket"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
)

// effect is what a call may change, and so whether it may be made twice.
type effect uint8

const (
	reads   effect = iota // nothing: it is made again
	keyed                 // it has a key, which makes it one however often it is made
	changes               // once: its outcome is unknown when no answer comes
)

// request is a call that outlives sessions.
type request struct {
	procedure string
	args      wamp.List
	kwargs    wamp.Dict
	effect    effect
	// wait is how long the server may wait, from the first attempt on; more
	// than 0, it is sent as wait_ms.
	wait time.Duration
	// placed tells that the arguments name a place in one store: the request
	// means nothing in another.
	placed bool
}

// call makes a call, and makes it again in the next session when it is safe and
// this one ends without an answer. It waits for a connection as long as ctx
// allows.
func (c *Client) call(ctx context.Context, r request) (*wamp.Result, error) {
	var first, last *session
	began, unanswered, violations := time.Now(), false, 0
	for {
		s, err := c.acquire(ctx, last)
		if err != nil {
			return nil, r.final(err, unanswered)
		}
		if first == nil {
			first = s
		}
		if moved := s.store != first.store && !s.store.IsZero() && !first.store.IsZero(); moved && (r.placed || unanswered && r.effect != reads) {
			return nil, r.final(&event.StoreChangedError{Store: s.store}, unanswered)
		}
		if r.wait > 0 {
			left := max(r.wait-time.Since(began), 0)
			r.kwargs["wait_ms"] = int64((left + time.Millisecond - 1) / time.Millisecond)
		}
		answer, err := s.call(ctx, r.procedure, r.args, r.kwargs)
		if err == nil {
			return answer, nil
		}
		unanswered = unanswered || errors.As(err, new(*unansweredError)) || r.effect != reads && abandoned(err)
		switch {
		case shuttingDown(err):
			s.retire()
		case violation(err):
			if violations++; r.effect != reads || violations > mostViolations {
				return nil, r.final(err, unanswered)
			}
		case !errors.As(err, new(*lostError)) || unanswered && r.effect == changes:
			return nil, r.final(err, unanswered)
		}
		last = s
	}
}

// final is the error of a request that is given up. unanswered tells that what
// became of an attempt is not known: it may have had its effect.
func (r *request) final(err error, unanswered bool) error {
	var none *unansweredError
	if errors.As(err, &none) {
		err = none.cause
	}
	var gone *lostError
	if errors.As(err, &gone) {
		err = gone.cause
	}
	if r.effect == reads || !unanswered || decided(err) {
		return err
	}
	return &event.UnavailableError{Message: "the answer did not arrive", Unknown: true, Cause: err}
}

// decided reports whether an error says of an earlier attempt, too, that it had
// no effect: it is the log's own, given when the key had been looked up. Whatever
// refuses a request before that, a limit, its form, a role, knows of no key.
func decided(err error) bool {
	return errors.As(err, new(*event.ConflictError)) || errors.As(err, new(*event.KeyReusedError)) || errors.As(err, new(*aggregate.RejectedError))
}

// abandoned reports whether a router has answered for a procedure that may have
// gone on: the server was lost behind it, for example.
func abandoned(err error) bool {
	var said *Error
	return errors.As(err, &said) && (said.URI == string(wamp.ErrCanceled) || said.URI == string(wamp.ErrTimeout))
}

// mostViolations is how often a read is made again that was in flight when the
// server ended a session for a violation of the protocol, which is hardly the
// read's. What may be large is not made again at all.
const mostViolations = 3

// violation reports whether a call was in flight when the server ended the
// session for what the client had sent, over its limit of bytes, say: to send
// that again would lead to the same.
func violation(err error) bool {
	if !errors.As(err, new(*unansweredError)) || !errors.As(err, new(*lostError)) {
		return false
	}
	var said *Error
	var closed *websocket.CloseError
	return errors.As(err, &said) && said.URI == string(wamp.ErrProtocolViolation) ||
		errors.As(err, &closed) && closed.Code == websocket.CloseMessageTooBig
}

// shuttingDownMessage is what protocol 1 says before a server ends a session.
const shuttingDownMessage = "shutting down"

// shuttingDown reports whether the server refused a call only because it is
// about to end: nothing happened, and the next session will do.
func shuttingDown(err error) bool {
	var unavailable *event.UnavailableError
	return errors.As(err, &unavailable) && unavailable.Message == shuttingDownMessage && !unavailable.Unknown && unavailable.Cause == nil
}
