package schema

import (
	"crypto/sha256"

	"github.com/verbatim-es/verbatim/schema/verify"
)

// Schema is the model of one .bfbs. It is immutable: everything reachable from
// it is shared, and safe to read from any number of goroutines.
type Schema struct {
	// Fingerprint is the first 8 bytes, big endian, of a sha-256 over all that
	// BFBS says but its comments: neither they nor how flatc laid the bytes out
	// make another schema. docs/FORMAT.md has what is hashed.
	Fingerprint uint64
	// BFBS are the bytes the schema was parsed from, a copy, with their
	// comments.
	BFBS []byte
	// File is the .fbs file compiled, relative to flatc's root and without the
	// leading slashes; "" when the .bfbs does not name files.
	File string
	// Tables are those declared in File, sorted by Name: those of included
	// files, namespace es among them, are left out. When the .bfbs does not
	// name files, all tables but those of namespace es.
	Tables []*Table
	// Included are the tables of included files, namespace es excepted, which
	// those of File may hold. Whatever their attributes say, here they are only
	// parts: the schema of their own file declares them.
	Included []*Table
	// Structs and Enums are all that the fields of Tables may refer to, those
	// of included files too, sorted by Name.
	Structs []*Struct
	Enums   []*Enum

	digest [sha256.Size]byte // what Fingerprint shortens
	tables map[string]*Table
	plans  map[string]*verify.Plan
}

// Table returns the table of that full name in Tables.
func (s *Schema) Table(name string) (*Table, bool) {
	t, ok := s.tables[name]
	return t, ok
}

// Equal reports whether two schemas say the same, comments excepted. It is what
// an equal Fingerprint nearly always means.
func (s *Schema) Equal(other *Schema) bool { return s.digest == other.digest }

// Role is what the framework uses a table for, from its attributes.
type Role uint8

// RoleNone is a plain part of other tables; the others carry the attribute of
// the same name.
const (
	RoleNone      Role = iota
	RoleAggregate      // the state of an aggregate
	RoleEvent
	RoleCommand
	RoleView // a row of a view
)

// String returns the attribute's spelling, "" for RoleNone.
func (r Role) String() string {
	return [...]string{"", "aggregate", "event", "command", "view"}[r]
}

// Table is a table of a schema.
type Table struct {
	// Name is the full name, "bank.account.Deposited"; an event's type.
	Name string
	// Namespace is Name up to its last dot, "" in the global namespace.
	Namespace string
	// Wire is the name in topics and procedures, in lower snake case with the
	// dots kept: "bank.account.deposited". From Name, or the name attribute.
	Wire string
	// File is the .fbs file the table is declared in, like Schema.File.
	File string
	Role Role
	// Aggregate is the stream category of an aggregate, and of the aggregate
	// that an event or command belongs to. "" for others.
	Aggregate string
	// State is the full name of the aggregate's table, for an aggregate, an
	// event or a command. "" for others.
	State string
	// View is a view's name and Version its projector's version, "1" when the
	// schema gives none. "" for others.
	View, Version string
	// Fields are in the order of their ids, deprecated ones left out.
	Fields []*Field
	// Key is a view's primary key, nil for others.
	Key *Field
	// Indexes are a view's secondary indexes: those of single fields in the
	// order of their ids, then composite ones as written.
	Indexes []Index
	// Doc are the lines of the doc comment, without the slashes and the space
	// that follows them.
	Doc []string

	tagged []*Field // those with a Tag
}

// Field is a field of a table.
type Field struct {
	Name string
	ID   uint16
	// Offset is the place of the field's entry in a vtable, 4 + 2*ID.
	Offset uint16
	Type   Type
	// Required fields are never absent, Optional scalars have no default.
	Required, Optional bool
	// DefaultInt and DefaultReal are what an absent scalar reads as. In place of
	// a default of 2^63 and more, flatc writes 0 into a binary schema, which
	// can't be told from it there: es generate refuses such a .fbs.
	DefaultInt  int64
	DefaultReal float64
	// Tag is the key of the tag derived from the field, "" for none.
	Tag string
	// Key marks a view's primary key.
	Key bool
	// Personal marks personal data (attribute pii).
	Personal bool
	Doc      []string
}

// Index is a secondary index of a view.
type Index struct {
	// Name is the field's name, for a composite their names joined by "_".
	Name   string
	Fields []*Field
	// Unique refuses a second row of the same value.
	Unique bool
}

// Struct is a struct of a schema: fixed size, held inline, all fields present.
type Struct struct {
	Name   string
	File   string
	Fields []*Field // Offset is the place in the struct, ID the order
	Size   int
	Align  int // at most 8
	Doc    []string
}

// Enum is an enum or a union of a schema.
type Enum struct {
	Name   string
	File   string
	Base   BaseType // of the values; UType for a union
	Union  bool
	Values []EnumValue // in the order of their values
	Doc    []string
}

// EnumValue is one name of an enum, or one member of a union.
type EnumValue struct {
	Name   string
	Value  int64
	Object string // a union member's table; "" for NONE and in enums
	Doc    []string
}
