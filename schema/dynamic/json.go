package dynamic

import (
	"io"

	"github.com/verbatim-es/verbatim/schema"
)

// maxNumber is the largest whole number that every JSON reader keeps exact.
const maxNumber = 1<<53 - 1

// AppendJSON verifies data and appends it to dst as one line of JSON, in the
// form that the package's documentation describes. dst is returned unchanged
// with an error: a [*verify.Error], or [ErrTooLong].
func (t *Table) AppendJSON(dst, data []byte) ([]byte, error) {
	if err := t.plan.Verify(data); err != nil {
		return dst, err
	}
	return appendTo(dst, func(o *output) { o.json(t.object, data, follow(data, 0)) })
}

// WriteJSON is [Table.AppendJSON] to a writer, in pieces: it holds a few
// kilobytes, whatever the length of data. Part of the text may have been
// written when it returns an error.
func (t *Table) WriteJSON(w io.Writer, data []byte) error {
	if err := t.plan.Verify(data); err != nil {
		return err
	}
	return writeTo(w, func(o *output) { o.json(t.object, data, follow(data, 0)) })
}

// json writes the object at pos.
func (o *output) json(obj *object, buf []byte, pos int) {
	o.buf = append(o.buf, '{')
	first := true
	for _, f := range obj.fields {
		at, present := obj.find(buf, pos, f)
		if !present && !f.shown() || f.value != nil && obj.member(buf, pos, f.value) == nil {
			continue
		}
		if !o.ok() {
			return
		}
		if !first {
			o.buf = append(o.buf, ',')
		}
		first = false
		o.key(f.name)
		switch {
		case !present:
			o.jsonScalar(&f.shape, f.absent)
		case f.kind == union:
			o.json(obj.member(buf, pos, f).member, buf, follow(buf, at))
		default:
			o.jsonValue(&f.shape, buf, at)
		}
	}
	o.buf = append(o.buf, '}')
}

// shown tells whether the field has a value when it is absent.
func (f *field) shown() bool { return f.kind == scalar && !f.optional }

// key writes a name of a schema, which needs no escapes.
func (o *output) key(name string) {
	o.buf = append(o.buf, '"')
	o.buf = append(o.buf, name...)
	o.buf = append(o.buf, '"', ':')
}

func (o *output) jsonValue(s *shape, buf []byte, at int) {
	switch s.kind {
	case scalar:
		o.jsonScalar(s, load(s.base, buf, at))
	case text:
		o.quoted(contents(buf, at))
	case blob:
		o.buf = append(o.buf, '"')
		o.base64(contents(buf, at))
		o.buf = append(o.buf, '"')
	case table:
		o.json(s.object, buf, follow(buf, at))
	case structure:
		o.json(s.object, buf, at)
	case nested:
		inner := contents(buf, at)
		o.json(s.object, inner, follow(inner, 0))
	case list, array:
		o.buf = append(o.buf, '[')
		first, count := s.elements(buf, at)
		for i := range count {
			if !o.ok() {
				return
			}
			if i > 0 {
				o.buf = append(o.buf, ',')
			}
			o.jsonValue(s.element, buf, first+i*s.element.size)
		}
		o.buf = append(o.buf, ']')
	}
}

func (o *output) jsonScalar(s *shape, bits uint64) {
	if s.enum != nil {
		o.buf = append(o.buf, '"')
		var named bool
		if o.buf, named = s.enum.appendNames(o.buf, bits); named {
			o.buf = append(o.buf, '"')
			return
		}
		o.buf = o.buf[:len(o.buf)-1]
	}
	switch {
	case s.base == schema.Bool:
		o.raw(boolean(bits))
	case s.base.Real():
		start := len(o.buf)
		if o.buf = appendReal(o.buf, s.base, bits); o.buf[len(o.buf)-1] > '9' { // NaN, Infinity
			name := string(o.buf[start:])
			o.buf = append(append(append(o.buf[:start], '"'), name...), '"')
		}
	case s.base.Signed() && (int64(bits) > maxNumber || int64(bits) < -maxNumber), !s.base.Signed() && bits > maxNumber:
		o.buf = append(o.buf, '"')
		o.buf = append(appendDecimal(o.buf, s.base, bits), '"')
	default:
		o.buf = appendDecimal(o.buf, s.base, bits)
	}
}

func boolean(bits uint64) string {
	if bits != 0 {
		return "true"
	}
	return "false"
}
