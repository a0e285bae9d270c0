// Package compat decides whether a new version of a schema may replace older
// ones: [Check] and [CheckHistory] compare compiled schemas (.bfbs) and return
// all changes that break something, each with the rule that it violates.
//
// flatc has such a check, --conform. It stops at the first finding and lets
// most breaks through: the tests of this package show which.
//
//	findings, err := compat.Check(old, new, compat.FullTransitive)
//	for _, f := range findings { … } // what breaks, why, and what to do instead
//
// # What backward and forward mean
//
// Data is written by code of one version of a schema, verified against
// precisely that version, stored as it is, and read by code of another version.
// A reading is right when the reader's verifier takes the data, the reader
// finds it where it looks (type, stream, tag, topic, procedure, index), and
// every field that both versions know has for the reader the value that the
// writer gave it, an absent field its default included.
//
// A change keeps [Backward] when code of the new version reads all data of the
// old one rightly. It keeps [Forward] when code of the old version reads all
// data of the new one rightly. Two things are not breaks: fields that one of
// the versions declares deprecated, whose values were given up on purpose, and
// types that the reader has never heard of, since it does not ask for them.
//
// A log keeps data of all versions, and during a rollout, a rollback, and with
// remote clients, code of old versions meets data of new ones. So events need
// [FullTransitive], the zero [Mode].
//
// # What may always change
//
//   - Append a field that is not required, with the next id; give it a tag, if
//     it is not a scalar with a default.
//   - Deprecate a field that is not required, rename it then, and give its tag
//     to the field that takes its place.
//   - Add tables, events, commands, views, structs, enums, unions.
//   - Add values to an enum, wherever the numbers of the others stay: an enum
//     is a number in data and in code, and any number is read as it is.
//   - Everything about the fields of an aggregate's state, which is folded anew
//     from events, and its table's name, while the category stays.
//   - Everything about a view, when the value of its attribute version changes
//     or the view goes away; a new version is built anew.
//   - Tables, structs and enums that only such states and views use.
//   - Comments, the order of declarations, services, the file extension, the
//     attribute pii, and attributes that are neither FlatBuffers' nor ours.
//
// # Rules of FlatBuffers
//
// B and F are the directions that a change breaks.
//
//	field-deleted           B   its id is free for a new field, which would read old data as its own
//	                        F   when it was required: new data lacks it
//	field-renamed           B F nothing tells a rename from another meaning of the id; names are in JSON, queries, indexes
//	field-renumbered        B F a reader looks for it where the writer has another field, or nothing
//	field-retyped           B   old bytes are taken for another type, or refused; also while deprecated, as it is verified
//	                        F   unless new code can no longer write it. Enums and tables of another name are other types
//	field-undeprecated      B   values that were given up reappear from data of before the deprecation
//	default-changed         B F a value equal to the writer's default is absent, and reads as the reader's
//	optional-changed        B F the same with null: absent is null on one side and a number on the other
//	required-added          B   old data may lack it; the new verifier refuses that
//	required-dropped        F   new data may lack it; the old verifier refuses that. Also when deprecated
//	key-added               B   lookups search old vectors as if they were sorted
//	key-dropped             F   old lookups search new vectors as if they were sorted
//	nested-changed          B   when a nested buffer is declared, or of another table: old data may hold anything
//	                        F   when it is no longer declared, or of another table: new data may hold anything
//	alignment-changed       B   when force_align of a vector grows: old data is aligned to less
//	                        F   when it shrinks: new data is
//	struct-changed          B F a struct has no vtable: every byte has its meaning, the size included
//	kind-changed            B F one name is a table, a struct, an enum, a union, which are held differently
//	enum-base-changed       B F the number has another size or range
//	enum-value-removed      B   old data may hold the number, which new code may give to something else
//	enum-value-renumbered   B F a reader takes the number for another value
//	enum-value-renamed      B F nothing tells a rename from another meaning of the number
//	union-member-added      F   the old verifier refuses a tag that it does not know: it cannot check the value
//	union-member-removed    B   the new verifier does
//	union-member-renumbered B F a reader takes the value for another table
//	union-member-renamed    B F as of an enum
//	union-member-retyped    B F as renumbered
//	table-removed           B   events and commands are filed and sent under the table's name, whatever their wire name;
//	                            of an aggregate: no table has its category; of other tables: buffers that users keep
//	root-changed            B F buffers that do not say what they are are read as another table
//	identifier-changed      B   when there is a new one: old data does not have it
//	                        F   when there was one: new data does not have it
//
// # Rules of our attributes
//
//	role-changed            B F what was an event, a command or a state is something else under the same name
//	aggregate-moved         B F an event or command belongs to other streams and procedures
//	category-changed        B F all streams of the aggregate have another name
//	wire-changed            B F topics and procedures have another name, so one side talks where the other does not listen
//	tag-changed             B   a tag is new or has a new key: stored events do not carry it, and are missed by queries
//	                        F   a tag is gone or has a new key: old code's queries and conditions miss new events
//	view-renamed            B F stored rows and procedures have another name          (these four
//	view-key-changed        B F stored rows are found by the old key                  only while a
//	index-changed           B F stored entries are those of the old indexes           view keeps
//	view-layout             B F stored rows lack a new field, or have a deprecated one its version)
//
// # Limits
//
// A .bfbs does not hold the default of a string or vector, so that a change of
// one is not seen; FlatBuffers' Go generator refuses such defaults. Builtin
// attributes (nested_flatbuffer, force_align) are seen when flatc had
// --bfbs-builtins, as es generate has.
//
// What counts is what one .fbs file declares, with all that it includes. A
// table with a role that moved to an included file is removed from this one,
// and the roles of included files are compared when those files are.
package compat
