// Package aggregatetest tests deciders: given events, when commands, then events,
// a rejection, or a state.
//
//	aggregatetest.Given(t, account.Define(bank.Teller{}), account.NewOpened("ada")).
//		When(account.CreditCommand(account.CreditFields{Amount: 5})).
//		Then(account.NewCredited(account.CreditedFields{Amount: 5})).
//		State(account.Account{Owner: "ada", Balance: 5})
//
// The commands go the whole way through a handler and a log in memory, so that
// other aggregates and queries work as they do elsewhere; there is no disk, and
// no goroutine but the test's. What differs is shown field by field, as the
// schema names it. A decider that changes the state it is shown fails the test.
package aggregatetest
