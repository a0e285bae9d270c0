package dynamic

import (
	"encoding/base64"
	"math"
	"strconv"
	"strings"

	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/verify"
)

// nestedAlign is that of an event's data in its record, too.
const nestedAlign = 8

// ParseJSON builds the data that a JSON text describes, a finished buffer
// without size prefix that [Table.Verify] accepts and the caller owns. The
// package's documentation describes the form. The same text always gives the
// same bytes, a scalar that equals its default is not stored, and of the table
// that is its schema's root the file identifier is.
//
// Nothing is guessed: a member that the table does not have or that is there
// twice, a value of the wrong type or out of range, a struct's missing member,
// and a missing required field are each a [*JSONError]. So are texts longer
// than [MaxJSON], and tables nested deeper than [verify.MaxDepth].
func (t *Table) ParseJSON(text []byte) ([]byte, error) {
	tape, err := readTape(text)
	if err != nil {
		return nil, err
	}
	p := parser{tape: tape}
	data, err := p.buffer(t.object, 0, 1, t.identifier)
	if err != nil {
		return nil, err
	}
	// What the parser promises is checked, so that nobody has to believe it.
	if err := t.plan.VerifyExact(data); err != nil {
		return nil, &JSONError{Message: err.Error()}
	}
	return data, nil
}

type parser struct {
	*tape
	b       *writer
	scratch []byte // structs and lists of inline values, before they are placed
	// slots are a stack: for each field of the objects being built, its node,
	// and then the place of what it refers to.
	slots []int
}

// buffer builds a buffer of its own from the object at node n.
func (p *parser) buffer(o *object, n, depth int, identifier string) ([]byte, *JSONError) {
	outer := p.b
	p.b = newWriter()
	defer func() { p.b = outer }()
	root, err := p.table(o, n, depth)
	if err != nil {
		return nil, err
	}
	return p.b.finish(root, identifier), nil
}

// absent is the slot of a field that has no value. Node 0 is the root, which is
// no field's.
const absent = 0

// members finds the fields of an object at node n: their nodes are pushed on
// slots, which the caller cuts back to the length it had.
func (p *parser) members(o *object, n int) *JSONError {
	if p.kind(n) != '{' {
		return p.fail(n, "%s is expected to be an object, but is %s", o.name, p.kindName(n))
	}
	base := len(p.slots)
	for range o.fields {
		p.slots = append(p.slots, absent)
	}
	for key, end := n+1, p.next(n); key < end; {
		value := key + 1
		name := p.str(key)
		f := o.byName[string(name)]
		switch {
		case f == nil:
			return p.fail(key, "%s has no field %q: it has %s", o.name, shorten(string(name)), o.known())
		case f.deprecated:
			return p.fail(key, "field %q is deprecated, and can't be written any more", name)
		case p.slots[base+f.index] != absent:
			return p.fail(key, "it is there twice").under(f.name)
		}
		p.slots[base+f.index] = value
		key = p.next(value)
	}
	for i, f := range o.fields {
		slot := &p.slots[base+i]
		if *slot != absent && p.null(*slot) && !o.fixed {
			*slot = absent
		}
		switch {
		case *slot != absent:
		case o.fixed:
			return p.fail(n, "the struct needs it").under(f.name)
		case f.required:
			return p.fail(n, "required, but absent").under(f.name)
		}
	}
	return nil
}

func (o *object) known() string {
	names := make([]string, len(o.fields))
	for i, f := range o.fields {
		names[i] = f.name
	}
	return some(names)
}

// table builds the table at node n, after all that it refers to.
func (p *parser) table(o *object, n, depth int) (int, *JSONError) {
	if depth > verify.MaxDepth {
		return 0, p.fail(n, "tables are more than %d deep", verify.MaxDepth)
	}
	base := len(p.slots)
	defer func() { p.slots = p.slots[:base] }()
	if err := p.members(o, n); err != nil {
		return 0, err
	}
	tags := len(p.slots) // the members of unions, in the order of the fields
	for i, f := range o.fields {
		if f.kind != union {
			continue
		}
		tag, err := p.tag(f, p.slots[base+f.tag.index], p.slots[base+i])
		if err != nil {
			return 0, err
		}
		p.slots = append(p.slots, tag)
	}
	for i, f := range o.fields {
		value := p.slots[base+i]
		if f.kind == union {
			tag := p.slots[tags]
			tags++
			if value != absent {
				offset, err := p.table(f.enum.byValue[int64(tag)].member, value, depth+1)
				if err != nil {
					return 0, err.under(f.name)
				}
				p.slots[base+i] = offset
			}
			continue
		}
		if value == absent || f.kind == scalar || f.kind == structure {
			continue
		}
		offset, err := p.reference(&f.shape, value, depth)
		if err != nil {
			return 0, err.under(f.name)
		}
		p.slots[base+i] = offset
	}
	return p.inlineParts(o, n, base)
}

// inlineParts writes the table itself, of which slots from base on know the
// nodes of inline values and the places of the others.
func (p *parser) inlineParts(o *object, n, base int) (int, *JSONError) {
	p.b.startTable(o.slots)
	// Large ones first, so that there is no padding in between.
	for align := nestedAlign; align > 0; align /= 2 {
		for i, f := range o.fields {
			slot := p.slots[base+i]
			if f.align != align || slot == absent {
				continue
			}
			switch f.kind {
			case scalar:
				bits, err := p.scalar(&f.shape, slot)
				if err != nil {
					return 0, err.under(f.name)
				}
				if f.optional || !same(f.base, bits, f.absent) {
					var word [8]byte
					p.b.inline(f.id, align, appendScalar(word[:0], f.base, bits))
				}
			case structure:
				value, err := p.inline(p.scratch[:0], &f.shape, slot)
				if err != nil {
					return 0, err.under(f.name)
				}
				p.b.inline(f.id, align, value)
				p.scratch = value
			default:
				p.b.refer(f.id, slot)
			}
		}
	}
	place, err := p.b.endTable()
	if err != nil {
		return 0, p.fail(n, "%v", err)
	}
	return place, nil
}

// same tells whether two scalars are equal in a buffer: -0 is not 0, and a NaN
// is another.
func same(base schema.BaseType, a, b uint64) bool {
	return a == b || base.Real() && math.IsNaN(math.Float64frombits(a)) && math.IsNaN(math.Float64frombits(b))
}

// tag returns the tag of a union of which the nodes of tag and value are given.
func (p *parser) tag(f *field, tag, value int) (int, *JSONError) {
	if tag == absent {
		if value != absent {
			return 0, p.fail(value, "%q must name its type, one of %s", f.tag.name, f.enum.names()).under(f.name)
		}
		return 0, nil
	}
	bits, err := p.scalar(&f.tag.shape, tag)
	if err != nil {
		return 0, err.under(f.tag.name)
	}
	v := f.enum.byValue[int64(bits)]
	switch {
	case bits == 0 && value != absent:
		return 0, p.fail(value, "there is a value, but %q says that there is none", f.tag.name).under(f.name)
	case bits != 0 && (v == nil || v.member == nil):
		return 0, p.fail(tag, "no type of %s has the number %d", f.enum.name, bits).under(f.tag.name)
	case bits != 0 && value == absent:
		return 0, p.fail(tag, "there is no %q of this type", f.name).under(f.tag.name)
	}
	return int(bits), nil
}

// reference builds what is referred to by offset.
func (p *parser) reference(s *shape, n, depth int) (int, *JSONError) {
	switch s.kind {
	case text:
		if p.kind(n) != '"' {
			return 0, p.fail(n, "a string is expected, but it is %s", p.kindName(n))
		}
		return p.b.text(p.str(n)), nil
	case table:
		return p.table(s.object, n, depth+1)
	case nested:
		inner, err := p.buffer(s.object, n, depth+1, "")
		if err != nil {
			return 0, err
		}
		return p.b.vector(1, nestedAlign, inner), nil
	case blob:
		if p.kind(n) == '"' {
			value, err := base64.StdEncoding.Strict().DecodeString(string(p.str(n)))
			if err != nil {
				return 0, p.fail(n, "this is not base64 with padding: %v", err)
			}
			return p.b.vector(1, 1, value), nil
		}
	}
	if p.kind(n) != '[' {
		return 0, p.fail(n, "a list is expected, but it is %s", p.kindName(n))
	}
	if s.element.kind == text || s.element.kind == table {
		return p.references(s.element, n, depth)
	}
	value := p.scratch[:0]
	for i, element := 0, n+1; element < p.next(n); i, element = i+1, p.next(element) {
		var err *JSONError
		if value, err = p.inline(value, s.element, element); err != nil {
			return 0, err.in(i)
		}
	}
	p.scratch = value
	return p.b.vector(s.element.size, s.element.align, value), nil
}

// references builds a list of strings or tables.
func (p *parser) references(element *shape, n, depth int) (int, *JSONError) {
	var places []int
	for i, value := 0, n+1; value < p.next(n); i, value = i+1, p.next(value) {
		place, err := p.reference(element, value, depth)
		if err != nil {
			return 0, err.in(i)
		}
		places = append(places, place)
	}
	return p.b.references(places), nil
}

// inline appends a scalar, struct or array to dst, as in a buffer. Padding
// counts from where dst ends.
func (p *parser) inline(dst []byte, s *shape, n int) ([]byte, *JSONError) {
	switch s.kind {
	case scalar:
		bits, err := p.scalar(s, n)
		return appendScalar(dst, s.base, bits), err
	case array:
		if p.kind(n) != '[' {
			return dst, p.fail(n, "a list is expected, but it is %s", p.kindName(n))
		}
		count := 0
		for element := n + 1; element < p.next(n); element = p.next(element) {
			if count == s.length {
				return dst, p.fail(n, "%d elements are expected, but there are more", s.length)
			}
			var err *JSONError
			if dst, err = p.inline(dst, s.element, element); err != nil {
				return dst, err.in(count)
			}
			count++
		}
		if count < s.length {
			return dst, p.fail(n, "%d elements are expected, but there are %d", s.length, count)
		}
		return dst, nil
	}
	return p.structure(dst, s.object, n)
}

func (p *parser) structure(dst []byte, o *object, n int) ([]byte, *JSONError) {
	base, start := len(p.slots), len(dst)
	defer func() { p.slots = p.slots[:base] }()
	if err := p.members(o, n); err != nil {
		return dst, err
	}
	for i, f := range o.fields {
		for len(dst) < start+f.at {
			dst = append(dst, 0)
		}
		var err *JSONError
		if dst, err = p.inline(dst, &f.shape, p.slots[base+i]); err != nil {
			return dst, err.under(f.name)
		}
	}
	for len(dst) < start+o.size {
		dst = append(dst, 0)
	}
	return dst, nil
}

// scalar returns the bits of the value at node n.
func (p *parser) scalar(s *shape, n int) (uint64, *JSONError) {
	c := p.kind(n)
	if s.base == schema.Bool {
		switch c {
		case 't':
			return 1, nil
		case 'f':
			return 0, nil
		}
		return 0, p.fail(n, "a bool is expected, but it is %s", p.kindName(n))
	}
	number := ""
	switch {
	case c == '-' || c >= '0' && c <= '9':
		number = p.number(n)
	case c == '"':
		value := string(p.str(n))
		switch {
		case s.base.Real():
			bits, ok := notFinite(value)
			if !ok {
				return 0, p.fail(n, `a number is expected, or "NaN", "Infinity" or "-Infinity", but it is a string`)
			}
			return bits, nil
		case s.enum != nil && (value == "" || !decimal(value)):
			bits, err := s.enum.parse(value)
			if err != nil {
				return 0, p.fail(n, "%v", err)
			}
			return bits, nil
		case scalarSize(s.base) < 8 || !decimal(value):
			return 0, p.fail(n, "a number is expected, but it is a string")
		}
		number = value
	default:
		return 0, p.fail(n, "a number is expected, but it is %s", p.kindName(n))
	}
	if s.base.Real() {
		return p.real(s, n, number)
	}
	bits, ok := whole(s.base, number)
	if !ok {
		return 0, p.fail(n, "%s is not a whole number of type %s", shorten(number), s.base)
	}
	return bits, nil
}

func (p *parser) real(s *shape, n int, number string) (uint64, *JSONError) {
	v, err := strconv.ParseFloat(number, 8*s.size)
	if err != nil {
		return 0, p.fail(n, "%s is out of the range of a %s", shorten(number), s.base)
	}
	return math.Float64bits(v), nil
}

func notFinite(name string) (uint64, bool) {
	switch name {
	case "NaN":
		return math.Float64bits(math.NaN()), true
	case "Infinity":
		return math.Float64bits(math.Inf(1)), true
	case "-Infinity":
		return math.Float64bits(math.Inf(-1)), true
	}
	return 0, false
}

// decimal tells whether s looks like a whole number.
func decimal(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	return digits != "" && strings.Trim(digits, "0123456789") == ""
}

// whole returns the bits of a number that is whole, however it is spelled, and
// in the range of its type.
func whole(base schema.BaseType, number string) (uint64, bool) {
	width := 8 * scalarSize(base)
	if base.Signed() {
		if v, err := strconv.ParseInt(number, 10, width); err == nil {
			return uint64(v), true
		}
	} else if v, err := strconv.ParseUint(number, 10, width); err == nil {
		return v, true
	}
	if decimal(number) && number != "-0" {
		return 0, false
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || v != math.Trunc(v) || math.Abs(v) > maxNumber {
		return 0, false
	}
	return whole(base, strconv.FormatInt(int64(v), 10))
}
