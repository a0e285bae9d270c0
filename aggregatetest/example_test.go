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
