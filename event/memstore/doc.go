// Package memstore is an event log in memory, for tests and examples: simple
// and obviously right rather than fast. It keeps nothing when the process ends,
// needs no cgo, and passes the same contract suite as the local store.
package memstore
