package aggregatetest_test

import (
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
