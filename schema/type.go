package schema

import "strconv"

// BaseType is the shape of a value in a buffer. The numbers are those of
// reflection.BaseType in FlatBuffers' reflection.fbs, which never change.
type BaseType int8

const (
	None   BaseType = 0
	UType  BaseType = 1 // the tag of a union, a ubyte
	Bool   BaseType = 2
	Byte   BaseType = 3
	UByte  BaseType = 4
	Short  BaseType = 5
	UShort BaseType = 6
	Int    BaseType = 7
	UInt   BaseType = 8
	Long   BaseType = 9
	ULong  BaseType = 10
	Float  BaseType = 11
	Double BaseType = 12
	String BaseType = 13
	Vector BaseType = 14
	Obj    BaseType = 15 // a table or a struct
	Union  BaseType = 16
	Array  BaseType = 17 // of fixed length, in structs only
)

var baseNames = [...]string{
	None: "none", UType: "utype", Bool: "bool", Byte: "byte", UByte: "ubyte",
	Short: "short", UShort: "ushort", Int: "int", UInt: "uint", Long: "long",
	ULong: "ulong", Float: "float", Double: "double", String: "string",
	Vector: "vector", Obj: "object", Union: "union", Array: "array",
}

// String returns the name that .fbs files use.
func (b BaseType) String() string {
	if b >= 0 && int(b) < len(baseNames) {
		return baseNames[b]
	}
	return "BaseType(" + strconv.Itoa(int(b)) + ")"
}

// Scalar tells whether a value is a number or a bool, held inline.
func (b BaseType) Scalar() bool { return b >= UType && b <= Double }

// Integer tells whether a value is a whole number; a bool is not.
func (b BaseType) Integer() bool { return b >= UType && b <= ULong && b != Bool }

// Signed tells whether a value is a whole number that may be negative.
func (b BaseType) Signed() bool {
	return b == Byte || b == Short || b == Int || b == Long
}

// Real tells whether a value is a floating-point number.
func (b BaseType) Real() bool { return b == Float || b == Double }

// Type is the type of a field.
type Type struct {
	// Base is the field's own shape.
	Base BaseType
	// Element is the shape of a Vector's or Array's elements, else None.
	Element BaseType
	// Enum is the full name of the enum a number (or a vector's number) is
	// declared as, or of the union a Union or UType belongs to; "" when none.
	Enum string
	// Object is the full name of the table or struct when Base or Element is
	// Obj, else "".
	Object string
	// Struct tells that Object is a struct, held inline.
	Struct bool
	// Length is the number of elements of an Array, else 0.
	Length int
}
