package projection

import (
	"math"
	"strconv"
)

// Kind is what a column holds, and with it the order of its values in keys.
// Enums are their underlying integers.
type Kind uint8

// The numbers are the tag bytes of keys on disk: see docs/FORMAT.md.
const (
	// Absent is no value: an optional scalar or a string that was never set.
	// It sorts before every value.
	Absent Kind = iota
	// Bool sorts false before true.
	Bool
	// Int is a signed integer of any width.
	Int
	// Uint is an unsigned integer of any width.
	Uint
	// Float is a floating-point number of either width. -0 is 0, and NaN,
	// which is one value here, sorts behind everything.
	Float
	// String sorts by its bytes, which for UTF-8 is the order of code points.
	String
)

// String returns the kind's name in lower case.
func (k Kind) String() string {
	switch k {
	case Absent:
		return "absent"
	case Bool:
		return "bool"
	case Int:
		return "int"
	case Uint:
		return "uint"
	case Float:
		return "float"
	case String:
		return "string"
	}
	return "Kind(" + strconv.Itoa(int(k)) + ")"
}

// Value is the value of one column, in a primary key or an index. It is a small
// value, built without allocating; its zero value is [Absent].
type Value struct {
	kind Kind
	bits uint64
	text string
}

// BoolValue returns the value of a bool column.
func BoolValue(b bool) Value {
	if b {
		return Value{kind: Bool, bits: 1}
	}
	return Value{kind: Bool}
}

// IntValue returns the value of a column of any signed width.
func IntValue(i int64) Value { return Value{kind: Int, bits: uint64(i)} }

// UintValue returns the value of a column of any unsigned width.
func UintValue(u uint64) Value { return Value{kind: Uint, bits: u} }

// FloatValue returns the value of a float or double column. -0 becomes 0 and
// every NaN the same one.
func FloatValue(f float64) Value {
	switch {
	case f == 0:
		f = 0 // -0 compares equal, and is another bit pattern
	case f != f:
		f = math.NaN()
	}
	return Value{kind: Float, bits: math.Float64bits(f)}
}

// StringValue returns the value of a string column. It aliases s.
func StringValue(s string) Value { return Value{kind: String, text: s} }

// Kind returns what the value is.
func (v Value) Kind() Kind { return v.kind }

// Bool returns the value of kind [Bool], false for others.
func (v Value) Bool() bool { return v.kind == Bool && v.bits != 0 }

// Int returns the value of kind [Int], 0 for others.
func (v Value) Int() int64 {
	if v.kind != Int {
		return 0
	}
	return int64(v.bits)
}

// Uint returns the value of kind [Uint], 0 for others.
func (v Value) Uint() uint64 {
	if v.kind != Uint {
		return 0
	}
	return v.bits
}

// Float returns the value of kind [Float], 0 for others.
func (v Value) Float() float64 {
	if v.kind != Float {
		return 0
	}
	return math.Float64frombits(v.bits)
}

// Text returns the value of kind [String], "" for others.
func (v Value) Text() string { return v.text }

// String renders the value for messages: strings quoted, the others as Go
// writes them, and "absent".
func (v Value) String() string {
	switch v.kind {
	case Bool:
		return strconv.FormatBool(v.Bool())
	case Int:
		return strconv.FormatInt(v.Int(), 10)
	case Uint:
		return strconv.FormatUint(v.Uint(), 10)
	case Float:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	case String:
		return strconv.Quote(v.text)
	}
	return v.kind.String()
}
