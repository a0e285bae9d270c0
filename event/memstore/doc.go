// Package memstore is an event log in memory, for tests and examples: simple
// and obviously right rather than fast. It keeps nothing when the process ends,
// needs no cgo, and passes the same contract suite as the local store.
//
//	log, err := memstore.New(account.Schema)
//	accounts := account.NewHandler(log, teller{}, aggregate.Options{})
package memstore
