package wampbus

import (
	"testing"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

func TestWithin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, match string
		want           bool
	}{
		{"es.head", "", true}, {"es.head", "exact", true}, {"es", "exact", false}, {"ess.head", "exact", false}, {"", "exact", false}, {"wamp.es.x", "exact", false},
		{"es.", "prefix", true}, {"es.event.bank", "prefix", true}, {"es", "prefix", false}, {"e", "prefix", false}, {"", "prefix", false},
		{"es..", "wildcard", true}, {"es.event..opened", "wildcard", true}, {"es.", "wildcard", true}, {"es.head", "wildcard", true},
		{"es", "wildcard", false}, {".x.", "wildcard", false}, {".head", "wildcard", false}, {"", "wildcard", false}, {"..", "wildcard", false}, {".es.x", "wildcard", false},
	} {
		if got := within(c.pattern, c.match, "es."); got != c.want {
			t.Errorf("%s %q: %v, want %v", c.match, c.pattern, got, c.want)
		}
	}
}

// What is within the prefix matches nothing outside of it, by the router's own
// idea of matching.
func FuzzWithin(f *testing.F) {
	f.Add("es.", "prefix", "es.x")
	f.Add("es..", "wildcard", "es.a.b")
	f.Add(".x.", "wildcard", "es.x.y")
	f.Add("e", "prefix", "evil")
	f.Add("", "wildcard", "x")
	f.Fuzz(func(t *testing.T, pattern, match, uri string) {
		matches := uri == pattern
		switch match {
		case wamp.MatchPrefix:
			matches = wamp.URI(uri).PrefixMatch(wamp.URI(pattern))
		case wamp.MatchWildcard:
			matches = wamp.URI(uri).WildcardMatch(wamp.URI(pattern))
		}
		if within(pattern, match, "es.") && matches && (len(uri) < 3 || uri[:3] != "es.") {
			t.Errorf("%s %q is said to be within \"es.\", and matches %q", match, pattern, uri)
		}
	})
}

// FuzzSanitize: whatever comes in, what gets past is of the few shapes that the
// router is known to handle.
func FuzzSanitize(f *testing.F) {
	for _, format := range codec.Formats {
		for _, m := range []wamp.Message{
			&wamp.Hello{Realm: "verbatim", Details: wamp.Dict{
				"roles":       map[string]any{"caller": map[string]any{"features": map[string]any{"progressive_call_invocations": true}}},
				"authmethods": []any{"ticket"}, "authid": "ann", "authrole": "admin", "authextra": map[string]any{"secret": "x"},
			}},
			&wamp.Call{Request: 1, Options: wamp.Dict{"timeout": 5, "disclose_me": true, "receive_progress": true}, Procedure: "es.read", ArgumentsKw: wamp.Dict{"after": 1}},
			&wamp.Call{Request: 1, Options: wamp.Dict{"ppt_scheme": "wamp", "ppt_serializer": 7}, Procedure: "es.read"},
			&wamp.Call{Request: 1, Options: wamp.Dict{"progress": true}, Procedure: "es.read"},
			&wamp.Subscribe{Request: 1, Options: wamp.Dict{"match": "prefix", "get_retained": true}, Topic: "es."},
			&wamp.Cancel{Request: 1, Options: wamp.Dict{"mode": "kill"}},
			&wamp.Publish{Request: 1, Options: wamp.Dict{"acknowledge": true, "exclude": []any{1}, "eligible_authrole": []any{"x"}}, Topic: "es.head", Arguments: wamp.List{"x"}},
			&wamp.Register{Request: 1, Options: wamp.Dict{"invoke": "random", "match": "prefix"}, Procedure: "e"},
			&wamp.Yield{Request: 1, Options: wamp.Dict{"ppt_scheme": "x_", "ppt_cipher": 1}},
			&wamp.Error{Type: wamp.INVOCATION, Request: 1, Error: "a.b"},
			&wamp.Goodbye{Reason: "wamp.close.normal"},
			&wamp.Authenticate{Signature: "s"},
		} {
			b, err := format.Append(nil, m)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(uint8(format), b)
		}
	}
	f.Fuzz(func(t *testing.T, format uint8, b []byte) {
		m, err := codec.Formats[int(format)%len(codec.Formats)].Decode(b)
		if err != nil || sanitize(m) != nil {
			return
		}
		switch m := m.(type) {
		case *wamp.Hello:
			for name, v := range m.Details {
				switch name {
				case "roles":
					for role, features := range v.(wamp.Dict) {
						if len(features.(wamp.Dict)) > 0 {
							t.Errorf("role %s keeps features %v", role, features)
						}
					}
				case "authid", "agent":
					_ = v.(string)
				case "authmethods":
					for _, method := range v.(wamp.List) {
						_ = method.(string)
					}
				case "authextra":
					_ = v.(wamp.Dict)
				default:
					t.Errorf("HELLO keeps %q", name)
				}
			}
		case *wamp.Call:
			for name, v := range m.Options {
				if _, ok := v.(int64); name != "timeout" || !ok {
					t.Errorf("CALL keeps %q: %#v", name, v)
				}
			}
		case *wamp.Subscribe:
			onlyText(t, m.Options, "match")
		case *wamp.Cancel:
			onlyText(t, m.Options, "mode")
		case *wamp.Publish:
			if _, ok := m.Options["acknowledge"].(bool); !ok || len(m.Options) != 1 || m.Arguments != nil {
				t.Errorf("PUBLISH keeps %v", m)
			}
		case *wamp.Register:
			if len(m.Options) > 0 {
				t.Errorf("REGISTER keeps %v", m.Options)
			}
		case *wamp.Authenticate, *wamp.Goodbye, *wamp.Abort, *wamp.Unsubscribe, *wamp.Unregister:
		default:
			t.Errorf("%s got past", m.MessageType())
		}
	})
}

func onlyText(t *testing.T, options wamp.Dict, allowed string) {
	for name, v := range options {
		if text, ok := v.(string); name != allowed || !ok || text == "" {
			t.Errorf("option %q: %#v is kept", name, v)
		}
	}
}
