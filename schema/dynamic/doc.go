// Package dynamic reads, shows, builds and filters FlatBuffers by their schema
// alone, without generated code: what tools need that look into any store.
//
// [Compile] prepares a binary schema, and a [Table] of it turns data into JSON
// or into text for people, builds data from JSON, and compiles expressions
// like "amount > 1000" into a [Filter]. A [Set] does so for whole records, by
// the schema whose fingerprint they name.
//
// Bytes may come from anybody: everything here verifies them first, except
// [Filter.MatchVerified], which says so. Time is linear in the length of the
// data, and of the text that comes out, which [MaxText] bounds: data may refer
// to one part many times, and a table of no bytes shows all its defaults.
//
// # JSON
//
// The form is close to that of flatc --strict-json --defaults-json. Fields come
// in the order of their ids, under the names of the schema. Deprecated fields,
// and what a newer schema added, are left out.
//
//   - A scalar that is absent is its default; an optional one, and an absent
//     string, vector, table or struct, is left out.
//   - Whole numbers are numbers up to 2^53-1 on either side of zero, and
//     decimal strings beyond, as everywhere in the protocol.
//   - Floats are the shortest text that reads back as the same value of their
//     width; "NaN", "Infinity" and "-Infinity" are strings.
//   - Enums are names, those of bit_flags separated by a space, "Red Blue".
//     A value without a name is a number.
//   - A bool is true when its byte is 1, as flatc's Go accessors read it.
//   - [ubyte] is standard base64 with padding. Other vectors, and arrays in
//     structs, are lists.
//   - A union is two members, as in flatc: "extra_type": "Note", "extra": {…}.
//   - A nested_flatbuffer is the object in it.
//   - Control characters, also those above 127, and characters that reorder
//     the text around them are escaped, so that no terminal obeys them.
//
// [Table.ParseJSON] takes this form back, strictly. It also takes [ubyte] as a
// list of numbers, enums as numbers, whole numbers spelled with a fraction or
// exponent (1.0, 1e3), any whole number of 64 bits as a decimal string, and null for a
// field that may be absent.
//
// # Filters
//
//	amount > 1000
//	owner == "ada" and not (closed or balance < 0)
//	lines[].sku == 'x-1' or lines[0].count >= 2
//	colour == Red, extra.Note.text == "hi", memo != null
//
// A path leads from field to field, into structs, tables and nested buffers;
// [] means every element of a vector, [2] the third; below a union comes the
// member's name. A comparison (== != < <= > >=) holds when some value that the
// path leads to satisfies it. Absent scalars count as their default; where there
// is no value, no comparison holds, != neither. Whether there is one is asked
// by == null and != null. Strings compare bytewise, enums by their numbers,
// floats at the width of the field, whole numbers exactly. A bool may stand
// alone.
//
// not binds closer than and, and closer than or; !, && and || mean the same. A
// first name that is one of these words goes between backquotes.
package dynamic
