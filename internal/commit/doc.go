// Package commit turns appends into batches: what a store does between the
// caller and the disk, without any input or output.
//
// [Propose] runs in the caller's goroutine: it validates, verifies data against
// its schema, derives tags and builds the records. [Decide] runs in the store's
// one committer: it takes proposals in order, checks keys and conditions,
// assigns positions, versions and ids, and seals the records. It is a pure
// function of its arguments; what it decides becomes true when the store has
// made the batch durable, and not before.
//
// The local store and the store in memory share it. It needs no cgo.
package commit
