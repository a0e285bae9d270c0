package codec

import (
	"encoding/hex"
	"reflect"
	"testing"

	"github.com/gammazero/nexus/v3/wamp"
)

// vector is one message and its bytes in every format, as the WAMP project's
// test suite has them: https://github.com/wamp-proto/wamp-proto, directory
// testsuite/singlemessage/basic, November 2026. What is here are the messages
// and the bytes that the formats make of them, and nothing else of those files,
// which state no licence of their own.
type vector struct {
	name    string
	message wamp.Message
	// json are texts of the message; ours is the last.
	json          []string
	msgpack, cbor string // in hexadecimal
	// unordered marks a dictionary of several entries: it may be written in any
	// order.
	unordered bool
}

var vectors = []vector{
	{
		name:    "HELLO",
		message: &wamp.Hello{Realm: "com.example.realm", Details: wamp.Dict{"roles": map[string]any{"subscriber": map[string]any{}, "publisher": map[string]any{}}}},
		json: []string{
			`[1, "com.example.realm", {"roles": {"subscriber": {}, "publisher": {}}}]`,
			`[1,"com.example.realm",{"roles":{"subscriber":{},"publisher":{}}}]`,
		},
		msgpack:   "9301b1636f6d2e6578616d706c652e7265616c6d81a5726f6c657382aa7375627363726962657280a97075626c697368657280",
		cbor:      "830171636f6d2e6578616d706c652e7265616c6da165726f6c6573a26a73756273637269626572a0697075626c6973686572a0",
		unordered: true,
	},
	{
		name:    "ABORT",
		message: &wamp.Abort{Details: wamp.Dict{}, Reason: "wamp.error.system_shutdown"},
		json:    []string{`[3, {}, "wamp.error.system_shutdown"]`, `[3,{},"wamp.error.system_shutdown"]`},
		msgpack: "930380ba77616d702e6572726f722e73797374656d5f73687574646f776e",
		cbor:    "8303a0781a77616d702e6572726f722e73797374656d5f73687574646f776e",
	},
	{
		name:    "AUTHENTICATE",
		message: &wamp.Authenticate{Signature: "gir1mSx+deCDUV7FgLvsQNTi6n3W/Z/WcZ/OT9RwdZY=", Extra: wamp.Dict{}},
		json: []string{
			`[5, "gir1mSx+deCDUV7FgLvsQNTi6n3W/Z/WcZ/OT9RwdZY=", {}]`,
			`[5,"gir1mSx+deCDUV7FgLvsQNTi6n3W/Z/WcZ/OT9RwdZY=",{}]`,
		},
		msgpack: "9305d92c676972316d53782b6465434455563746674c7673514e5469366e33572f5a2f57635a2f4f54395277645a593d80",
		cbor:    "8305782c676972316d53782b6465434455563746674c7673514e5469366e33572f5a2f57635a2f4f54395277645a593da0",
	},
	{
		name:    "GOODBYE",
		message: &wamp.Goodbye{Details: wamp.Dict{}, Reason: "wamp.close.normal"},
		json:    []string{`[6, {}, "wamp.close.normal"]`, `[6,{},"wamp.close.normal"]`},
		msgpack: "930680b177616d702e636c6f73652e6e6f726d616c",
		cbor:    "8306a07177616d702e636c6f73652e6e6f726d616c",
	},
	{
		name:    "ERROR",
		message: &wamp.Error{Type: wamp.CALL, Request: 7814135, Details: wamp.Dict{}, Error: "com.myapp.error"},
		json:    []string{`[8, 48, 7814135, {}, "com.myapp.error"]`, `[8,48,7814135,{},"com.myapp.error"]`},
		msgpack: "950830ce00773bf780af636f6d2e6d796170702e6572726f72",
		cbor:    "850818301a00773bf7a06f636f6d2e6d796170702e6572726f72",
	},
	{
		name:    "SUBSCRIBE",
		message: &wamp.Subscribe{Request: 713845233, Options: wamp.Dict{}, Topic: "com.myapp.mytopic1"},
		json:    []string{`[32, 713845233, {}, "com.myapp.mytopic1"]`, `[32,713845233,{},"com.myapp.mytopic1"]`},
		msgpack: "9420ce2a8c69f180b2636f6d2e6d796170702e6d79746f70696331",
		cbor:    "8418201a2a8c69f1a072636f6d2e6d796170702e6d79746f70696331",
	},
	{
		name:    "SUBSCRIBED",
		message: &wamp.Subscribed{Request: 713845233, Subscription: 5512315355},
		json:    []string{`[33, 713845233, 5512315355]`, `[33,713845233,5512315355]`},
		msgpack: "9321ce2a8c69f1cf00000001488f41db",
		cbor:    "8318211a2a8c69f11b00000001488f41db",
	},
	{
		name:    "UNSUBSCRIBE",
		message: &wamp.Unsubscribe{Request: 85346237, Subscription: 5512315355},
		json:    []string{`[34, 85346237, 5512315355]`, `[34,85346237,5512315355]`},
		msgpack: "9322ce051647bdcf00000001488f41db",
		cbor:    "8318221a051647bd1b00000001488f41db",
	},
	{
		name:    "UNSUBSCRIBED",
		message: &wamp.Unsubscribed{Request: 85346237},
		json:    []string{`[35, 85346237]`, `[35,85346237]`},
		msgpack: "9223ce051647bd",
		cbor:    "8218231a051647bd",
	},
	{
		name:    "EVENT",
		message: &wamp.Event{Subscription: 9823526, Publication: 112233445566, Details: wamp.Dict{}, Arguments: wamp.List{"Hello, event!"}},
		json:    []string{`[36,9823526,112233445566,{},["Hello, event!"]]`},
		msgpack: "9524ce0095e526cf0000001a21a278be8091ad48656c6c6f2c206576656e7421",
		cbor:    "8518241a0095e5261b0000001a21a278bea0816d48656c6c6f2c206576656e7421",
	},
	{
		name: "EVENT with forward_for",
		message: &wamp.Event{
			Subscription: 7418529630, Publication: 556677889900,
			Details:   wamp.Dict{"forward_for": []any{map[string]any{"session": int64(2468013579), "authid": "frontend1", "authrole": "user"}}},
			Arguments: wamp.List{int64(100), "data"},
		},
		json:      []string{`[36,7418529630,556677889900,{"forward_for":[{"session":2468013579,"authid":"frontend1","authrole":"user"}]},[100,"data"]]`},
		msgpack:   "9524cf00000001ba2dc75ecf000000819c967f6c81ab666f72776172645f666f729183a773657373696f6ece931ae60ba6617574686964a966726f6e74656e6431a861757468726f6c65a4757365729264a464617461",
		cbor:      "8518241b00000001ba2dc75e1b000000819c967f6ca16b666f72776172645f666f7281a36773657373696f6e1a931ae60b666175746869646966726f6e74656e64316861757468726f6c6564757365728218646464617461",
		unordered: true,
	},
	{
		name:    "CALL",
		message: &wamp.Call{Request: 7814135, Options: wamp.Dict{}, Procedure: "com.myapp.myprocedure1", Arguments: wamp.List{"Hello, world!"}},
		json: []string{
			`[48, 7814135, {}, "com.myapp.myprocedure1", ["Hello, world!"]]`,
			`[48,7814135,{},"com.myapp.myprocedure1",["Hello, world!"]]`,
		},
		msgpack: "9530ce00773bf780b6636f6d2e6d796170702e6d7970726f6365647572653191ad48656c6c6f2c20776f726c6421",
		cbor:    "8518301a00773bf7a076636f6d2e6d796170702e6d7970726f63656475726531816d48656c6c6f2c20776f726c6421",
	},
	{
		name:    "RESULT",
		message: &wamp.Result{Request: 7814135, Details: wamp.Dict{}, Arguments: wamp.List{"Hello, world!"}},
		json:    []string{`[50, 7814135, {}, ["Hello, world!"]]`, `[50,7814135,{},["Hello, world!"]]`},
		msgpack: "9432ce00773bf78091ad48656c6c6f2c20776f726c6421",
		cbor:    "8418321a00773bf7a0816d48656c6c6f2c20776f726c6421",
	},
	{
		name:    "INVOCATION",
		message: &wamp.Invocation{Request: 6131533, Registration: 9823526, Details: wamp.Dict{}},
		json:    []string{`[68, 6131533, 9823526, {}]`, `[68,6131533,9823526,{}]`},
		msgpack: "9444ce005d8f4dce0095e52680",
		cbor:    "8418441a005d8f4d1a0095e526a0",
	},
	{
		name:    "YIELD",
		message: &wamp.Yield{Request: 6131533, Options: wamp.Dict{}},
		json:    []string{`[70, 6131533, {}]`, `[70,6131533,{}]`},
		msgpack: "9346ce005d8f4d80",
		cbor:    "8318461a005d8f4da0",
	},
}

// bytes returns the vector's bytes in a format; ours are the last.
func (v vector) bytes(t testing.TB, f Format) [][]byte {
	t.Helper()
	if f == JSON {
		var all [][]byte
		for _, text := range v.json {
			all = append(all, []byte(text))
		}
		return all
	}
	b, err := hex.DecodeString(map[Format]string{MessagePack: v.msgpack, CBOR: v.cbor}[f])
	if err != nil {
		t.Fatal(err)
	}
	return [][]byte{b}
}

func TestVectors(t *testing.T) {
	t.Parallel()
	for _, v := range vectors {
		for _, f := range Formats {
			all := v.bytes(t, f)
			for _, b := range all {
				if got, err := f.Decode(b); err != nil || !reflect.DeepEqual(got, v.message) {
					t.Errorf("%s as %v: got %#v, %v, want %#v", v.name, f, got, err, v.message)
				}
			}
			got, err := f.Append(nil, v.message)
			if want := all[len(all)-1]; err != nil || len(got) != len(want) || !v.unordered && string(got) != string(want) {
				t.Errorf("%s as %v: wrote %x, %v, want %x", v.name, f, got, err, want)
			}
		}
	}
}

// Payload passthru puts bytes where the arguments are: it is not offered, and
// such a message is none here.
func TestVectorOfPassthru(t *testing.T) {
	t.Parallel()
	for f, text := range map[Format]string{
		MessagePack: "9524cf00000001509c397ecf000000e891bf990882a8656e635f616c676fa963727970746f626f78ae656e635f73657269616c697a6572a76d73677061636bc41e83a5636f6c6f72a4626c7565a473697a65a56c61726765a5636f756e741e",
		CBOR:        "8518241b00000001509c397e1b000000e891bf9908a268656e635f616c676f6963727970746f626f786e656e635f73657269616c697a6572676d73677061636b581e83a5636f6c6f72a4626c7565a473697a65a56c61726765a5636f756e741e",
	} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := f.Decode(b); err == nil {
			t.Errorf("%v: got %#v", f, m)
		}
	}
}
