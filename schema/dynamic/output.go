package dynamic

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/verbatim-es/verbatim/schema"
)

// MaxText is the longest text that one call gives, in bytes.
const MaxText = 64 << 20

// ErrTooLong says that data would give more than [MaxText] bytes of text.
var ErrTooLong = errors.New("the data gives too much text")

// flushed is how much text is gathered before it is written.
const flushed = 16 << 10

// output gathers text, and passes it on to w when there is one.
type output struct {
	buf []byte
	w   io.Writer
	// gone is the length of what was passed on, less that of what was in buf
	// before.
	gone int
	err  error
}

// ok tells whether more text is wanted. It is asked between pieces of bounded
// length.
func (o *output) ok() bool {
	switch {
	case o.err != nil:
	case o.gone+len(o.buf) > MaxText:
		o.err = fmt.Errorf("%w: more than %d bytes", ErrTooLong, MaxText)
	case o.w != nil && len(o.buf) >= flushed:
		o.flush()
	}
	return o.err == nil
}

func (o *output) flush() {
	n, err := o.w.Write(o.buf)
	o.gone += n
	o.err = err
	o.buf = o.buf[:0]
}

// appendTo runs write with an output that appends to dst, and returns dst as it
// was when there is an error.
func appendTo(dst []byte, write func(*output)) ([]byte, error) {
	o := output{buf: dst, gone: -len(dst)}
	if write(&o); !o.ok() {
		return dst, o.err
	}
	return o.buf, nil
}

func writeTo(w io.Writer, write func(*output)) error {
	o := output{w: w}
	if write(&o); o.ok() {
		o.flush()
	}
	return o.err
}

func (o *output) raw(s string) { o.buf = append(o.buf, s...) }

// chunk is how much of a string or of bytes is dealt with at a time: a multiple
// of 3, so that base64 needs padding at the end only.
const chunk = 12 << 10

func (o *output) base64(b []byte) {
	for len(b) > 0 && o.ok() {
		n := min(len(b), chunk)
		o.buf = base64.StdEncoding.AppendEncode(o.buf, b[:n])
		b = b[n:]
	}
}

func (o *output) hex(b []byte) {
	for len(b) > 0 && o.ok() {
		n := min(len(b), chunk)
		o.buf = hex.AppendEncode(o.buf, b[:n])
		b = b[n:]
	}
}

// quoted writes a JSON string. Bytes that are not UTF-8 become U+FFFD.
func (o *output) quoted(s []byte) {
	o.buf = append(o.buf, '"')
	for len(s) > 0 && o.ok() {
		n := len(s)
		if n > chunk {
			for n = chunk; n > chunk-utf8.UTFMax && !utf8.RuneStart(s[n]); n-- {
			}
		}
		o.buf = appendEscaped(o.buf, s[:n])
		s = s[n:]
	}
	o.buf = append(o.buf, '"')
}

func appendEscaped(dst, s []byte) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			dst = appendASCII(dst, c)
			i++
			continue
		}
		r, size := utf8.DecodeRune(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(dst, `\ufffd`...)
		case dangerous(r):
			dst = appendUnit(dst, r)
		default:
			dst = append(dst, s[i:i+size]...)
		}
		i += size
	}
	return dst
}

func appendASCII(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	if c < ' ' || c == 0x7f {
		return appendUnit(dst, rune(c))
	}
	return append(dst, c)
}

// appendUnit appends the escape of a character below U+10000.
func appendUnit(dst []byte, r rune) []byte {
	const digits = "0123456789abcdef"
	return append(dst, '\\', 'u', digits[r>>12&15], digits[r>>8&15], digits[r>>4&15], digits[r&15])
}

// dangerous tells whether a terminal, or a reader, could be misled: controls,
// line separators and what reorders text. All are below U+10000.
func dangerous(r rune) bool {
	return r >= 0x80 && r <= 0x9f || r == 0x2028 || r == 0x2029 || r == 0xfeff || unicode.Is(unicode.Bidi_Control, r)
}

// plain writes a name without quotes, unless something in it needs them.
func (o *output) plain(s string) {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r == '"' || r == '\\' || r == 0x7f || r == utf8.RuneError || dangerous(r)
	}) {
		o.quoted([]byte(s))
		return
	}
	o.raw(s)
}

// appendDecimal appends a whole number.
func appendDecimal(dst []byte, base schema.BaseType, bits uint64) []byte {
	if base.Signed() {
		return strconv.AppendInt(dst, int64(bits), 10)
	}
	return strconv.AppendUint(dst, bits, 10)
}

// appendReal appends a float as JSON does, or NaN, Infinity, -Infinity.
func appendReal(dst []byte, base schema.BaseType, bits uint64) []byte {
	v := math.Float64frombits(bits)
	switch {
	case math.IsNaN(v):
		return append(dst, "NaN"...)
	case math.IsInf(v, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(v, -1):
		return append(dst, "-Infinity"...)
	}
	format, width := byte('f'), 64
	if base == schema.Float {
		width = 32
	}
	if size := math.Abs(v); size != 0 && (size < 1e-6 || size >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(dst, v, format, -1, width)
}

// appendNames appends the name of an enum's value, or the names of its bits,
// and reports whether that says all.
func (e *enum) appendNames(dst []byte, bits uint64) ([]byte, bool) {
	if v := e.byValue[int64(bits)]; v != nil {
		return append(dst, v.name...), true
	}
	if !e.flags || bits == 0 {
		return dst, false
	}
	start := len(dst)
	var named uint64
	for i := range e.values {
		// A value of several bits belongs only where all of them are set.
		if bit := uint64(e.values[i].value); bit != 0 && bits&bit == bit {
			if len(dst) > start {
				dst = append(dst, ' ')
			}
			dst = append(dst, e.values[i].name...)
			named |= bit
		}
	}
	if named != bits {
		return dst[:start], false
	}
	return dst, true
}

// parse returns the value of a name, or of several names of bits.
func (e *enum) parse(s string) (uint64, error) {
	if v, ok := e.byName[s]; ok {
		return uint64(v), nil
	}
	var bits uint64
	for name := range strings.SplitSeq(s, " ") {
		v, ok := e.byName[name]
		if !ok || !e.flags {
			return 0, fmt.Errorf("%s has no value %q: it has %s", e.name, shorten(s), e.names())
		}
		bits |= uint64(v)
	}
	return bits, nil
}

func (e *enum) names() string {
	names := make([]string, len(e.values))
	for i, v := range e.values {
		names[i] = v.name
	}
	return some(names)
}

// some lists names, not too many of them.
func some(names []string) string {
	const most = 20
	switch {
	case len(names) == 0:
		return "none"
	case len(names) > most:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// shorten cuts a name from outside to what fits in a message.
func shorten(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
