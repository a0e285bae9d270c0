// Package flat is what generated code calls at run time: pooled FlatBuffers
// builders, in-place strings, and the handshake that keeps stale generated
// code from compiling.
//
// It knows no schema and checks nothing. Reading is safe only for bytes that
// [github.com/verbatim-es/verbatim/schema/verify] accepted, or that were built
// in this process: FlatBuffers accessors trust their input.
package flat
