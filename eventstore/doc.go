// Package eventstore is the local store: a directory with a log of events in
// LMDB, a journal before it and an index behind it.
//
//	store, err := eventstore.Open("data", eventstore.Options{Schemas: account.Schema})
//	defer store.Close()
//	receipt, err := store.Append(ctx, event.Append{Stream: "account-42", Events: []event.Proposed{account.NewOpened("ada")}})
//	for e, err := range store.Read(ctx, event.Selection{Stream: "account-42"}) { … }
//	for e, err := range store.Subscribe(ctx, event.Selection{After: receipt.Last}, event.SubscribeOptions{}) { … }
//
// An append is durable when [Store.Append] returns: the appends of all callers
// that came together are one frame of the journal, written and synced with one
// barrier. Nothing is visible to anybody before. Positions and versions are
// dense and ids strictly increase, in an order that every reader sees.
//
// The log is the truth. It follows the journal by a few hundred milliseconds,
// and when the store is opened after a crash it takes up what the journal still
// holds; a store that was closed has an empty journal. The index (streams,
// categories, types, tags, keys) is a projection of the log in an environment
// of its own, which follows by checkpoint and is rebuilt from the log whenever
// the two do not fit together. What the two have not taken up yet is in the
// tail, in memory, so that reads always see everything that was acknowledged.
//
// [Store.Read] copies what it reads, in short transactions, and what it yields may
// be kept. [Store.View] copies nothing: its events are those of the map, and end
// with it.
//
// A record that fails its checksum, or is not what the index said it was, is
// never handed out, and what the index lacks in between is noticed: the read
// fails with an [*event.CorruptError].
//
// One process writes to a directory, with as many goroutines as it likes; any
// number may read beside it ([Options].ReadOnly). docs/OPERATIONS.md says how to
// run a store, and what to do about each error. The package needs cgo.
package eventstore
