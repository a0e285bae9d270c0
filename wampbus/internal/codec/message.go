package codec

import (
	"fmt"
	"math"

	"github.com/gammazero/nexus/v3/wamp"
)

// messageFields appends the message's elements in the order of the WAMP
// specification; empty trailing arguments are left out.
func messageFields(l []any, m wamp.Message) ([]any, error) {
	l = append(l, int(m.MessageType()))
	switch m := m.(type) {
	case *wamp.Event:
		return payload(append(l, m.Subscription, m.Publication, dict(m.Details)), m.Arguments, m.ArgumentsKw), nil
	case *wamp.Result:
		return payload(append(l, m.Request, dict(m.Details)), m.Arguments, m.ArgumentsKw), nil
	case *wamp.Call:
		return payload(append(l, m.Request, dict(m.Options), m.Procedure), m.Arguments, m.ArgumentsKw), nil
	case *wamp.Error:
		return payload(append(l, int(m.Type), m.Request, dict(m.Details), m.Error), m.Arguments, m.ArgumentsKw), nil
	case *wamp.Publish:
		return payload(append(l, m.Request, dict(m.Options), m.Topic), m.Arguments, m.ArgumentsKw), nil
	case *wamp.Invocation:
		return payload(append(l, m.Request, m.Registration, dict(m.Details)), m.Arguments, m.ArgumentsKw), nil
	case *wamp.Yield:
		return payload(append(l, m.Request, dict(m.Options)), m.Arguments, m.ArgumentsKw), nil
	case *wamp.Hello:
		return append(l, m.Realm, dict(m.Details)), nil
	case *wamp.Welcome:
		return append(l, m.ID, dict(m.Details)), nil
	case *wamp.Abort:
		return append(l, dict(m.Details), m.Reason), nil
	case *wamp.Goodbye:
		return append(l, dict(m.Details), m.Reason), nil
	case *wamp.Challenge:
		return append(l, m.AuthMethod, dict(m.Extra)), nil
	case *wamp.Authenticate:
		return append(l, m.Signature, dict(m.Extra)), nil
	case *wamp.Published:
		return append(l, m.Request, m.Publication), nil
	case *wamp.Subscribe:
		return append(l, m.Request, dict(m.Options), m.Topic), nil
	case *wamp.Subscribed:
		return append(l, m.Request, m.Subscription), nil
	case *wamp.Unsubscribe:
		return append(l, m.Request, m.Subscription), nil
	case *wamp.Unsubscribed:
		return append(l, m.Request), nil
	case *wamp.Register:
		return append(l, m.Request, dict(m.Options), m.Procedure), nil
	case *wamp.Registered:
		return append(l, m.Request, m.Registration), nil
	case *wamp.Unregister:
		return append(l, m.Request, m.Registration), nil
	case *wamp.Unregistered:
		return append(l, m.Request), nil
	case *wamp.Cancel:
		return append(l, m.Request, dict(m.Options)), nil
	case *wamp.Interrupt:
		return append(l, m.Request, dict(m.Options)), nil
	}
	return nil, fmt.Errorf("message of type %T has no encoding", m)
}

// dict makes a nil dictionary an empty one: the field is not optional.
func dict(d wamp.Dict) wamp.Dict {
	if d == nil {
		return wamp.Dict{}
	}
	return d
}

func payload(l []any, args wamp.List, kwargs wamp.Dict) []any {
	switch {
	case len(kwargs) > 0 && args == nil:
		return append(l, wamp.List{}, kwargs)
	case len(kwargs) > 0:
		return append(l, args, kwargs)
	case len(args) > 0:
		return append(l, args)
	}
	return l
}

// fields reads a message's elements one by one and keeps the first error.
type fields struct {
	rest []any
	at   int
	err  error
}

func (f *fields) next(want string) any {
	f.at++
	if len(f.rest) == 0 {
		f.fail("%s is missing", want)
		return nil
	}
	v := f.rest[0]
	f.rest = f.rest[1:]
	return v
}

func (f *fields) fail(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf("element %d: "+format, append([]any{f.at}, args...)...)
	}
}

func (f *fields) id() wamp.ID {
	v := f.next("an id")
	n, ok := Integer(v)
	if f.err == nil && (!ok || n < 0 || n > wamp.MaxID) {
		f.fail("an id is a number from 0 to 2^53")
	}
	return wamp.ID(n)
}

func (f *fields) uri() wamp.URI { return wamp.URI(f.str("a URI")) }

func (f *fields) str(want string) string {
	v := f.next(want)
	s, ok := v.(string)
	if f.err == nil && !ok {
		f.fail("%s is a string", want)
	}
	return s
}

func (f *fields) dict() wamp.Dict {
	v := f.next("a dictionary")
	d, ok := v.(map[string]any)
	if f.err == nil && !ok {
		f.fail("it must be a dictionary")
	}
	return d
}

// payload reads the optional arguments.
func (f *fields) payload() (args wamp.List, kwargs wamp.Dict) {
	if len(f.rest) > 0 {
		v := f.next("arguments")
		l, ok := v.([]any)
		if !ok && v != nil {
			f.fail("arguments are a list")
		}
		args = l
	}
	if len(f.rest) > 0 {
		v := f.next("keyword arguments")
		d, ok := v.(map[string]any)
		if !ok && v != nil {
			f.fail("keyword arguments are a dictionary")
		}
		kwargs = d
	}
	return args, kwargs
}

// parseMessage is the inverse of messageFields.
func parseMessage(list []any) (wamp.Message, error) {
	f := &fields{rest: list}
	code, ok := Integer(f.next("the message type"))
	if f.err == nil && !ok {
		f.fail("the message type is a number")
	}
	if f.err != nil {
		return nil, f.err
	}
	m := f.message(code)
	switch {
	case m == nil:
		return nil, fmt.Errorf("message type %d is unknown", code)
	case f.err != nil:
		return nil, fmt.Errorf("%s: %w", m.MessageType(), f.err)
	case len(f.rest) > 0:
		return nil, fmt.Errorf("%s: has %d elements too many", m.MessageType(), len(f.rest))
	}
	return m, nil
}

func (f *fields) message(code int64) wamp.Message {
	if code < math.MinInt32 || code > math.MaxInt32 {
		return nil
	}
	switch wamp.MessageType(code) {
	case wamp.CALL:
		m := &wamp.Call{Request: f.id(), Options: f.dict(), Procedure: f.uri()}
		m.Arguments, m.ArgumentsKw = f.payload()
		return m
	case wamp.RESULT:
		m := &wamp.Result{Request: f.id(), Details: f.dict()}
		m.Arguments, m.ArgumentsKw = f.payload()
		return m
	case wamp.EVENT:
		m := &wamp.Event{Subscription: f.id(), Publication: f.id(), Details: f.dict()}
		m.Arguments, m.ArgumentsKw = f.payload()
		return m
	case wamp.ERROR:
		m := &wamp.Error{Type: wamp.MessageType(f.id()), Request: f.id(), Details: f.dict(), Error: f.uri()}
		m.Arguments, m.ArgumentsKw = f.payload()
		return m
	case wamp.PUBLISH:
		m := &wamp.Publish{Request: f.id(), Options: f.dict(), Topic: f.uri()}
		m.Arguments, m.ArgumentsKw = f.payload()
		return m
	case wamp.INVOCATION:
		m := &wamp.Invocation{Request: f.id(), Registration: f.id(), Details: f.dict()}
		m.Arguments, m.ArgumentsKw = f.payload()
		return m
	case wamp.YIELD:
		m := &wamp.Yield{Request: f.id(), Options: f.dict()}
		m.Arguments, m.ArgumentsKw = f.payload()
		return m
	case wamp.HELLO:
		return &wamp.Hello{Realm: f.uri(), Details: f.dict()}
	case wamp.WELCOME:
		return &wamp.Welcome{ID: f.id(), Details: f.dict()}
	case wamp.ABORT:
		return &wamp.Abort{Details: f.dict(), Reason: f.uri()}
	case wamp.GOODBYE:
		return &wamp.Goodbye{Details: f.dict(), Reason: f.uri()}
	case wamp.CHALLENGE:
		return &wamp.Challenge{AuthMethod: f.str("an authentication method"), Extra: f.dict()}
	case wamp.AUTHENTICATE:
		return &wamp.Authenticate{Signature: f.str("a signature"), Extra: f.dict()}
	case wamp.PUBLISHED:
		return &wamp.Published{Request: f.id(), Publication: f.id()}
	case wamp.SUBSCRIBE:
		return &wamp.Subscribe{Request: f.id(), Options: f.dict(), Topic: f.uri()}
	case wamp.SUBSCRIBED:
		return &wamp.Subscribed{Request: f.id(), Subscription: f.id()}
	case wamp.UNSUBSCRIBE:
		return &wamp.Unsubscribe{Request: f.id(), Subscription: f.id()}
	case wamp.UNSUBSCRIBED:
		return &wamp.Unsubscribed{Request: f.id()}
	case wamp.REGISTER:
		return &wamp.Register{Request: f.id(), Options: f.dict(), Procedure: f.uri()}
	case wamp.REGISTERED:
		return &wamp.Registered{Request: f.id(), Registration: f.id()}
	case wamp.UNREGISTER:
		return &wamp.Unregister{Request: f.id(), Registration: f.id()}
	case wamp.UNREGISTERED:
		return &wamp.Unregistered{Request: f.id()}
	case wamp.CANCEL:
		return &wamp.Cancel{Request: f.id(), Options: f.dict()}
	case wamp.INTERRUPT:
		return &wamp.Interrupt{Request: f.id(), Options: f.dict()}
	}
	return nil
}

// Integer returns the whole number that an element holds. Integral floats count
// (JavaScript sends them), as far as a float can tell integers apart.
func Integer(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case uint64:
		return int64(v), v <= math.MaxInt64
	case int:
		return int64(v), true
	case wamp.ID:
		return int64(v), v <= math.MaxInt64
	case float64:
		if v == math.Trunc(v) && math.Abs(v) <= 1<<53 {
			return int64(v), true
		}
	}
	return 0, false
}
