package compat

// Rule is the name of a rule. Names are stable: they may be searched for, and
// listed in exceptions.
type Rule string

// The rules of FlatBuffers. The package's documentation says which direction
// each breaks, and why.
const (
	FieldDeleted      Rule = "field-deleted"
	FieldRenamed      Rule = "field-renamed"
	FieldRenumbered   Rule = "field-renumbered"
	FieldRetyped      Rule = "field-retyped"
	FieldUndeprecated Rule = "field-undeprecated"
	DefaultChanged    Rule = "default-changed"
	OptionalChanged   Rule = "optional-changed"
	RequiredAdded     Rule = "required-added"
	RequiredDropped   Rule = "required-dropped"
	KeyAdded          Rule = "key-added"
	KeyDropped        Rule = "key-dropped"
	NestedChanged     Rule = "nested-changed"
	AlignmentChanged  Rule = "alignment-changed"
	StructChanged     Rule = "struct-changed"
	KindChanged       Rule = "kind-changed"
	EnumBaseChanged   Rule = "enum-base-changed"
	ValueRemoved      Rule = "enum-value-removed"
	ValueRenumbered   Rule = "enum-value-renumbered"
	ValueRenamed      Rule = "enum-value-renamed"
	MemberAdded       Rule = "union-member-added"
	MemberRemoved     Rule = "union-member-removed"
	MemberRenumbered  Rule = "union-member-renumbered"
	MemberRenamed     Rule = "union-member-renamed"
	MemberRetyped     Rule = "union-member-retyped"
	TableRemoved      Rule = "table-removed"
	RootChanged       Rule = "root-changed"
	IdentifierChanged Rule = "identifier-changed"
)

// The rules of the attributes that es.fbs declares.
const (
	RoleChanged     Rule = "role-changed"
	AggregateMoved  Rule = "aggregate-moved"
	CategoryChanged Rule = "category-changed"
	WireChanged     Rule = "wire-changed"
	TagChanged      Rule = "tag-changed"
	ViewRenamed     Rule = "view-renamed"
	ViewKeyChanged  Rule = "view-key-changed"
	IndexChanged    Rule = "index-changed"
	ViewLayout      Rule = "view-layout"
)

// Rules returns all rules.
func Rules() []Rule {
	return []Rule{
		FieldDeleted,
		FieldRenamed,
		FieldRenumbered,
		FieldRetyped,
		FieldUndeprecated,
		DefaultChanged,
		OptionalChanged,
		RequiredAdded,
		RequiredDropped,
		KeyAdded,
		KeyDropped,
		NestedChanged,
		AlignmentChanged,
		StructChanged,
		KindChanged,
		EnumBaseChanged,
		ValueRemoved,
		ValueRenumbered,
		ValueRenamed,
		MemberAdded,
		MemberRemoved,
		MemberRenumbered,
		MemberRenamed,
		MemberRetyped,
		TableRemoved,
		RootChanged,
		IdentifierChanged,
		RoleChanged,
		AggregateMoved,
		CategoryChanged,
		WireChanged,
		TagChanged,
		ViewRenamed,
		ViewKeyChanged,
		IndexChanged,
		ViewLayout,
	}
}
