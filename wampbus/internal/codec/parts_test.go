package codec

import (
	"bytes"
	"reflect"
	"slices"
	"testing"

	"github.com/gammazero/nexus/v3/wamp"
)

func (p Parts) bytes() []byte { return slices.Concat(p.Head, p.Body, p.Tail) }

var partSizes = []int{0, 1, 255, 256, Refer - 1, Refer, Refer + 1, 1<<16 - 1, 1 << 16, 100000}

// An event that is encoded by hand is the message that the general encoder
// writes, whatever the lengths and numbers in it.
func TestEventParts(t *testing.T) {
	t.Parallel()
	for _, f := range Formats {
		for i, n := range partSizes {
			for _, topic := range []string{"", "es.head", string(bytes.Repeat([]byte("a"), 31+i*60)), "a\"b\\c\x01é"} {
				record := bytes.Repeat([]byte{byte(i), 0xff, 0}, n/3+1)[:n]
				e := &Event{
					Subscription: wamp.ID(1) << (5 * i), Publication: wamp.MaxID - 1, Topic: topic,
					Record: record, Position: 1 << (5 * i), Previous: uint64(i),
				}
				parts := f.Event(nil, e)
				if large := len(parts.Body) > 0; large != (n > Refer) || large && f != JSON && &parts.Body[0] != &record[0] {
					t.Fatalf("%v of %d bytes: the body has %d", f, n, len(parts.Body))
				}
				got, err := f.Decode(parts.bytes())
				if err != nil {
					t.Fatalf("%v of %d bytes, topic %q: %v", f, n, topic, err)
				}
				details := wamp.Dict{}
				if topic != "" {
					details["topic"] = topic
				}
				b, err := f.Append(nil, &wamp.Event{
					Subscription: e.Subscription, Publication: e.Publication, Details: details,
					Arguments: wamp.List{record}, ArgumentsKw: wamp.Dict{"position": e.Position, "previous": e.Previous},
				})
				if err != nil {
					t.Fatal(err)
				}
				want, err := f.Decode(b)
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(got, want) || parts.Len() != len(b) {
					t.Fatalf("%v of %d bytes, topic %q: %d bytes, want %d", f, n, topic, parts.Len(), len(b))
				}
			}
		}
	}
}

// A message in parts is the message in one piece.
func TestMessageParts(t *testing.T) {
	t.Parallel()
	kwargs := wamp.Dict{"count": 7}
	for _, f := range Formats {
		for _, n := range partSizes {
			page := bytes.Repeat([]byte{1, 2, 3}, n/3+1)[:n]
			for name, m := range map[string]wamp.Message{
				"result": &wamp.Result{Request: 5, Details: wamp.Dict{}, Arguments: wamp.List{page}, ArgumentsKw: kwargs},
				"bare":   &wamp.Result{Request: 5, Arguments: wamp.List{page}},
				"two":    &wamp.Result{Request: 5, Arguments: wamp.List{page, page}, ArgumentsKw: kwargs},
				"event":  &wamp.Event{Subscription: 3, Publication: 4, Arguments: wamp.List{page}, ArgumentsKw: kwargs},
				"none":   &wamp.Result{Request: 5, ArgumentsKw: kwargs},
				"error":  &wamp.Error{Type: wamp.CALL, Request: 5, Error: "x.y", Arguments: wamp.List{page}},
			} {
				parts, err := f.Parts([]byte("before"), m)
				if err != nil {
					t.Fatal(err)
				}
				if refers := f != JSON && n > Refer && name != "two" && name != "none" && name != "error"; refers != (len(parts.Body) > 0) {
					t.Errorf("%v, %s of %d bytes: the body has %d", f, name, n, len(parts.Body))
				}
				want, err := f.Append([]byte("before"), m)
				if err != nil {
					t.Fatal(err)
				}
				if got := parts.bytes(); !bytes.Equal(got, want) {
					t.Errorf("%v, %s of %d bytes: other bytes", f, name, n)
				}
			}
		}
		if _, err := f.Parts(nil, &wamp.Result{Arguments: wamp.List{make([]byte, Refer+1)}, ArgumentsKw: wamp.Dict{"x": make(chan int)}}); err == nil {
			t.Errorf("%v: a channel was encoded", f)
		}
	}
}
