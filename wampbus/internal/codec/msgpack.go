package codec

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/gammazero/nexus/v3/wamp"
)

// appendMsgpack encodes by the MessagePack specification, bin family included.
func appendMsgpack(dst []byte, v any, depth int) ([]byte, error) {
	if depth > maxDepth {
		return dst, errDepth
	}
	switch v := v.(type) {
	case nil:
		return append(dst, 0xc0), nil
	case bool:
		if v {
			return append(dst, 0xc3), nil
		}
		return append(dst, 0xc2), nil
	case string:
		return append(msgpackLength(dst, 0xa0, 32, 0xd9, len(v)), v...), nil
	case wamp.URI:
		return append(msgpackLength(dst, 0xa0, 32, 0xd9, len(v)), v...), nil
	case []byte:
		return append(msgpackLength(dst, 0, 0, 0xc4, len(v)), v...), nil
	case float64:
		return binary.BigEndian.AppendUint64(append(dst, 0xcb), math.Float64bits(v)), nil
	case uint64:
		return msgpackUint(dst, v), nil
	case int64:
		return msgpackInt(dst, v), nil
	case int:
		return msgpackInt(dst, int64(v)), nil
	case wamp.ID:
		return msgpackUint(dst, uint64(v)), nil
	case wamp.List:
		return appendMsgpackList(dst, v, depth)
	case []any:
		return appendMsgpackList(dst, v, depth)
	case wamp.Dict:
		return appendMsgpackMap(dst, v, depth)
	case map[string]any:
		return appendMsgpackMap(dst, v, depth)
	}
	plain, err := simplify(v)
	if err != nil {
		return dst, err
	}
	return appendMsgpack(dst, plain, depth+1)
}

func appendMsgpackList(dst []byte, l []any, depth int) (_ []byte, err error) {
	dst = msgpackLength(dst, 0x90, 16, 0xdb, len(l)) // 0xdb: arrays have no 8-bit length
	for _, e := range l {
		if dst, err = appendMsgpack(dst, e, depth+1); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func appendMsgpackMap(dst []byte, m map[string]any, depth int) (_ []byte, err error) {
	dst = msgpackLength(dst, 0x80, 16, 0xdd, len(m)) // 0xdd: maps have no 8-bit length
	for k, e := range m {
		dst = append(msgpackLength(dst, 0xa0, 32, 0xd9, len(k)), k...)
		if dst, err = appendMsgpack(dst, e, depth+1); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// msgpackLength appends the head of a string, binary, array or map. fix is the
// code with the length in its low bits, for lengths below fixLimit; code8 is
// the one with an 8-bit length, followed by those with 16 and 32 bits.
func msgpackLength(dst []byte, fix byte, fixLimit int, code8 byte, n int) []byte {
	switch {
	case n < fixLimit:
		return append(dst, fix|byte(n))
	case n <= math.MaxUint8 && code8 < 0xdb:
		return append(dst, code8, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, code8+1), uint16(n))
	default:
		return binary.BigEndian.AppendUint32(append(dst, code8+2), uint32(n))
	}
}

func msgpackUint(dst []byte, v uint64) []byte {
	switch {
	case v < 0x80:
		return append(dst, byte(v))
	case v <= math.MaxUint8:
		return append(dst, 0xcc, byte(v))
	case v <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 0xcd), uint16(v))
	case v <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, 0xce), uint32(v))
	default:
		return binary.BigEndian.AppendUint64(append(dst, 0xcf), v)
	}
}

func msgpackInt(dst []byte, v int64) []byte {
	switch {
	case v >= 0:
		return msgpackUint(dst, uint64(v))
	case v >= -32:
		return append(dst, byte(v))
	default:
		return binary.BigEndian.AppendUint64(append(dst, 0xd3), uint64(v))
	}
}

func decodeMsgpack(b []byte) (any, error) {
	d := &reader{b: b, left: budget(len(b))}
	v, err := d.msgpack(0)
	if err == nil && len(d.b) > 0 {
		err = errTrailing
	}
	return v, err
}

// reader is the unread rest of a message, and how many elements it may still
// hold.
type reader struct {
	b    []byte
	left int
}

func (d *reader) take(n uint64) ([]byte, error) {
	if n > uint64(len(d.b)) {
		return nil, errShort
	}
	taken := d.b[:n]
	d.b = d.b[n:]
	return taken, nil
}

// uint reads a big-endian number of 1, 2, 4 or 8 bytes.
func (d *reader) uint(size uint64) (uint64, error) {
	b, err := d.take(size)
	if err != nil {
		return 0, err
	}
	var v uint64
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return v, nil
}

// spend takes n elements off the budget before anything is allocated for them.
func (d *reader) spend(n uint64) error {
	if n > uint64(len(d.b)) {
		return errShort // each element takes a byte or more
	}
	if n > uint64(d.left) {
		return errBudget
	}
	d.left -= int(n)
	return nil
}

func (d *reader) msgpack(depth int) (any, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	c, err := d.uint(1)
	if err != nil {
		return nil, err
	}
	switch {
	case c < 0x80:
		return int64(c), nil
	case c < 0x90:
		return d.msgpackMap(c&0x0f, depth)
	case c < 0xa0:
		return d.msgpackList(c&0x0f, depth)
	case c < 0xc0:
		return d.text(c & 0x1f)
	case c >= 0xe0:
		return int64(int8(c)), nil
	}
	switch c {
	case 0xc0:
		return nil, nil
	case 0xc2, 0xc3:
		return c == 0xc3, nil
	case 0xca:
		v, err := d.uint(4)
		return float64(math.Float32frombits(uint32(v))), err
	case 0xcb:
		v, err := d.uint(8)
		return math.Float64frombits(v), err
	case 0xcc, 0xcd, 0xce, 0xcf:
		v, err := d.uint(1 << (c - 0xcc))
		return natural(v), err
	case 0xd0:
		v, err := d.uint(1)
		return int64(int8(v)), err
	case 0xd1:
		v, err := d.uint(2)
		return int64(int16(v)), err
	case 0xd2:
		v, err := d.uint(4)
		return int64(int32(v)), err
	case 0xd3:
		v, err := d.uint(8)
		return int64(v), err
	case 0xd4:
		return d.msgpackUndefined()
	}
	return d.msgpackLong(c, depth)
}

// msgpackUndefined reads what JavaScript clients write for undefined, which
// MessagePack has no word for: an extension of type 0 that holds a zero byte.
// It is nil here; every other extension is refused.
func (d *reader) msgpackUndefined() (any, error) {
	body, err := d.uint(2)
	if err == nil && body != 0 {
		err = fmt.Errorf("extension type %d is not supported: WAMP has no extension types", int8(body>>8))
	}
	return nil, err
}

// msgpackLong reads what has its length in bytes of its own.
func (d *reader) msgpackLong(c uint64, depth int) (any, error) {
	width := map[uint64]uint64{0xc4: 1, 0xc5: 2, 0xc6: 4, 0xd9: 1, 0xda: 2, 0xdb: 4, 0xdc: 2, 0xdd: 4, 0xde: 2, 0xdf: 4}[c]
	if width == 0 {
		return nil, fmt.Errorf("type code 0x%02x is not supported: WAMP has no extension types", c)
	}
	n, err := d.uint(width)
	if err != nil {
		return nil, err
	}
	switch {
	case c <= 0xc6:
		return d.binary(n)
	case c <= 0xdb:
		return d.text(n)
	case c <= 0xdd:
		return d.msgpackList(n, depth)
	default:
		return d.msgpackMap(n, depth)
	}
}

func (d *reader) text(n uint64) (any, error) {
	b, err := d.take(n)
	if err != nil {
		return nil, err
	}
	return text(b)
}

func (d *reader) binary(n uint64) (any, error) {
	b, err := d.take(n)
	if err != nil {
		return nil, err
	}
	return append(make([]byte, 0, n), b...), nil
}

func (d *reader) msgpackList(n uint64, depth int) (any, error) {
	if err := d.spend(n); err != nil {
		return nil, err
	}
	list := make([]any, n)
	for i := range list {
		var err error
		if list[i], err = d.msgpack(depth + 1); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (d *reader) msgpackMap(n uint64, depth int) (any, error) {
	if err := d.spend(2 * n); err != nil {
		return nil, err
	}
	m := make(map[string]any, n)
	for range n {
		k, err := d.msgpack(depth + 1)
		if err != nil {
			return nil, err
		}
		key, ok := k.(string)
		if !ok {
			return nil, errKey
		}
		if m[key], err = d.msgpack(depth + 1); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// natural is a number as int64 where it fits, so that equal numbers look alike
// in every format.
func natural(v uint64) any {
	if v <= math.MaxInt64 {
		return int64(v)
	}
	return v
}
