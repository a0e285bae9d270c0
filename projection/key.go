package projection

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
)

// maxKey is LMDB's limit.
const maxKey = 511

// The codec turns values into bytes whose order under memcmp is the order of
// the values, column by column. Each value starts with its kind:
//
//	00                       absent
//	01 b                     bool, b is 00 or 01
//	02 8 bytes               int, big endian, the sign bit flipped
//	03 8 bytes               uint, big endian
//	04 8 bytes               float, IEEE 754 double, big endian: the sign bit
//	                         flipped when it is 0, all bits when it is 1
//	05 bytes 00 01           string; a 00 inside is written as 00 ff
//
// No encoded value is a prefix of another, so the keys that start with the
// encoding of some values are exactly those whose first columns equal them.
const (
	escape     = 0x00
	escapedNul = 0xff
	terminator = 0x01
	signBit    = 1 << 63
)

// appendValue appends the encoding of v.
func appendValue(dst []byte, v Value) []byte {
	dst = append(dst, byte(v.kind))
	switch v.kind {
	case Bool:
		return append(dst, byte(v.bits))
	case Int:
		return binary.BigEndian.AppendUint64(dst, v.bits^signBit)
	case Uint:
		return binary.BigEndian.AppendUint64(dst, v.bits)
	case Float:
		return binary.BigEndian.AppendUint64(dst, orderFloat(v.bits))
	case String:
		return appendString(dst, v.text)
	}
	return dst
}

func appendString(dst []byte, s string) []byte {
	for i := strings.IndexByte(s, escape); i >= 0; i = strings.IndexByte(s, escape) {
		dst = append(append(dst, s[:i+1]...), escapedNul)
		s = s[i+1:]
	}
	return append(append(dst, s...), escape, terminator)
}

// encodedLen is how many bytes appendValue writes.
func encodedLen(v Value) int {
	switch v.kind {
	case Absent:
		return 1
	case Bool:
		return 2
	case String:
		return 1 + len(v.text) + strings.Count(v.text, "\x00") + 2
	}
	return 1 + 8
}

// orderFloat maps the bits of a double to an integer of the same order.
func orderFloat(bits uint64) uint64 {
	if bits&signBit != 0 {
		return ^bits
	}
	return bits | signBit
}

func unorderFloat(ordered uint64) uint64 {
	if ordered&signBit != 0 {
		return ordered &^ signBit
	}
	return ^ordered
}

var errKey = errors.New("not an encoded key")

// decodeValue returns the first value of key and the bytes behind it. It
// accepts exactly what appendValue writes: encoding the value again gives the
// same bytes.
func decodeValue(key []byte) (v Value, rest []byte, err error) {
	if len(key) == 0 {
		return v, nil, fmt.Errorf("%w: it is empty", errKey)
	}
	kind, body := Kind(key[0]), key[1:]
	switch kind {
	case Absent:
		return v, body, nil
	case Bool:
		if len(body) < 1 || body[0] > 1 {
			return v, nil, fmt.Errorf("%w: a bool is 0 or 1", errKey)
		}
		return BoolValue(body[0] == 1), body[1:], nil
	case Int, Uint, Float:
		return decodeNumber(kind, body)
	case String:
		return decodeString(body)
	}
	return v, nil, fmt.Errorf("%w: kind %d is unknown", errKey, key[0])
}

func decodeNumber(kind Kind, body []byte) (v Value, rest []byte, err error) {
	if len(body) < 8 {
		return v, nil, fmt.Errorf("%w: it ends inside a number", errKey)
	}
	bits, rest := binary.BigEndian.Uint64(body), body[8:]
	switch kind {
	case Int:
		return IntValue(int64(bits ^ signBit)), rest, nil
	case Uint:
		return UintValue(bits), rest, nil
	}
	v = FloatValue(math.Float64frombits(unorderFloat(bits)))
	if orderFloat(v.bits) != bits {
		return Value{}, nil, fmt.Errorf("%w: -0 and NaN have one form each", errKey)
	}
	return v, rest, nil
}

func decodeString(body []byte) (v Value, rest []byte, err error) {
	text := make([]byte, 0, len(body))
	for i := 0; i < len(body); i++ {
		if body[i] != escape {
			text = append(text, body[i])
			continue
		}
		i++
		if i == len(body) {
			break
		}
		switch body[i] {
		case terminator:
			return StringValue(string(text)), body[i+1:], nil
		case escapedNul:
			text = append(text, 0)
		default:
			return v, nil, fmt.Errorf("%w: %#02x behind 00 in a string", errKey, body[i])
		}
	}
	return v, nil, fmt.Errorf("%w: it ends inside a string", errKey)
}

// successor turns prefix, in place, into the smallest key that is greater than
// every key starting with it. nil means that there is none.
func successor(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			prefix[i]++
			return prefix[:i+1]
		}
	}
	return nil
}
