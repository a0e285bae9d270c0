// Package snapshot keeps snapshots of aggregates in an LMDB environment of its
// own, for [aggregate.Options.Snapshots]:
//
//	snapshots, err := snapshot.Open("data/snapshots", snapshot.Options{})
//	accounts := account.NewHandler(store, teller{}, aggregate.Options{Snapshots: snapshots})
//
// It holds nothing that can't be had from the log: its directory may be deleted
// whenever the store is closed. The newest snapshot of each stream is kept, the
// ones written longest ago make room when there are too many, and one that is
// damaged counts as none. What is saved is written in the background, so that a
// command never waits for this disk; what was not written when the process ends
// is lost.
package snapshot
