package wampbus

import (
	"context"
	"errors"
	"strings"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/projection"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/verify"
)

// The error URIs of protocol 1.
const (
	errConflict     = wamp.URI("es.error.conflict")
	errRejected     = wamp.URI("es.error.rejected")
	errKeyReused    = wamp.URI("es.error.key_reused")
	errInvalidData  = wamp.URI("es.error.invalid_data")
	errUnknown      = wamp.URI("es.error.unknown")
	errTooLarge     = wamp.URI("es.error.too_large")
	errBehind       = wamp.URI("es.error.behind")
	errStoreChanged = wamp.URI("es.error.store_changed")
	errUnavailable  = wamp.URI("es.error.unavailable")
	errInternal     = wamp.URI("es.error.internal")
)

// errInternalFault is a fault of a program's own procedure, or a decider's panic.
var errInternalFault = errors.New("internal error")

// Refusals of calls that are none of the calls' own fault. Nothing was done.
var (
	errShuttingDown = &event.UnavailableError{Message: "shutting down"}
	errOverloaded   = &event.UnavailableError{Message: "overloaded: too many calls are in flight, try again later"}
)

// errorParts is an error as protocol 1 tells it: a URI, the message for people
// as the only argument, and the facts as keyword arguments.
func errorParts(err error) (uri wamp.URI, args wamp.List, kwargs wamp.Dict) {
	uri, kwargs = errorFacts(err)
	return uri, wamp.List{err.Error()}, kwargs
}

func errorFacts(err error) (wamp.URI, wamp.Dict) {
	if uri, facts, known := knownFacts(err); known {
		return uri, facts
	}
	// A damaged record, a closed store, a bug in a handler: nothing was stored.
	return errUnavailable, unavailableFacts(err.Error(), false)
}

// knownFacts tells errors that have a place in the protocol from others.
func knownFacts(err error) (uri wamp.URI, facts wamp.Dict, known bool) {
	uri, facts = factsOf(err)
	return uri, facts, uri != ""
}

func factsOf(err error) (wamp.URI, wamp.Dict) {
	var (
		conflict     *event.ConflictError
		rejected     *aggregate.RejectedError
		keyReused    *event.KeyReusedError
		invalidData  *event.InvalidDataError
		unknown      *event.UnknownError
		unknownType  *schema.UnknownTypeError
		tooLarge     *event.TooLargeError
		behind       *event.BehindError
		storeChanged *event.StoreChangedError
		unavailable  *event.UnavailableError
		argument     *event.ArgumentError
		own          *ProcedureError
	)
	switch {
	case errors.As(err, &own):
		return wamp.URI(own.URI), own.Keywords
	case errors.Is(err, errInternalFault):
		return errInternal, wamp.Dict{"message": err.Error()}
	case errors.Is(err, event.ErrOutcomeUnknown): // whatever the cause
		return errUnavailable, unavailableFacts(strings.TrimPrefix(err.Error(), "unavailable: "), true)
	case errors.As(err, &conflict):
		return errConflict, conflictFacts(conflict)
	case errors.As(err, &rejected):
		return errRejected, wamp.Dict{"code": rejected.Code, "message": rejected.Message}
	case errors.As(err, &keyReused):
		return errKeyReused, wamp.Dict{"key": keyReused.Key, "position": keyReused.Position}
	case errors.As(err, &invalidData):
		return errInvalidData, wamp.Dict{"type": invalidData.Type, "path": invalidData.Path, "offset": invalidData.Offset, "message": invalidData.Message}
	case errors.As(err, &unknown):
		return errUnknown, wamp.Dict{"kind": unknown.Kind, "name": unknown.Name}
	case errors.As(err, &unknownType):
		return errUnknown, unknownTypeFacts(unknownType)
	case errors.As(err, &tooLarge):
		return errTooLarge, wamp.Dict{"bound": tooLarge.Bound, "limit": tooLarge.Limit, "actual": tooLarge.Actual}
	case errors.As(err, &behind):
		return errBehind, wamp.Dict{"position": behind.Position, "message": behind.Message}
	case errors.As(err, &storeChanged):
		return errStoreChanged, wamp.Dict{"store": storeChanged.Store.String()}
	case errors.As(err, &unavailable):
		return errUnavailable, unavailableFacts(strings.TrimPrefix(unavailable.Error(), "unavailable: "), false)
	case errors.As(err, &argument):
		return wamp.ErrInvalidArgument, wamp.Dict{"argument": argument.Argument, "message": argument.Message}
	case errors.Is(err, context.Canceled):
		return wamp.ErrCanceled, nil
	case errors.Is(err, context.DeadlineExceeded):
		return wamp.ErrTimeout, nil
	}
	return "", nil
}

// conflictFacts says what was expected in the words of es.append.
func conflictFacts(e *event.ConflictError) wamp.Dict {
	facts := wamp.Dict{"condition": e.Index, "actual": e.Actual}
	switch c := e.Condition.(type) {
	case event.StreamAt:
		facts["stream"], facts["expected"] = c.Stream, c.Version
	case event.StreamAbsent:
		facts["stream"], facts["expected"] = c.Stream, "none"
	case event.StreamPresent:
		facts["stream"], facts["expected"] = c.Stream, "exists"
	case event.NoneMatch:
		return wamp.Dict{"condition": e.Index, "position": e.Position}
	}
	return facts
}

func unknownTypeFacts(e *schema.UnknownTypeError) wamp.Dict {
	if e.Fingerprint != 0 {
		return wamp.Dict{"kind": "schema", "name": formatFingerprint(e.Fingerprint)}
	}
	return wamp.Dict{"kind": "event", "name": e.Type}
}

func unavailableFacts(message string, outcomeUnknown bool) wamp.Dict {
	outcome := "none"
	if outcomeUnknown {
		outcome = "unknown"
	}
	return wamp.Dict{"message": message, "outcome": outcome}
}

// dataError is what a refusal of the bytes of a type means. kind is what the
// type is for the caller who named it, or its procedure: "command" or "type".
func dataError(kind, typ string, err error) error {
	var invalid *verify.Error
	var unknown *schema.UnknownTypeError
	switch {
	case errors.As(err, &invalid):
		return &event.InvalidDataError{Type: typ, Path: invalid.Path, Offset: invalid.Offset, Message: invalid.Message}
	case errors.As(err, &unknown) && unknown.Fingerprint == 0:
		return &event.UnknownError{Kind: kind, Name: typ}
	}
	return err
}

// viewError is what an engine's error means to a remote caller.
func viewError(err error) error {
	if errors.Is(err, projection.ErrClosed) {
		return &event.UnavailableError{Message: "the views are closed"}
	}
	return err
}

func tooLarge(bound string, limit, actual int) error {
	return &event.TooLargeError{Bound: bound, Limit: uint64(limit), Actual: uint64(actual)}
}

// untold is why the answer of a procedure under es. can't be sent. What was to
// change something has done so, which no refusal may hide.
func untold(procedure string, err error) error {
	if strings.HasPrefix(procedure, "es.") && roleFor(procedure) != Reader {
		return &event.UnavailableError{Message: "the answer can't be sent", Unknown: true, Cause: err}
	}
	return err
}

func invalid(argument, message string) error {
	return &event.ArgumentError{Argument: argument, Message: message}
}
