package flat

import "unsafe"

// String returns the bytes of b as a string without copying them. It is valid,
// and constant, for as long as b's memory is neither written nor unmapped:
// strings.Clone keeps one for longer. A nil or empty b gives "".
func String(b []byte) string {
	// unsafe.String needs a pointer to len(b) readable bytes that are not
	// modified while the string lives. SliceData gives exactly those bytes
	// (unspecified but never dereferenced when len is 0), the string keeps Go
	// memory alive like the slice would, and buffers are immutable once
	// finished: a record is patched before it is handed to any reader, and
	// memory that is mapped rather than collected has a documented end.
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// Bytes returns b with its capacity cut to its length, so that an append by
// the receiver copies instead of writing over the neighbours of a vector in
// its buffer, and reslicing cannot reach them. nil stays nil.
func Bytes(b []byte) []byte {
	return b[:len(b):len(b)]
}
