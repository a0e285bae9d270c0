package client

import (
	"errors"
	"fmt"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// ErrClosed is what calls on a closed client return.
var ErrClosed = errors.New("the client is closed")

// ErrNotAuthorized is the kind of errors about what the client's roles don't
// allow.
var ErrNotAuthorized = errors.New("not authorized")

// ErrFellBehind ends a subscription whose function does not keep up: read on
// from its last position.
var ErrFellBehind = errors.New("the subscription fell behind")

// Error is an error of the server or the router that is none of package event's.
type Error struct {
	// URI is the error's name, "wamp.error.no_such_realm".
	URI     string
	Message string
}

func (e *Error) Error() string {
	if e.Message == "" {
		return e.URI
	}
	return e.URI + ": " + e.Message
}

// Is reports that a refusal is an [ErrNotAuthorized].
func (e *Error) Is(target error) bool {
	return target == ErrNotAuthorized && (e.URI == string(wamp.ErrNotAuthorized) || e.URI == string(wamp.ErrAuthorizationFailed))
}

func abortError(reason wamp.URI, details wamp.Dict) error {
	message, _ := details[wamp.OptMessage].(string)
	return &Error{URI: string(reason), Message: message}
}

// facts are the keyword arguments of an error.
type facts map[string]any

func (f facts) text(name string) string {
	s, _ := f[name].(string)
	return s
}

func (f facts) number(name string) uint64 {
	n, _ := codec.Integer(f[name])
	return uint64(max(n, 0))
}

// wireError is the error that an ERROR message stands for.
func wireError(m *wamp.Error) error {
	f := facts(m.ArgumentsKw)
	switch m.Error {
	case "es.error.conflict":
		return &event.ConflictError{Index: int(f.number("condition")), Condition: f.condition(), Actual: f.number("actual"), Position: f.number("position")}
	case "es.error.rejected":
		return &aggregate.RejectedError{Code: f.text("code"), Message: f.text("message")}
	case "es.error.key_reused":
		return &event.KeyReusedError{Key: f.text("key"), Position: f.number("position")}
	case "es.error.invalid_data":
		return &event.InvalidDataError{Type: f.text("type"), Path: f.text("path"), Offset: int(f.number("offset")), Message: f.text("message")}
	case "es.error.unknown":
		return &event.UnknownError{Kind: f.text("kind"), Name: f.text("name")}
	case "es.error.too_large":
		return &event.TooLargeError{Bound: f.text("bound"), Limit: f.number("limit"), Actual: f.number("actual")}
	case "es.error.behind":
		return &event.BehindError{Position: f.number("position"), Message: f.text("message")}
	case "es.error.store_changed":
		id, _ := asID(f["store"])
		return &event.StoreChangedError{Store: id}
	case "es.error.unavailable":
		return &event.UnavailableError{Message: f.text("message"), Unknown: f.text("outcome") == "unknown"}
	case wamp.ErrInvalidArgument:
		return &event.ArgumentError{Argument: f.text("argument"), Message: f.text("message")}
	}
	e := &Error{URI: string(m.Error)}
	if len(m.Arguments) > 0 {
		e.Message = fmt.Sprint(m.Arguments[0])
	}
	return e
}

// condition is the one that did not hold, as far as the error tells.
func (f facts) condition() event.Condition {
	stream := f.text("stream")
	switch {
	case f["position"] != nil:
		return event.NoneMatch{}
	case f["expected"] == "none":
		return event.StreamAbsent{Stream: stream}
	case f["expected"] == "exists":
		return event.StreamPresent{Stream: stream}
	}
	return event.StreamAt{Stream: stream, Version: f.number("expected")}
}
