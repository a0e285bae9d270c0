// Package flatc provides the FlatBuffers compiler at exactly the version that
// a Go module's build list selects for github.com/google/flatbuffers, so that
// generated code and runtime can not drift apart.
//
// The Go module zip of flatbuffers carries the compiler's C++ sources. [Find]
// lets the go command select, download and verify the module (go.sum applies as
// to any dependency), compiles those sources once with the system's C++
// compiler and keeps the program in the user's cache directory. Nothing is
// downloaded except through the go command, nothing is installed, and nothing
// in a module is written.
//
// Only whoever changes a schema needs it: generated Go is meant to be committed.
//
// The program is upstream's compiler less the generators that Verbatim has no
// use for. What is left (Go, binary schemas, JSON) writes the same bytes as the
// complete program.
package flatc
