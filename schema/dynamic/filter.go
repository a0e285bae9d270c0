package dynamic

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/flat"
)

// Filter is an expression compiled for a table. It is immutable, and safe for
// use by any number of goroutines.
type Filter struct {
	table *Table
	root  *test
}

// Filter parses and compiles an expression for the table. The error is a
// [*FilterError], and names the fields there are where one is unknown.
func (t *Table) Filter(expression string) (*Filter, error) {
	e, err := ParseFilter(expression)
	if err != nil {
		return nil, err
	}
	return e.Compile(t)
}

// Match verifies data and tells whether the filter selects it. The error is a
// [*verify.Error].
func (f *Filter) Match(data []byte) (bool, error) {
	if err := f.table.plan.Verify(data); err != nil {
		return false, err
	}
	return f.MatchVerified(data), nil
}

// MatchVerified tells whether the filter selects data, which must have been
// verified as the table's, or been built in this process. It does not allocate.
func (f *Filter) MatchVerified(data []byte) bool {
	return f.root.match(data)
}

// Compile returns the filter for a table. The error is a [*FilterError], and
// names the fields there are where one is unknown.
func (e *Expression) Compile(t *Table) (*Filter, error) {
	c := filterCompiler{text: e.text}
	root, err := c.term(t.object, e.root)
	if err != nil {
		return nil, err
	}
	return &Filter{table: t, root: root}, nil
}

// test is a term for one table.
type test struct {
	op          operator
	left, right *test
	path        []step
	holds       ordering
	base        schema.BaseType // String for strings
	want        operand
}

// step leads from an object to a field of it, or to elements of that.
type step struct {
	in     *object
	field  *field
	index  int // of an element; all for every one, none for the field itself
	member int64
}

const (
	none = -1
	all  = -2
)

// operand is a literal for a field of some type.
type operand struct {
	text string
	real float64
	// A whole number is compared with floor, and where that is equal, and
	// between says that the literal is not whole, it is less. outside says that
	// the literal is below or above all values there are.
	floor   uint64
	between bool
	outside ordering
}

type filterCompiler struct{ text string }

func (c *filterCompiler) fail(at int, format string, args ...any) error {
	return &FilterError{Expression: c.text, Offset: at, Message: fmt.Sprintf(format, args...)}
}

func (c *filterCompiler) term(o *object, from *term) (*test, error) {
	t := &test{op: from.op, holds: from.holds}
	var err error
	switch from.op {
	case not, and, or:
		if t.left, err = c.term(o, from.left); err == nil && from.right != nil {
			t.right, err = c.term(o, from.right)
		}
		return t, err
	}
	target, err := c.path(t, o, from.path)
	if err != nil {
		return nil, err
	}
	last := from.path[len(from.path)-1]
	switch from.op {
	case isTrue:
		if target.kind != scalar || target.base != schema.Bool {
			return nil, c.fail(last.at, "%q is %s, which does not stand alone: compare it", last.name, target.describe())
		}
		t.base, t.holds, t.want.floor = schema.Bool, equal, 1
	case compare:
		t.base = target.base
		if target.kind == text {
			t.base = schema.String
		}
		t.want, err = c.operand(target, last, from)
	}
	return t, err
}

// path fills in the steps of t and returns the type of what they lead to.
func (c *filterCompiler) path(t *test, o *object, parts []part) (*shape, error) {
	for i := 0; ; i++ {
		p := parts[i]
		f := o.byName[p.name]
		if f == nil || f.deprecated {
			return nil, c.fail(p.at, "%s has no field %q: it has %s", o.name, p.name, o.known())
		}
		s := step{in: o, field: f, index: none}
		target := &f.shape
		switch selected := p.all || p.index >= 0; {
		case selected && f.kind != list && f.kind != array && f.kind != blob:
			return nil, c.fail(p.at, "%q is %s, not a list", p.name, target.describe())
		case p.all:
			s.index, target = all, f.element
		case selected:
			s.index, target = p.index, f.element
		}
		more := i+1 < len(parts)
		if f.kind == union && more {
			i++
			member := parts[i]
			value, ok := f.enum.byName[member.name]
			if v := f.enum.byValue[value]; !ok || v.member == nil {
				return nil, c.fail(member.at, "union %q has no type %q: it has %s", p.name, member.name, f.enum.names())
			}
			if member.all || member.index >= 0 {
				return nil, c.fail(member.at, "%q is the type of a union, not a list", member.name)
			}
			s.member = value
			target = &shape{kind: table, object: f.enum.byValue[value].member}
			more = i+1 < len(parts)
		}
		t.path = append(t.path, s)
		if !more {
			return target, nil
		}
		if target.object == nil {
			if target.kind == list || target.kind == array {
				return nil, c.fail(p.at, "%q is a list: write %s[] for its elements", p.name, p.name)
			}
			return nil, c.fail(parts[i+1].at, "%q is %s, and has no fields", p.name, target.describe())
		}
		o = target.object
	}
}

// describe names a type in a message.
func (s *shape) describe() string {
	switch s.kind {
	case scalar:
		if s.enum != nil {
			return "of enum " + s.enum.name
		}
		return "a " + s.base.String()
	case text:
		return "a string"
	case blob:
		return "bytes"
	case union:
		return "a union"
	case list, array:
		return "a list"
	}
	return "a " + s.object.name
}

// operand returns what a literal means for a field.
func (c *filterCompiler) operand(target *shape, last part, from *term) (operand, error) {
	want := from.want
	ordered := from.holds != equal && from.holds != less|greater|unordered
	mismatch := c.fail(want.at, "%q is %s, which is not compared with %s", last.name, target.describe(), want.describe())
	switch {
	case target.kind == text:
		if want.kind != stringLiteral {
			return operand{}, mismatch
		}
		return operand{text: want.text}, nil
	case target.kind != scalar:
		return operand{}, c.fail(want.at, "%q is %s, which is only compared with null", last.name, target.describe())
	case target.base == schema.Bool:
		if want.kind != boolLiteral || ordered {
			return operand{}, c.fail(want.at, "%q is a bool, which is only compared with true, false and null by == and !=", last.name)
		}
		if want.text == "true" {
			return operand{floor: 1}, nil
		}
		return operand{}, nil
	case target.enum != nil && (want.kind == stringLiteral || want.kind == nameLiteral):
		bits, err := target.enum.parse(want.text)
		if err != nil {
			return operand{}, c.fail(want.at, "%v", err)
		}
		return operand{floor: bits}, nil
	case want.kind != numberLiteral:
		return operand{}, mismatch
	case target.base.Real():
		v, _ := strconv.ParseFloat(want.text, 8*target.size) // what is too large is infinite
		return operand{real: v}, nil
	}
	return wholeOperand(target.base, want.text), nil
}

func (l literal) describe() string {
	return [...]string{"null", "a bool", "a number", "a string", "a name"}[l.kind]
}

// wholeOperand returns how whole numbers of a type compare with a number,
// exactly unless it is written with an exponent.
func wholeOperand(base schema.BaseType, number string) operand {
	digits, fraction, _ := strings.Cut(number, ".")
	if !decimal(digits) || strings.Trim(fraction, "0123456789") != "" {
		v, _ := strconv.ParseFloat(number, 64)
		digits = strconv.FormatFloat(math.Trunc(v), 'f', -1, 64)
		fraction = "0"
		if v != math.Trunc(v) {
			fraction = "1"
		}
	}
	want := operand{between: strings.Trim(fraction, "0") != ""}
	negative := strings.HasPrefix(digits, "-")
	var err error
	if base.Signed() {
		var v int64
		v, err = strconv.ParseInt(digits, 10, 64)
		if negative && want.between { // the floor of -1.5 is -2
			if v == math.MinInt64 {
				return operand{outside: less}
			}
			v--
		}
		want.floor = uint64(v)
	} else if negative && (want.between || strings.Trim(digits, "-0") != "") {
		return operand{outside: less}
	} else {
		want.floor, err = strconv.ParseUint(strings.TrimPrefix(digits, "-"), 10, 64)
	}
	if err != nil {
		return operand{outside: sign(number)}
	}
	return want
}

// sign tells where a number lies that is out of all range.
func sign(number string) ordering {
	if strings.HasPrefix(number, "-") {
		return less
	}
	return greater
}

// match evaluates the test on verified data.
func (t *test) match(data []byte) bool {
	switch t.op {
	case not:
		return !t.left.match(data)
	case and:
		return t.left.match(data) && t.right.match(data)
	case or:
		return t.left.match(data) || t.right.match(data)
	}
	return t.reach(data, follow(data, 0), 0)
}

// reach tells whether some value, to which the steps from i on lead from the
// object at pos, passes.
func (t *test) reach(buf []byte, pos, i int) bool {
	s := &t.path[i]
	f := s.field
	at, present := s.in.find(buf, pos, f)
	if !present {
		return s.index == none && i+1 == len(t.path) && f.shown() && t.passes(f.absent)
	}
	switch {
	case f.kind == union:
		v := s.in.member(buf, pos, f)
		if v == nil || s.member != 0 && v.value != s.member {
			return false
		}
		return t.arrive(buf, at, i, &f.shape)
	case s.index == none:
		return t.arrive(buf, at, i, &f.shape)
	}
	first, count := f.elements(buf, at)
	if s.index != all {
		return s.index < count && t.arrive(buf, first+s.index*f.element.size, i, f.element)
	}
	for n := range count {
		if t.arrive(buf, first+n*f.element.size, i, f.element) {
			return true
		}
	}
	return false
}

// arrive goes on from the value of step i, whose inline part is at position at.
func (t *test) arrive(buf []byte, at, i int, s *shape) bool {
	if i+1 == len(t.path) {
		switch {
		case t.op == exists:
			return true
		case s.kind == text:
			return t.holds&order(strings.Compare(flat.String(contents(buf, at)), t.want.text)) != 0
		}
		return t.passes(load(s.base, buf, at))
	}
	switch s.kind {
	case structure:
		return t.reach(buf, at, i+1)
	case nested:
		inner := contents(buf, at)
		return t.reach(inner, follow(inner, 0), i+1)
	}
	return t.reach(buf, follow(buf, at), i+1)
}

// passes judges a scalar.
func (t *test) passes(bits uint64) bool {
	if t.op == exists {
		return true
	}
	return t.holds&t.want.order(t.base, bits) != 0
}

// order returns how a scalar compares with the operand.
func (want *operand) order(base schema.BaseType, bits uint64) ordering {
	if base.Real() {
		v := math.Float64frombits(bits)
		switch {
		case v < want.real:
			return less
		case v > want.real:
			return greater
		case v == want.real:
			return equal
		}
		return unordered
	}
	switch want.outside {
	case greater:
		return less
	case less:
		return greater
	}
	result := cmp.Compare(bits, want.floor)
	if base.Signed() {
		result = cmp.Compare(int64(bits), int64(want.floor))
	}
	if result == 0 && want.between {
		return less
	}
	return order(result)
}

func order(result int) ordering {
	switch {
	case result < 0:
		return less
	case result > 0:
		return greater
	}
	return equal
}
