package aggregatetest_test

import (
	"fmt"
	"testing"

	"github.com/verbatim-es/verbatim/aggregatetest"
	"github.com/verbatim-es/verbatim/examples/bank"
	"github.com/verbatim-es/verbatim/examples/bank/account"
)

func ExampleGiven() {
	_ = func(t *testing.T) { // a test
		aggregatetest.Given(t, account.Define(bank.Teller{}), account.NewOpened("ada")).
			When(account.DebitCommand(account.DebitFields{Amount: 5})).
			Rejected("insufficient_funds").
			When(account.CreditCommand(account.CreditFields{Amount: 5})).
			Then(account.NewCredited(account.CreditedFields{Amount: 5})).
			State(account.Account{Owner: "ada", Balance: 5})
	}
}

// What other aggregates went through is given too, and expected of them.
func ExampleIn() {
	_ = func(t *testing.T) { // a test
		aggregatetest.Given(t, account.Define(bank.Teller{}),
			account.NewOpened("ada"),
			account.NewCredited(account.CreditedFields{Amount: 7}),
			aggregatetest.In("account-2", account.NewOpened("bob"))).
			When(account.TransferCommand("2", account.TransferFields{Amount: 3})).
			Then(account.NewSent("2", account.SentFields{Amount: 3}),
				aggregatetest.In("account-2", account.NewReceived(aggregatetest.ID, account.ReceivedFields{Amount: 3})))
	}
}

// reporter prints what a test would report.
type reporter struct{ testing.TB }

func (reporter) Helper()                           {}
func (reporter) Errorf(format string, args ...any) { fmt.Printf(format+"\n", args...) }

// A test that fails shows what differs, field by field.
func ExampleOutcome_Then() {
	aggregatetest.Given(reporter{}, account.Define(bank.Teller{}), account.NewOpened("ada")).
		When(account.CreditCommand(account.CreditFields{Amount: 5})).
		Then(account.NewCredited(account.CreditedFields{Amount: 6}))
	// Output:
	// when bank.account.Credit
	//   amount  5
	// the events differ (- want, + got):
	//   account-1  bank.account.Credited
	// -   amount  6
	// +   amount  5
}

// A rejection is known by its code; nothing must have been decided.
func ExampleOutcome_Rejected() {
	aggregatetest.Given(reporter{}, account.Define(bank.Teller{})).
		When(account.CreditCommand(account.CreditFields{Amount: 5})).
		Rejected("not_open")
	// Output:
}

// The state is what the events given and decided make of it.
func ExampleOutcome_State() {
	aggregatetest.Given(reporter{}, account.Define(bank.Teller{}), account.NewOpened("ada")).
		When(account.CreditCommand(account.CreditFields{Amount: 5})).
		State(account.Account{Owner: "ada", Balance: 6})
	// Output:
	// when bank.account.Credit
	//   amount  5
	// the state differs (- want, + got):
	//     owner    "ada"
	// -   balance  6
	// +   balance  5
	//     closed   false
}

// Several commands are decided as by HandleAll: all of them, or none.
func ExampleScenario_When() {
	aggregatetest.Given(reporter{}, account.Define(bank.Teller{})).
		When(account.OpenCommand("ada"), account.CreditCommand(account.CreditFields{Amount: 5})).
		Then(account.NewOpened("ada"), account.NewCredited(account.CreditedFields{Amount: 5}))
	// Output:
}
