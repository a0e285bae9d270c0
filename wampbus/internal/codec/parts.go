package codec

import (
	"encoding/base64"

	"github.com/gammazero/nexus/v3/wamp"
)

// Refer is the length, in bytes, above which a binary is referred to instead of
// copied: below it, copying costs less than one more buffer in a write.
const Refer = 16 << 10

// Parts is an encoded message in the order of its bytes. Body is empty, or a
// large binary: the one that was given to the encoder, which must not change as
// long as the parts are used, or one that may be shared likewise. Spent, unless
// nil, may be called once nobody needs the body any more.
type Parts struct {
	Head, Body, Tail []byte
	Spent            func()
}

// Len is the length of the message in bytes.
func (p Parts) Len() int { return len(p.Head) + len(p.Body) + len(p.Tail) }

// Event is an EVENT that carries a record: what every subscriber of one
// subscription gets alike. Topic is empty for those of an exact subscription.
type Event struct {
	Subscription, Publication wamp.ID
	Topic                     string
	Record                    []byte
	Position, Previous        uint64
}

// Event encodes an EVENT behind what dst holds.
func (f Format) Event(dst []byte, e *Event) Parts {
	head := f.eventHead(dst, e)
	if len(e.Record) <= Refer {
		return Parts{Head: f.eventTail(f.appendBinary(head, e.Record), e)}
	}
	body := e.Record
	if f == JSON {
		body = jsonBinary(make([]byte, 0, 8+base64.StdEncoding.EncodedLen(len(body))), body)
	} else {
		head = f.binaryHead(head, len(body))
	}
	all := f.eventTail(head, e)
	return Parts{Head: all[:len(head):len(head)], Body: body, Tail: all[len(head):]}
}

// eventHead appends an EVENT up to its record.
func (f Format) eventHead(dst []byte, e *Event) []byte {
	switch f {
	case MessagePack:
		dst = append(dst, 0x96, byte(wamp.EVENT))
		dst = msgpackUint(msgpackUint(dst, uint64(e.Subscription)), uint64(e.Publication))
		if e.Topic == "" {
			dst = append(dst, 0x80)
		} else {
			dst = append(dst, "\x81\xa5topic"...)
			dst = append(msgpackLength(dst, 0xa0, 32, 0xd9, len(e.Topic)), e.Topic...)
		}
		return append(dst, 0x91)
	case CBOR:
		dst = append(dst, 0x86)
		dst = cborHead(dst, cborUint, uint64(wamp.EVENT))
		dst = cborHead(cborHead(dst, cborUint, uint64(e.Subscription)), cborUint, uint64(e.Publication))
		if e.Topic == "" {
			dst = append(dst, 0xa0)
		} else {
			dst = append(dst, "\xa1\x65topic"...)
			dst = append(cborHead(dst, cborText, uint64(len(e.Topic))), e.Topic...)
		}
		return append(dst, 0x81)
	default:
		dst = append(dst, "[36,"...)
		dst = append(appendDecimal(dst, uint64(e.Subscription)), ',')
		dst = append(appendDecimal(dst, uint64(e.Publication)), ",{"...)
		if e.Topic != "" {
			dst = jsonString(append(dst, `"topic":`...), e.Topic)
		}
		return append(dst, "},["...)
	}
}

// eventTail appends what follows the record.
func (f Format) eventTail(dst []byte, e *Event) []byte {
	switch f {
	case MessagePack:
		dst = msgpackUint(append(dst, "\x82\xa8position"...), e.Position)
		return msgpackUint(append(dst, "\xa8previous"...), e.Previous)
	case CBOR:
		dst = cborHead(append(dst, "\xa2\x68position"...), cborUint, e.Position)
		return cborHead(append(dst, "\x68previous"...), cborUint, e.Previous)
	default:
		dst = appendDecimal(append(dst, `],{"position":`...), e.Position)
		dst = appendDecimal(append(dst, `,"previous":`...), e.Previous)
		return append(dst, "}]"...)
	}
}

// Parts encodes a message like [Format.Append], behind what dst holds. When its
// first argument is the only one and a large binary, as in the answer of
// es.read, that is the body.
func (f Format) Parts(dst []byte, m wamp.Message) (Parts, error) {
	args, kwargs := payloadOf(m)
	var body []byte
	if len(args) == 1 {
		body, _ = args[0].([]byte)
	}
	if !f.refers(body) {
		head, err := f.Append(dst, m)
		return Parts{Head: head}, err
	}
	var fields [7]any
	list, err := messageFields(fields[:0], m)
	if err != nil {
		return Parts{}, err
	}
	before := len(list) - 1 // the arguments are last
	if len(kwargs) > 0 {
		before--
	}
	head := f.listHead(dst, len(list))
	for _, v := range list[:before] {
		if head, err = f.appendValue(head, v); err != nil {
			return Parts{}, err
		}
	}
	head = f.binaryHead(f.listHead(head, 1), len(body))
	all := head
	for _, v := range list[before+1:] {
		if all, err = f.appendValue(all, v); err != nil {
			return Parts{}, err
		}
	}
	return Parts{Head: all[:len(head):len(head)], Body: body, Tail: all[len(head):]}, nil
}

func payloadOf(m wamp.Message) (wamp.List, wamp.Dict) {
	switch m := m.(type) {
	case *wamp.Result:
		return m.Arguments, m.ArgumentsKw
	case *wamp.Event:
		return m.Arguments, m.ArgumentsKw
	}
	return nil, nil
}

// refers reports whether a binary is to be referred to. JSON has none: base64
// is a copy.
func (f Format) refers(b []byte) bool { return f != JSON && len(b) > Refer }

// binaryHead appends what stands before a binary, in the binary formats.
func (f Format) binaryHead(dst []byte, n int) []byte {
	if f == CBOR {
		return cborHead(dst, cborBytes, uint64(n))
	}
	return msgpackLength(dst, 0, 0, 0xc4, n)
}

func (f Format) appendBinary(dst, b []byte) []byte {
	if f == JSON {
		return jsonBinary(dst, b)
	}
	return append(f.binaryHead(dst, len(b)), b...)
}

// listHead appends the head of a list, in the binary formats.
func (f Format) listHead(dst []byte, n int) []byte {
	if f == CBOR {
		return cborHead(dst, cborArray, uint64(n))
	}
	return msgpackLength(dst, 0x90, 16, 0xdb, n)
}
