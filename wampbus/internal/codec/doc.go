// Package codec turns WAMP messages into bytes and back, for the bus and for
// its Go client: MessagePack, CBOR and JSON.
//
// It exists because bytes from outside must not reach the router unchecked.
// Decoding is strict: a message has the shape that the WAMP specification gives
// it, strings are valid UTF-8, nesting and the number of elements are bounded,
// and every binary, however the format spells it, arrives as []byte. Nothing
// here panics on any input.
package codec
