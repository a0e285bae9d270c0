package wampbus

import (
	"bytes"
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

// A queue holds on to a page only for a record that is a good part of it: to
// such a record it refers, of others it has copies, small ones among its own
// bytes, large ones apart and one for all subscribers.
func TestFanoutCopies(t *testing.T) {
	t.Parallel()
	const large = codec.Refer + 1
	for _, format := range []codec.Format{codec.MessagePack, codec.CBOR} {
		for name, c := range map[string]struct {
			size, within   int
			refers, shares bool // to a body, which is the page's
		}{
			"small":                 {codec.Refer, codec.Refer, false, false},
			"small, of a long page": {1000, 1 << 20, false, false},
			"all of its page":       {large, large, true, true},
			"a quarter of its page": {large, 4 * large, true, true},
			"less than a quarter":   {large, 4*large + 4, true, false},
		} {
			f := newFanout()
			sessions := make([]*session, 2)
			for i := range sessions {
				sessions[i] = &session{box: newOutbox(1<<20, &webSocket{}), transport: &webSocket{}, format: format}
				f.add(sessions[i], 1, interest{"es.event.a", ""}, func() {})
			}
			record := bytes.Repeat([]byte("r"), c.size)
			p := &publication{topic: "es.event.a", record: record, within: c.within, position: 1}
			f.deliver(p, nil)
			if !c.refers && &p.record[0] != &record[0] {
				t.Errorf("%v, %s: copied twice", format, name)
			}
			bodies := make([]*byte, len(sessions))
			for i, s := range sessions {
				frames, _ := s.box.take()
				if all := bytes.Join(frames.segments(nil), nil); bytes.Count(all, record) != 1 {
					t.Errorf("%v, %s: the frames do not hold the record", format, name)
				}
				if len(frames.refs) > 0 {
					bodies[i] = &frames.refs[0].body[0]
				}
			}
			if refers, shares := bodies[0] != nil, bodies[0] == &record[0]; refers != c.refers || shares != c.shares || bodies[0] != bodies[1] {
				t.Errorf("%v, %s: refers to a body %v, to the page's %v, both to one %v", format, name, refers, shares, bodies[0] == bodies[1])
			}
		}
	}
}
