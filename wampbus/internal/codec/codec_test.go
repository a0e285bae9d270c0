package codec

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/gammazero/nexus/v3/transport/serialize"
	"github.com/gammazero/nexus/v3/wamp"
	"pgregory.net/rapid"
)

// element draws any value that decoding can produce.
func element(depth int) *rapid.Generator[any] {
	kinds := []*rapid.Generator[any]{
		rapid.Just[any](nil),
		rapid.Bool().AsAny(),
		rapid.Int64().AsAny(),
		rapid.Uint64Min(math.MaxInt64 + 1).AsAny(),
		rapid.String().Filter(func(s string) bool { return !strings.HasPrefix(s, "\x00") }).AsAny(),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) any { return append([]byte{}, b...) }),
		rapid.Float64Range(-1e300, 1e300).Filter(func(f float64) bool { return f != math.Trunc(f) }).AsAny(),
	}
	if depth > 0 {
		kinds = append(kinds,
			rapid.Map(rapid.SliceOfN(element(depth-1), 0, 20), func(l []any) any { return append([]any{}, l...) }),
			rapid.Map(rapid.MapOfN(rapid.String(), element(depth-1), 0, 20), func(m map[string]any) any { return m }),
		)
	}
	return rapid.OneOf(kinds...)
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		args := rapid.SliceOfN(element(2), 1, 5).Draw(t, "args")
		kwargs := rapid.MapOfN(rapid.String(), element(1), 1, 5).Draw(t, "kwargs")
		want := &wamp.Call{
			Request: wamp.ID(rapid.Uint64Range(0, wamp.MaxID).Draw(t, "request")), Options: wamp.Dict{"x": true},
			Procedure: "es.read", Arguments: args, ArgumentsKw: kwargs,
		}
		for _, f := range Formats {
			b, err := f.Append(nil, want)
			if err != nil {
				t.Fatal(err)
			}
			got, err := f.Decode(b)
			if err != nil {
				t.Fatalf("%v: %v: % x", f, err, b)
			}
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("%v:\n got %#v\nwant %#v", f, got, want)
			}
		}
	})
}

// every message type, in both directions, in every format.
var messages = []wamp.Message{
	&wamp.Hello{Realm: "verbatim", Details: wamp.Dict{"roles": map[string]any{"caller": map[string]any{}}}},
	&wamp.Welcome{ID: 7, Details: wamp.Dict{}},
	&wamp.Abort{Details: wamp.Dict{"message": "no"}, Reason: "wamp.error.no_such_realm"},
	&wamp.Goodbye{Details: wamp.Dict{}, Reason: "wamp.close.normal"},
	&wamp.Challenge{AuthMethod: "ticket", Extra: wamp.Dict{}},
	&wamp.Authenticate{Signature: "s", Extra: wamp.Dict{}},
	&wamp.Error{Type: wamp.CALL, Request: 3, Details: wamp.Dict{}, Error: "es.error.unknown", Arguments: wamp.List{"x"}, ArgumentsKw: wamp.Dict{"kind": "view"}},
	&wamp.Publish{Request: 3, Options: wamp.Dict{}, Topic: "a.b", Arguments: wamp.List{int64(1)}},
	&wamp.Published{Request: 3, Publication: 4},
	&wamp.Subscribe{Request: 3, Options: wamp.Dict{"match": "prefix"}, Topic: "es."},
	&wamp.Subscribed{Request: 3, Subscription: 4},
	&wamp.Unsubscribe{Request: 3, Subscription: 4},
	&wamp.Unsubscribed{Request: 3},
	&wamp.Event{Subscription: 1, Publication: wamp.MaxID, Details: wamp.Dict{"topic": "es.head"}, Arguments: wamp.List{[]byte{0, 1, 255}}, ArgumentsKw: wamp.Dict{"position": int64(9)}},
	&wamp.Call{Request: 1, Options: wamp.Dict{}, Procedure: "es.read", ArgumentsKw: wamp.Dict{"after": int64(1)}, Arguments: wamp.List{}},
	&wamp.Cancel{Request: 1, Options: wamp.Dict{}},
	&wamp.Result{Request: 1, Details: wamp.Dict{}, Arguments: wamp.List{[]byte{}}},
	&wamp.Register{Request: 1, Options: wamp.Dict{}, Procedure: "a.b"},
	&wamp.Registered{Request: 1, Registration: 2},
	&wamp.Unregister{Request: 1, Registration: 2},
	&wamp.Unregistered{Request: 1},
	&wamp.Invocation{Request: 1, Registration: 2, Details: wamp.Dict{}},
	&wamp.Interrupt{Request: 1, Options: wamp.Dict{}},
	&wamp.Yield{Request: 1, Options: wamp.Dict{}, Arguments: wamp.List{"x"}},
}

func TestEveryMessage(t *testing.T) {
	t.Parallel()
	for _, f := range Formats {
		for _, want := range messages {
			b, err := f.Append([]byte("kept"), want)
			if err != nil || !bytes.HasPrefix(b, []byte("kept")) {
				t.Fatalf("%v %T: %v", f, want, err)
			}
			got, err := f.Decode(b[4:])
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%v: got %#v, %v, want %#v", f, got, err, want)
			}
			for i := range b[4:] {
				if m, err := f.Decode(b[4 : 4+i]); err == nil {
					t.Errorf("%v %T cut at %d decodes to %#v", f, want, i, m)
				}
			}
		}
	}
}

// TestNexusReadsIt holds our encoding against an implementation of others.
func TestNexusReadsIt(t *testing.T) {
	t.Parallel()
	theirs := map[Format]serialize.Serializer{
		MessagePack: &serialize.MessagePackSerializer{}, CBOR: &serialize.CBORSerializer{}, JSON: &serialize.JSONSerializer{},
	}
	for f, s := range theirs {
		for _, want := range messages {
			ours, err := f.Append(nil, want)
			if err != nil {
				t.Fatal(err)
			}
			m, err := s.Deserialize(ours)
			if err != nil {
				t.Errorf("%v: nexus can't read %T: %v", f, want, err)
				continue
			}
			if f == JSON { // it does not unwrap binaries
				continue
			}
			back, err := s.Serialize(m)
			if err != nil {
				t.Fatal(err)
			}
			got, err := f.Decode(back)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%v: after a trip through nexus: %#v, %v, want %#v", f, got, err, want)
			}
		}
	}
}

func TestBinaries(t *testing.T) {
	t.Parallel()
	data := []byte{0, 1, 2, 0xff}
	cbor64, _ := hex.DecodeString("87" + "1830" + "01" + "a0" + "61" + "78" + "81" + "d840" + "44" + "000102ff" + "a0")
	cbor64[0] = 0x86
	indefinite, _ := hex.DecodeString("9f" + "1830" + "01" + "bfff" + "7f61" + "78" + "ff" + "9f" + "5f42" + "0001" + "42" + "02ff" + "ff" + "ff" + "ff")
	for name, c := range map[string]struct {
		f Format
		b []byte
	}{
		"JSON":            {JSON, []byte(`[48, 1, {}, "x", ["\u0000` + base64.StdEncoding.EncodeToString(data) + `"]]`)},
		"CBOR tag 64":     {CBOR, cbor64},
		"CBOR indefinite": {CBOR, indefinite},
	} {
		m, err := c.f.Decode(c.b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := m.(*wamp.Call).Arguments; !reflect.DeepEqual(got, wamp.List{data}) {
			t.Errorf("%s: got %#v", name, got)
		}
	}
	out, err := JSON.Append(nil, &wamp.Result{Request: 1, Arguments: wamp.List{data}})
	if want := `[50,1,{},["\u0000AAEC/w=="]]`; err != nil || string(out) != want {
		t.Errorf("got %s, %v, want %s", out, err, want)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 40) + strings.Repeat("]", 40)
	wide := "[48,1,{},\"x\",[" + strings.Repeat("0,", 9000) + "0]]"
	for _, s := range []string{
		``, `[]`, `{}`, `7`, `null`, `[null]`, `["48"]`, `[999]`, `[-1]`, `[1e300]`, `[48]`, `[48, "1", {}, "x"]`, `[48, -1, {}, "x"]`,
		`[48, 1.5, {}, "x"]`, `[48, 9007199254740994, {}, "x"]`, `[48, 1, [], "x"]`, `[48, 1, {}, 7]`, `[48, 1, {}, null]`,
		`[48, 1, {}, "x", {}]`, `[48, 1, {}, "x", [], []]`, `[48, 1, {}, "x", [], {}, 1]`, `[48, 1, {}, "x"] 1`, `[48, 1, {}, "x"]]`,
		`[48, 1, {}, "x", ["\u0000not base64!"]]`, "[48, 1, {}, \"\xff\"]", `[1, "realm", ` + deep + `]`, wide, `[48, 1, {}`, `[32, 1, {}]`,
	} {
		if m, err := JSON.Decode([]byte(s)); err == nil {
			t.Errorf("%.60s is %#v", s, m)
		}
	}
	for _, s := range []string{
		"", "c1", "dd7fffffff", "df7fffffff", "d9ff", "dc0001", "9130" + "00", "94300180" + "a1ff", "c7000000", "d400",
		"9530018" + "0a178" + "8101" + "c0", strings.Repeat("91", 100),
	} {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := MessagePack.Decode(b); err == nil {
			t.Errorf("msgpack %s is %#v", s, m)
		}
	}
	for _, s := range []string{
		"", "ff", "9f", "9bffffffffffffffff", "bbffffffffffffffff", "bb8000000000000000", "5bffffffffffffffff", "7f", "7f41", "c100", "1c", "84183001a0" + "61ff",
		"5f5f41ffffff", strings.Repeat("d840", 100), strings.Repeat("81", 100),
	} {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := CBOR.Decode(b); err == nil {
			t.Errorf("cbor %s is %#v", s, m)
		}
	}
}

func TestUnencodable(t *testing.T) {
	t.Parallel()
	for _, f := range Formats {
		for _, v := range []any{make(chan int), func() {}, struct{}{}, map[int]int{}, (*int)(nil)} {
			b, err := f.Append([]byte("kept"), &wamp.Result{Arguments: wamp.List{v}})
			if err == nil || string(b) != "kept" {
				t.Errorf("%v: %T gives %q, %v", f, v, b, err)
			}
		}
		loop := []any{nil}
		loop[0] = loop
		if _, err := f.Append(nil, &wamp.Result{Arguments: loop}); err == nil {
			t.Errorf("%v: encodes a list that holds itself", f)
		}
	}
	if _, err := JSON.Append(nil, &wamp.Result{Arguments: wamp.List{math.NaN()}}); err == nil {
		t.Error("JSON has no NaN")
	}
}

func TestSimplify(t *testing.T) {
	t.Parallel()
	m := &wamp.Result{Request: 1, Arguments: wamp.List{[]wamp.ID{1, 2}, map[string][]string{"a": {"b"}}, float32(0.5), uint8(3), wamp.URI("u")}}
	want := wamp.List{[]any{int64(1), int64(2)}, map[string]any{"a": []any{"b"}}, 0.5, int64(3), "u"}
	for _, f := range Formats {
		b, err := f.Append(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.Decode(b)
		if err != nil || !reflect.DeepEqual(got.(*wamp.Result).Arguments, want) {
			t.Errorf("%v: got %#v, %v", f, got, err)
		}
	}
}

func TestHalfFloat(t *testing.T) {
	t.Parallel()
	for h, want := range map[uint16]float64{0x3c00: 1, 0xc000: -2, 0x0001: math.Ldexp(1, -24), 0x7bff: 65504, 0x7c00: math.Inf(1), 0xfc00: math.Inf(-1), 0: 0} {
		if got := halfFloat(h); got != want {
			t.Errorf("%04x is %v, want %v", h, got, want)
		}
	}
	if !math.IsNaN(halfFloat(0x7e00)) {
		t.Error("7e00 is NaN")
	}
}

// FuzzDecode: whatever comes in, nothing panics, and what is accepted is
// encoded and decoded again to the same message.
func FuzzDecode(f *testing.F) {
	for _, format := range Formats {
		for _, m := range messages {
			b, err := format.Append(nil, m)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(uint8(format), b)
		}
		for _, v := range vectors {
			for _, b := range v.bytes(f, format) {
				f.Add(uint8(format), b)
			}
		}
	}
	f.Fuzz(func(t *testing.T, format uint8, b []byte) {
		in := Formats[int(format)%len(Formats)]
		m, err := in.Decode(b)
		if err != nil {
			return
		}
		for _, out := range []Format{MessagePack, CBOR} {
			again, err := out.Append(nil, m)
			if err != nil {
				t.Fatalf("%v: %#v was accepted and can't be encoded: %v", out, m, err)
			}
			back, err := out.Decode(again)
			if err != nil && len(again) >= len(b) {
				t.Fatalf("%v: %#v was accepted and encoded, and is refused now: %v", out, m, err)
			}
			if err == nil && fmt.Sprint(back) != fmt.Sprint(m) { // NaN is not equal to itself
				t.Fatalf("%v: got %v, want %v", out, back, m)
			}
		}
	})
}

// SUBSCRIBE of wampy 8.0.2, whose get_retained is undefined.
func TestMsgpackUndefinedIsNil(t *testing.T) {
	t.Parallel()
	frame := []byte("\x94\x20\x07\x81\xacget_retained\xd4\x00\x00\xa1a")
	got, err := MessagePack.Decode(frame)
	if want := (&wamp.Subscribe{Request: 7, Options: wamp.Dict{"get_retained": nil}, Topic: "a"}); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %#v, %v", got, err)
	}
	for _, at := range []int{len(frame) - 4, len(frame) - 3} { // type and content
		other := bytes.Clone(frame)
		other[at] = 1
		if _, err := MessagePack.Decode(other); err == nil {
			t.Errorf("% x was accepted", other)
		}
	}
}
