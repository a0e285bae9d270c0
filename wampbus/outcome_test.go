package wampbus_test

import (
	"errors"
	"testing"
	"time"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/wampbus/client"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// appendsAnswered is a server that answers es.append with an error, after it has
// ended so many sessions instead.
func appendsAnswered(t *testing.T, ended int, uri wamp.URI, kwargs wamp.Dict) (url string) {
	t.Helper()
	return actor(t, func(n int, m wamp.Message) wamp.Message {
		switch m := m.(type) {
		case *wamp.Hello:
			return &wamp.Welcome{ID: 1, Details: wamp.Dict{}}
		case *wamp.Call:
			if m.Procedure == "es.info" {
				return &wamp.Result{Request: m.Request, Details: wamp.Dict{}, ArgumentsKw: wamp.Dict{"protocol": 1, "store": "01J00000000000000000000000"}}
			}
			if n <= ended {
				return &wamp.Goodbye{Reason: wamp.CloseSystemShutdown, Details: wamp.Dict{}}
			}
			return &wamp.Error{Type: wamp.CALL, Request: m.Request, Details: wamp.Dict{}, Error: uri, Arguments: wamp.List{"no"}, ArgumentsKw: kwargs}
		}
		return nil
	})
}

// What a repetition is answered with is the outcome of the whole only when the
// server knew the key by then, and so the attempt whose answer was lost. A first
// attempt's is, unless the call may have gone on.
func TestOutcomeOfRepetition(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		uri             wamp.URI
		kwargs          wamp.Dict
		known, repeated bool // whether the outcome is known of a first and of a repeated attempt
	}{
		{"es.error.conflict", wamp.Dict{"condition": 0, "stream": "account-1", "expected": "none", "actual": 1}, true, true},
		{"es.error.key_reused", wamp.Dict{"key": "k", "position": 1}, true, true},
		{"es.error.rejected", wamp.Dict{"code": "not_open", "message": "no"}, true, true},
		{"es.error.unavailable", wamp.Dict{"message": "overloaded", "outcome": "none"}, true, false},
		{"es.error.unavailable", wamp.Dict{"message": "the disk", "outcome": "unknown"}, false, false},
		{"es.error.too_large", wamp.Dict{"bound": "calls in flight", "limit": 64, "actual": 65}, true, false},
		{"es.error.invalid_data", wamp.Dict{"type": "a.B", "path": "", "offset": 0, "message": "no"}, true, false},
		{"es.error.unknown", wamp.Dict{"kind": "event", "name": "a.B"}, true, false},
		{"es.error.store_changed", wamp.Dict{"store": "01J00000000000000000000001"}, true, false},
		{"es.error.internal", wamp.Dict{"message": "no"}, true, false},
		{"wamp.error.invalid_argument", wamp.Dict{"argument": "key", "message": "no"}, true, false},
		{"wamp.error.not_authorized", nil, true, false},
		{"wamp.error.no_such_procedure", nil, true, false},
		{"wamp.error.canceled", nil, false, false}, // a router, when its callee has gone
		{"wamp.error.timeout", nil, false, false},
	} {
		for ended, known := range []bool{c.known, c.repeated} {
			url := appendsAnswered(t, ended, c.uri, c.kwargs)
			b, err := client.Dial(deadline(t), url, client.Options{Unverified: true, ReconnectMin: time.Millisecond, Logger: quiet})
			if err != nil {
				t.Fatal(err)
			}
			_, appended := b.Append(deadline(t), event.Append{Stream: "account-1", Events: opened.Events, Key: "k"})
			_, commanded := b.Command(deadline(t), "account", "1", "open", account.NewOpen("ada"), client.CommandOptions{Key: "c"})
			for what, err := range map[string]error{"append": appended, "command": commanded} {
				if ended == 1 && what == "command" {
					continue // it finds a session that was not ended
				}
				var unavailable *event.UnavailableError
				if unknown := errors.Is(err, event.ErrOutcomeUnknown); err == nil || unknown == known || unknown && !errors.As(err, &unavailable) {
					t.Errorf("%s (%v), %d answers lost: %s: %v, and the outcome should be known: %v", c.uri, c.kwargs["message"], ended, what, err, known)
				}
			}
			_ = b.Close()
		}
	}
	var refused *aggregate.RejectedError
	var large *event.TooLargeError
	for uri, target := range map[wamp.URI]any{"es.error.rejected": &refused, "es.error.too_large": &large} {
		b, err := client.Dial(deadline(t), appendsAnswered(t, 1, uri, nil), client.Options{Unverified: true, ReconnectMin: time.Millisecond, Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Command(deadline(t), "account", "1", "open", account.NewOpen("ada"), client.CommandOptions{Key: "c"}); !errors.As(err, target) {
			t.Errorf("%s: %v does not say what the repetition was answered with", uri, err)
		}
		_ = b.Close()
	}
}

// An append whose answer is longer than the client takes was made.
func TestAnswerTooLarge(t *testing.T) {
	t.Parallel()
	h := open(t, nil)
	w := rawJoin(t, h.raw(t, "tcp"), codec.JSON, 1) // 1024 bytes
	events := make(wamp.List, 100)
	for i := range events {
		events[i] = []any{account.OpenedType, account.NewOpened("ada").Data}
	}
	w.send(&wamp.Call{Request: 1, Options: wamp.Dict{}, Procedure: "es.append", Arguments: events, ArgumentsKw: wamp.Dict{"stream": "account-1"}})
	m, err := w.next()
	if e, ok := m.(*wamp.Error); err != nil || !ok || e.Error != "es.error.unavailable" || e.ArgumentsKw["outcome"] != "unknown" {
		t.Errorf("%#v, %v", m, err)
	}
	if n := len(h.events(t)); n != 100 {
		t.Errorf("%d events are stored", n)
	}
	w.send(&wamp.Call{Request: 2, Options: wamp.Dict{}, Procedure: "es.schema", ArgumentsKw: wamp.Dict{"type": account.OpenedType}})
	m, err = w.next()
	if e, ok := m.(*wamp.Error); err != nil || !ok || e.Error != "es.error.too_large" {
		t.Errorf("what only reads: %#v, %v", m, err)
	}
}
