// Package event is the vocabulary of Verbatim: events and the records they are
// stored as, appends and their conditions, selections, pages, and the small
// interfaces through which everything else sees a log.
//
// An event is encoded once. The bytes of its record are what the log stores,
// what projections read, what a subscriber receives and what a replay sends.
// [Event] reads those bytes in place: no accessor copies, and whatever a method
// returns is valid as long as the record it came from.
//
// The package needs no cgo. A local store (package eventstore), a store in
// memory (package memstore) and a remote one (package wampbus/client) all
// implement [Log], and all pass the contract suite in package eventstoretest.
package event
