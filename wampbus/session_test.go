package wampbus

import (
	"testing"
	"time"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// Nothing follows the router's GOODBYE.
func TestNothingAfterGoodbye(t *testing.T) {
	t.Parallel()
	s := newSession(&Bus{limits: Limits{Queue: 1 << 20}}, nil, codec.JSON, new(rawSocket), time.Now())
	s.transport.(*rawSocket).takes = 1 << 20
	s.deliver(&wamp.Goodbye{Reason: wamp.CloseGoodbyeAndOut, Details: wamp.Dict{}}, nil)
	s.put(frameMessage, codec.Parts{Head: []byte("an event")}, 0)
	frames, last := s.box.take()
	if want := `[6,{},"wamp.close.goodbye_and_out"]`; !last || string(frames.own[4:]) != want {
		t.Errorf("%q, last %v, want %s", frames.own, last, want)
	}
}

// What a session subscribes to counts under the id of its request, once the
// authorizer has let it through, and an id is in use until it is answered.
func TestRequestIDs(t *testing.T) {
	t.Parallel()
	s := newSession(&Bus{limits: Limits{Subscriptions: 10, TotalSubscriptions: 10}}, nil, 0, new(rawSocket), time.Now())
	admitted := func(m wamp.Message, want bool) {
		t.Helper()
		if refused, err := s.admit(m); refused != nil || (err == nil) != want {
			t.Errorf("%+v: %v, %v", m, refused, err)
		}
	}
	admitted(&wamp.Subscribe{Request: 5, Topic: "es.a"}, true)
	admitted(&wamp.Subscribe{Request: 5, Topic: "es.b"}, false)
	s.allowed(5, interest{topic: "es.a"})
	s.settle(&wamp.Subscribed{Request: 5, Subscription: 1})
	if to := s.subs[1]; to.topic != "es.a" {
		t.Errorf("subscribed to %+v", to)
	}
	admitted(&wamp.Subscribe{Request: 5, Topic: "es.b"}, true)
	admitted(&wamp.Unsubscribe{Request: 5, Subscription: 1}, true)
	admitted(&wamp.Unsubscribe{Request: 5, Subscription: 2}, false)
	s.settle(&wamp.Unsubscribed{Request: 5})
	admitted(&wamp.Unsubscribe{Request: 5, Subscription: 2}, true)
}
