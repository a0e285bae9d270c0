// Package verify decides whether bytes are a well-formed FlatBuffer of a given
// table before anything reads them.
//
// FlatBuffers' Go accessors trust their input: on bytes they did not expect
// they panic, hand out neighbouring memory, loop, or overflow the stack, which
// recover cannot catch. A [Plan], compiled once from a binary schema (.bfbs),
// walks a buffer without accessors and promises that after it accepted one
//
//   - every offset, vtable, table, string, vector and struct that the schema
//     knows lies inside the buffer, aligned to its size counted from the
//     buffer's first byte (which should itself be aligned to 8);
//   - every string is followed by a zero byte and is valid UTF-8, since other
//     languages' runtimes replace what is not, and would no longer show the
//     bytes that were stored;
//   - required fields are there, and a union's value is a table of its tag;
//   - no chain of tables is deeper than [MaxDepth], and walking everything the
//     buffer refers to, every element of every vector and shared parts once for
//     each reference, costs time proportional to its length.
//
// So no accessor panics, loops or reads outside it.
//
// Values are not judged: enums may hold numbers their schema does not name, and
// bools any byte.
//
// # Identifiers
//
// A file_identifier belongs to a file, and a schema has one, for its root_type.
// It is demanded where bytes are such a file: of a .bfbs, in [Open], and of a
// record, in package event. [Plan.WithIdentifier] does so for any schema that
// states one, in nested buffers of the root_type, too, for programs that know
// that theirs are finished with it.
//
// The other methods do not ask, since what this framework stores are events,
// commands, states and rows, of any table, and the record around them says of
// which. The generated constructors finish buffers without one, also of the table
// that happens to be the root_type, while flatc's JSON import and package dynamic
// write it there, though not into nested buffers. Both are stored under one
// fingerprint, whether one is there cannot be told from the bytes (what follows
// the root reference may be a vtable), and no accessor looks at it. To demand it
// of stored data would refuse what is right, and protect nobody.
//
// # Evolution
//
// Data of an older writer has shorter vtables: what is missing is absent.
// Deprecated fields are checked when present, because readers of an older
// schema still look at them. Data of a newer writer has vtable entries that
// the plan does not know. [Plan.Verify] steps over them, so accepting says
// nothing about what they refer to; [Plan.VerifyExact] refuses them, which is
// what a store wants that files the bytes under precisely this schema, to be
// read one day by code that does know those fields. A union tag of a newer
// schema is refused by both, as nothing is known about the value.
//
// # What is not supported
//
// Unions of strings or structs, vectors of unions, 64-bit offsets and
// alignments above 8 are refused when the plan is compiled: FlatBuffers' Go
// generator or the record's layout cannot hold them.
package verify
