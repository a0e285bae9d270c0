package codec

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gammazero/nexus/v3/wamp"
)

// appendJSON encodes by RFC 8259. A binary is a string of U+0000 and base64, as
// the WAMP specification has it (section "Binary conversion of JSON strings").
func appendJSON(dst []byte, v any, depth int) ([]byte, error) {
	if depth > maxDepth {
		return dst, errDepth
	}
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case bool:
		return strconv.AppendBool(dst, v), nil
	case string:
		return jsonString(dst, v), nil
	case wamp.URI:
		return jsonString(dst, string(v)), nil
	case []byte:
		return jsonBinary(dst, v), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return dst, fmt.Errorf("JSON has no %v", v)
		}
		return strconv.AppendFloat(dst, v, 'g', -1, 64), nil
	case uint64:
		return strconv.AppendUint(dst, v, 10), nil
	case int64:
		return strconv.AppendInt(dst, v, 10), nil
	case int:
		return strconv.AppendInt(dst, int64(v), 10), nil
	case wamp.ID:
		return strconv.AppendUint(dst, uint64(v), 10), nil
	case wamp.List:
		return appendJSONList(dst, v, depth)
	case []any:
		return appendJSONList(dst, v, depth)
	case wamp.Dict:
		return appendJSONMap(dst, v, depth)
	case map[string]any:
		return appendJSONMap(dst, v, depth)
	}
	plain, err := simplify(v)
	if err != nil {
		return dst, err
	}
	return appendJSON(dst, plain, depth+1)
}

func appendJSONList(dst []byte, l []any, depth int) (_ []byte, err error) {
	dst = append(dst, '[')
	for i, e := range l {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = appendJSON(dst, e, depth+1); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

func appendJSONMap(dst []byte, m map[string]any, depth int) (_ []byte, err error) {
	dst = append(dst, '{')
	first := true
	for k, e := range m {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(jsonString(dst, k), ':')
		if dst, err = appendJSON(dst, e, depth+1); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

func jsonBinary(dst, b []byte) []byte {
	dst = append(dst, `"\u0000`...)
	return append(base64.StdEncoding.AppendEncode(dst, b), '"')
}

func appendDecimal(dst []byte, n uint64) []byte { return strconv.AppendUint(dst, n, 10) }

const hexDigits = "0123456789abcdef"

func jsonString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for _, r := range s { // an invalid byte becomes U+FFFD
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&0xf])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}

func decodeJSON(b []byte) (any, error) {
	if !utf8.Valid(b) {
		return nil, errUTF8
	}
	d := &jsonReader{dec: json.NewDecoder(bytes.NewReader(b)), left: budget(len(b))}
	d.dec.UseNumber()
	v, err := d.value(0)
	if err != nil {
		return nil, err
	}
	if _, err := d.dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errTrailing
	}
	return v, nil
}

// jsonReader reads token by token, so that the budget is checked before
// anything grows.
type jsonReader struct {
	dec  *json.Decoder
	left int
}

func (d *jsonReader) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	if d.left--; d.left < 0 {
		return nil, errBudget
	}
	token, err := d.dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '[' {
			return d.list(depth)
		}
		return d.object(depth)
	case json.Number:
		return jsonNumber(string(t))
	case string:
		return jsonText(t)
	default:
		return t, nil
	}
}

func (d *jsonReader) list(depth int) (any, error) {
	list := []any{}
	for d.dec.More() {
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := d.dec.Token()
	return list, err
}

func (d *jsonReader) object(depth int) (any, error) {
	m := map[string]any{}
	for d.dec.More() {
		k, err := d.dec.Token()
		if err != nil {
			return nil, err
		}
		key, ok := k.(string)
		if !ok {
			return nil, errKey
		}
		if m[key], err = d.value(depth + 1); err != nil {
			return nil, err
		}
	}
	_, err := d.dec.Token()
	return m, err
}

func jsonNumber(s string) (any, error) {
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return i, nil
	}
	if u, err := strconv.ParseUint(s, 10, 64); err == nil {
		return u, nil
	}
	return strconv.ParseFloat(s, 64)
}

// jsonText unwraps a binary.
func jsonText(s string) (any, error) {
	encoded, ok := strings.CutPrefix(s, "\x00")
	if !ok {
		return s, nil
	}
	b, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, fmt.Errorf("a string that starts with U+0000 is a binary in base64: %w", err)
	}
	return b, nil
}
