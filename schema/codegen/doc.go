// Package codegen turns .fbs files into the typed Go that programs are written
// against: events, commands, state and views of one namespace, on top of
// flatc's low-level output.
//
// For a schema of namespace bank.account, [Generate] makes three packages:
//
//	account               events, commands, state, decider, handler; no cgo
//	account/accountview   view rows, projectors, lookups; only if there are views
//	account/internal/fb   flatc's own output, out of users' reach, without mutators
//
// and beside the binary schema that the first embeds, account/account.bfbs, the
// same once more under its fingerprint in account/history: there all versions
// stay, see [Breaking].
//
// A union becomes a sealed interface that its members' structs for writing
// implement, and one accessor a member for reading; bytes that are a
// nested_flatbuffer are written and read as the table that they hold. Where a
// namespace has several aggregates, Decision, Decider, Handler and Category begin
// with the name of the state that they are for. What is used of an included
// file, of whatever namespace, becomes a type of the package that uses it.
//
// A state is a plain struct, too. It is packed as the FlatBuffer of its table for
// snapshots, and copied for every decision, so that nothing a decider does to it
// lasts.
//
// Where a union is required, writing panics when it is nil: the types have
// nothing else to say so with. Writing takes no memory but the result's, and for
// vectors of more than 16 strings or tables what their places are noted in.
//
// [GenerateClients] hands the schemas to flatc for other languages, and
// [Breaking] compares them with what is committed.
//
// The output depends on the schema's text, the flatc version and the generator
// alone: not on time, paths, locale or environment. What the generator can't
// do, or what would not compile, it refuses before it writes anything, with all
// [Problems] at once and the line each is on.
package codegen
