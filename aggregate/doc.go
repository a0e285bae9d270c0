// Package aggregate turns commands into events.
//
//	accounts := account.NewHandler(store, teller{}, aggregate.Options{}) // teller is an account.Decider
//	receipt, err := accounts.Credit(ctx, "42", account.CreditFields{Amount: 100}, aggregate.Key("pay-7"))
//	var no *aggregate.RejectedError
//	if errors.As(err, &no) { … } // the decider's own refusal, with its code
//
// A [Handler] has an aggregate's state, folded from its stream, lets the user's
// decider decide, and appends what was decided on the condition that everything
// the decision looked at is still as it was: the streams of its aggregates, and
// the queries it made ([Decision.Query]). When another writer was faster it reads
// what is missing and decides again, a bounded number of times: a decision must
// be a pure function of state and command.
//
// States are kept between commands, and over restarts as [Snapshots]. Both only
// spare reading. The append's condition judges what was decided on them, and a
// refusal, which has no append, is given only on what was read for it. A state
// that is kept never changes: the decider gets a copy, and the events that it
// decides are folded into another one before they are appended.
//
// Users do not call this package much: es generate writes a typed handler, a
// typed decision and a Decider interface for every aggregate of a schema, on
// top of it. docs/AGGREGATES.md goes through all of it. The package needs no cgo
// and works on any [event.Log], local or remote.
package aggregate
