package codec

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/gammazero/nexus/v3/wamp"
)

// Format is one of the three serializations of protocol 1.
type Format uint8

// The formats, in the order a server prefers them.
const (
	MessagePack Format = iota
	CBOR
	JSON
)

// Formats are all formats, the preferred one first.
var Formats = []Format{MessagePack, CBOR, JSON}

// Subprotocol is the format's WebSocket subprotocol.
func (f Format) Subprotocol() string { return "wamp.2." + f.String() }

// String is the format's name as it appears in the subprotocol.
func (f Format) String() string {
	switch f {
	case MessagePack:
		return "msgpack"
	case CBOR:
		return "cbor"
	default:
		return "json"
	}
}

// Text reports whether messages travel as text: JSON does.
func (f Format) Text() bool { return f == JSON }

// BySubprotocol returns the format of a WebSocket subprotocol.
func BySubprotocol(name string) (Format, bool) {
	for _, f := range Formats {
		if f.Subprotocol() == name {
			return f, true
		}
	}
	return 0, false
}

// maxDepth bounds nesting. Protocol 1 needs 6.
const maxDepth = 32

// budget is how many elements a message of n bytes may hold: enough for any
// honest one, while a message of one-byte elements can't blow up by a factor
// of a hundred in memory.
func budget(n int) int { return 4096 + n/8 }

var (
	errDepth    = fmt.Errorf("nested deeper than %d", maxDepth)
	errBudget   = errors.New("more elements than a message of its length may have")
	errShort    = errors.New("ends in the middle of a value")
	errTrailing = errors.New("bytes follow the message")
	errUTF8     = errors.New("a string is not valid UTF-8")
	errKey      = errors.New("a map key is not a string")
)

// Append appends the encoded message. Binaries are those elements that are
// []byte; maps need string keys. An element that no format can express fails,
// and then dst is returned as it was.
func (f Format) Append(dst []byte, m wamp.Message) ([]byte, error) {
	var fields [7]any
	list, err := messageFields(fields[:0], m)
	if err != nil {
		return dst, err
	}
	out, err := f.appendValue(dst, list)
	if err != nil {
		return dst, fmt.Errorf("%s as %v: %w", m.MessageType(), f, err)
	}
	return out, nil
}

func (f Format) appendValue(dst []byte, v any) ([]byte, error) {
	switch f {
	case MessagePack:
		return appendMsgpack(dst, v, 0)
	case CBOR:
		return appendCBOR(dst, v, 0)
	default:
		return appendJSON(dst, v, 0)
	}
}

// Decode returns the message that b holds, and nothing else may be in b. The
// message does not alias b.
func (f Format) Decode(b []byte) (wamp.Message, error) {
	var v any
	var err error
	switch f {
	case MessagePack:
		v, err = decodeMsgpack(b)
	case CBOR:
		v, err = decodeCBOR(b)
	default:
		v, err = decodeJSON(b)
	}
	if err != nil {
		return nil, fmt.Errorf("not a %v message: %w", f, err)
	}
	list, ok := v.([]any)
	if !ok {
		return nil, errors.New("a WAMP message is a list")
	}
	return parseMessage(list)
}

// text is the string of bytes from outside.
func text(b []byte) (string, error) {
	if !utf8.Valid(b) {
		return "", errUTF8
	}
	return string(b), nil
}
