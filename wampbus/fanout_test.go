package wampbus

import (
	"testing"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// Who comes late under an old id of a topic's subscription, and leaves again,
// takes nobody out who is in it under its new id.
func TestFanoutIDs(t *testing.T) {
	t.Parallel()
	f := newFanout()
	quiet, late, steady := interest{"es.head", ""}, new(session), &session{box: newOutbox(1<<20, &webSocket{}), transport: &webSocket{}, format: codec.CBOR}
	waiting := func() int { n, _ := steady.box.waiting(); return n }
	f.add(steady, 2, quiet, func() {})
	f.add(late, 1, quiet, func() {})
	f.remove(late, 1, quiet)
	f.deliver(&publication{topic: "es.head", notice: wamp.Dict{"position": 1}}, nil)
	if waiting() == 0 {
		t.Error("the one who stayed gets nothing")
	}
	f.remove(steady, 2, quiet)
	before := waiting()
	f.deliver(&publication{topic: "es.head", notice: wamp.Dict{"position": 2}}, nil)
	if waiting() != before || len(f.exact) != 0 || len(f.patterns) != 0 {
		t.Errorf("something is left: %v, %v", f.exact, f.patterns)
	}
}
