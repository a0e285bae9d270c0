// Package event is the vocabulary of Verbatim: events and the records they are
// stored as, appends and their conditions, selections, pages, and the small
// interfaces through which everything else sees a log.
//
//	receipt, err := log.Append(ctx, event.Append{
//		Stream:     "account-42",
//		Events:     []event.Proposed{account.NewOpened("ada")}, // from generated code
//		Conditions: []event.Condition{event.StreamAbsent{Stream: "account-42"}},
//		Key:        "open-42", // the same append under it happens once
//	})
//	for e, err := range event.Read(ctx, log, event.Selection{Category: "account"}) { … }
//	for e, err := range event.Subscribe(ctx, log, event.Selection{After: receipt.Last}, event.SubscribeOptions{}) { … }
//
// A position is an event's place in the log, a version its place in its stream.
// Both count from 1 without gaps, and 0 is before the first. A stream's name is
// its category, a '-', and an id.
//
// An event is encoded once. The bytes of its record are what the log stores,
// what projections read, what a subscriber receives and what a replay sends.
// [Event] reads those bytes in place: no accessor copies, and whatever a method
// returns is valid as long as the record it came from: for ever, but in a
// snapshot of [github.com/verbatim-es/verbatim/eventstore.Store.View], which
// says so.
//
// The package needs no cgo. A local store (package eventstore), a store in
// memory (package memstore) and a remote one (package wampbus/client) all
// implement [Log], and all pass the contract suite in package eventstoretest.
// Their errors are the types of this package; docs/OPERATIONS.md has what to do
// about each.
package event
