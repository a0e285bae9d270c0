package bank_test

import (
	"math"
	"testing"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/aggregatetest"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/bank"
	"github.com/verbatim-es/verbatim/examples/bank/account"
)

func given(t *testing.T, events ...event.Proposed) *aggregatetest.Scenario[account.Account] {
	t.Helper()
	return aggregatetest.Given(t, account.Define(bank.Teller{}), events...)
}

func credit(amount int64) aggregate.Command {
	return account.CreditCommand(account.CreditFields{Amount: amount})
}

func credited(amount int64) event.Proposed {
	return account.NewCredited(account.CreditedFields{Amount: amount})
}

func TestOpening(t *testing.T) {
	t.Parallel()
	given(t).
		When(account.OpenCommand("")).
		Rejected("no_owner").
		When(account.OpenCommand("ada")).
		Then(account.NewOpened("ada")).
		State(account.Account{Owner: "ada"}).
		When(account.OpenCommand("bob")).
		Rejected("already_open")
}

func TestMoneyInAndOut(t *testing.T) {
	t.Parallel()
	given(t).
		When(credit(1)).
		Rejected("not_open")
	given(t, account.NewOpened("ada"), credited(10)).
		When(credit(0)).
		Rejected("bad_amount").
		When(credit(math.MaxInt64)).
		Rejected("too_much").
		When(account.DebitCommand(account.DebitFields{Amount: 11})).
		Rejected("insufficient_funds").
		When(account.DebitCommand(account.DebitFields{Amount: 10})).
		Then(account.NewDebited(account.DebitedFields{Amount: 10})).
		State(account.Account{Owner: "ada"})
}

func TestTransfer(t *testing.T) {
	t.Parallel()
	transfer := func(to string) aggregate.Command {
		return account.TransferCommand(to, account.TransferFields{Amount: 4})
	}
	given(t, account.NewOpened("ada"), credited(10), aggregatetest.In("account-2", account.NewOpened("bob"))).
		When(transfer(aggregatetest.ID)).
		Rejected("same_account").
		When(transfer("3")).
		Rejected("not_open").
		When(transfer("2")).
		Then(account.NewSent("2", account.SentFields{Amount: 4}),
			aggregatetest.In("account-2", account.NewReceived(aggregatetest.ID, account.ReceivedFields{Amount: 4}))).
		State(account.Account{Owner: "ada", Balance: 6})
}

func TestClosing(t *testing.T) {
	t.Parallel()
	given(t, account.NewOpened("ada"), credited(1)).
		When(account.CloseCommand()).
		Rejected("not_empty")
	given(t, account.NewOpened("ada")).
		When(account.CloseCommand()).
		Then(account.NewClosed()).
		State(account.Account{Owner: "ada", Closed: true}).
		When(account.CloseCommand()).
		Rejected("not_open")
}
