package codec

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/gammazero/nexus/v3/wamp"
)

// The major types of RFC 8949, in place.
const (
	cborUint   = 0 << 5
	cborNegint = 1 << 5
	cborBytes  = 2 << 5
	cborText   = 3 << 5
	cborArray  = 4 << 5
	cborMap    = 5 << 5
	cborTag    = 6 << 5
	cborSimple = 7 << 5

	cborBreak = 0xff
)

const (
	tagUint8Array   = 64    // RFC 8746; what JavaScript's Uint8Array becomes
	tagSelfDescribe = 55799 // a magic number without meaning
)

// appendCBOR encodes by RFC 8949, in definite lengths.
func appendCBOR(dst []byte, v any, depth int) ([]byte, error) {
	if depth > maxDepth {
		return dst, errDepth
	}
	switch v := v.(type) {
	case nil:
		return append(dst, 0xf6), nil
	case bool:
		if v {
			return append(dst, 0xf5), nil
		}
		return append(dst, 0xf4), nil
	case string:
		return append(cborHead(dst, cborText, uint64(len(v))), v...), nil
	case wamp.URI:
		return append(cborHead(dst, cborText, uint64(len(v))), v...), nil
	case []byte:
		return append(cborHead(dst, cborBytes, uint64(len(v))), v...), nil
	case float64:
		return binary.BigEndian.AppendUint64(append(dst, 0xfb), math.Float64bits(v)), nil
	case uint64:
		return cborHead(dst, cborUint, v), nil
	case int64:
		return cborInt(dst, v), nil
	case int:
		return cborInt(dst, int64(v)), nil
	case wamp.ID:
		return cborHead(dst, cborUint, uint64(v)), nil
	case wamp.List:
		return appendCBORList(dst, v, depth)
	case []any:
		return appendCBORList(dst, v, depth)
	case wamp.Dict:
		return appendCBORMap(dst, v, depth)
	case map[string]any:
		return appendCBORMap(dst, v, depth)
	}
	plain, err := simplify(v)
	if err != nil {
		return dst, err
	}
	return appendCBOR(dst, plain, depth+1)
}

func appendCBORList(dst []byte, l []any, depth int) (_ []byte, err error) {
	dst = cborHead(dst, cborArray, uint64(len(l)))
	for _, e := range l {
		if dst, err = appendCBOR(dst, e, depth+1); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func appendCBORMap(dst []byte, m map[string]any, depth int) (_ []byte, err error) {
	dst = cborHead(dst, cborMap, uint64(len(m)))
	for k, e := range m {
		dst = append(cborHead(dst, cborText, uint64(len(k))), k...)
		if dst, err = appendCBOR(dst, e, depth+1); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func cborInt(dst []byte, v int64) []byte {
	if v < 0 {
		return cborHead(dst, cborNegint, uint64(-(v + 1)))
	}
	return cborHead(dst, cborUint, uint64(v))
}

func cborHead(dst []byte, major byte, n uint64) []byte {
	switch {
	case n < 24:
		return append(dst, major|byte(n))
	case n <= math.MaxUint8:
		return append(dst, major|24, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, major|25), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, major|26), uint32(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, major|27), n)
	}
}

func decodeCBOR(b []byte) (any, error) {
	d := &reader{b: b, left: budget(len(b))}
	v, err := d.cbor(0)
	if err == nil && len(d.b) > 0 {
		err = errTrailing
	}
	return v, err
}

// head reads an initial byte and its argument. indefinite is true for the
// length "until a break".
func (d *reader) head() (major byte, n uint64, indefinite bool, err error) {
	c, err := d.uint(1)
	if err != nil {
		return 0, 0, false, err
	}
	major = byte(c) & 0xe0
	switch low := c & 0x1f; {
	case low < 24:
		return major, low, false, nil
	case low < 28:
		n, err = d.uint(1 << (low - 24))
		return major, n, false, err
	case low == 31 && major >= cborBytes && major <= cborMap:
		return major, 0, true, nil
	default:
		return 0, 0, false, fmt.Errorf("initial byte 0x%02x has no meaning here", c)
	}
}

func (d *reader) cbor(depth int) (any, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	if len(d.b) > 0 && d.b[0] >= cborSimple {
		return d.cborSimple()
	}
	major, n, indefinite, err := d.head()
	if err != nil {
		return nil, err
	}
	switch major {
	case cborUint:
		return natural(n), nil
	case cborNegint:
		if n > math.MaxInt64 {
			return -1 - float64(n), nil
		}
		return -1 - int64(n), nil
	case cborBytes, cborText:
		return d.cborString(major, n, indefinite)
	case cborArray:
		return d.cborList(n, indefinite, depth)
	case cborMap:
		return d.cborMap(n, indefinite, depth)
	default:
		return d.cborTagged(n, depth)
	}
}

func (d *reader) cborSimple() (any, error) {
	c, _ := d.uint(1)
	switch c {
	case 0xf4, 0xf5:
		return c == 0xf5, nil
	case 0xf6, 0xf7: // null and undefined
		return nil, nil
	case 0xf9:
		v, err := d.uint(2)
		return halfFloat(uint16(v)), err
	case 0xfa:
		v, err := d.uint(4)
		return float64(math.Float32frombits(uint32(v))), err
	case 0xfb:
		v, err := d.uint(8)
		return math.Float64frombits(v), err
	}
	return nil, fmt.Errorf("initial byte 0x%02x has no meaning here", c)
}

func (d *reader) cborTagged(tag uint64, depth int) (any, error) {
	v, err := d.cbor(depth + 1)
	if err != nil {
		return nil, err
	}
	switch tag {
	case tagSelfDescribe:
		return v, nil
	case tagUint8Array:
		if b, ok := v.([]byte); ok {
			return b, nil
		}
		return nil, fmt.Errorf("tag 64 is for a byte string")
	}
	return nil, fmt.Errorf("tag %d is not supported", tag)
}

func (d *reader) cborString(major byte, n uint64, indefinite bool) (any, error) {
	var whole []byte
	if !indefinite {
		b, err := d.take(n)
		if err != nil {
			return nil, err
		}
		whole = b
	} else if err := d.chunks(major, &whole); err != nil {
		return nil, err
	}
	if major == cborText {
		return text(whole)
	}
	return append(make([]byte, 0, len(whole)), whole...), nil
}

// chunks joins the parts of a string of indefinite length.
func (d *reader) chunks(major byte, whole *[]byte) error {
	for !d.atBreak() {
		m, n, indefinite, err := d.head()
		if err != nil {
			return err
		}
		if m != major || indefinite {
			return fmt.Errorf("a part of a string is not a string")
		}
		b, err := d.take(n)
		if err != nil {
			return err
		}
		*whole = append(*whole, b...)
	}
	return nil
}

// atBreak consumes the break that ends an indefinite length, if it is next.
func (d *reader) atBreak() bool {
	if len(d.b) > 0 && d.b[0] == cborBreak {
		d.b = d.b[1:]
		return true
	}
	return false
}

func (d *reader) cborList(n uint64, indefinite bool, depth int) (any, error) {
	list := []any{}
	if !indefinite {
		if err := d.spend(n); err != nil {
			return nil, err
		}
		list = make([]any, 0, n)
	}
	for i := uint64(0); indefinite && !d.atBreak() || !indefinite && i < n; i++ {
		if indefinite {
			if err := d.spend(1); err != nil {
				return nil, err
			}
		}
		v, err := d.cbor(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

func (d *reader) cborMap(n uint64, indefinite bool, depth int) (any, error) {
	m := map[string]any{}
	if !indefinite {
		if n > uint64(len(d.b)) {
			return nil, errShort
		}
		if err := d.spend(2 * n); err != nil {
			return nil, err
		}
	}
	for i := uint64(0); indefinite && !d.atBreak() || !indefinite && i < n; i++ {
		if indefinite {
			if err := d.spend(2); err != nil {
				return nil, err
			}
		}
		k, err := d.cbor(depth + 1)
		if err != nil {
			return nil, err
		}
		key, ok := k.(string)
		if !ok {
			return nil, errKey
		}
		if m[key], err = d.cbor(depth + 1); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// halfFloat is RFC 8949, appendix D.
func halfFloat(h uint16) float64 {
	exp, mant := int(h>>10)&0x1f, float64(h&0x3ff)
	var v float64
	switch {
	case exp == 0:
		v = math.Ldexp(mant, -24)
	case exp != 31:
		v = math.Ldexp(mant+1024, exp-25)
	case mant == 0:
		v = math.Inf(1)
	default:
		return math.NaN()
	}
	if h&0x8000 != 0 {
		return -v
	}
	return v
}
