package aggregate_test

import (
	"context"
	"fmt"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/examples/bank"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	campus "github.com/verbatim-es/verbatim/examples/course"
	"github.com/verbatim-es/verbatim/examples/course/course"
)

// exampleBank is a bank in memory with ada's account 42, and 10 on it.
func exampleBank() (*memstore.Store, *account.Handler) {
	log, err := memstore.New(account.Schema)
	if err != nil {
		panic(err)
	}
	accounts := account.NewHandler(log, bank.Teller{}, aggregate.Options{})
	_, err = accounts.HandleAll(context.Background(), "42", []aggregate.Command{
		account.OpenCommand("ada"),
		account.CreditCommand(account.CreditFields{Amount: 10}),
	})
	if err != nil {
		panic(err)
	}
	return log, accounts
}

func ExampleHandler() {
	_, accounts := exampleBank()
	ctx := context.Background()
	receipt, err := accounts.Debit(ctx, "42", account.DebitFields{Amount: 4}, aggregate.Key("pay-7"))
	fmt.Println(receipt.Version, receipt.Repeated, err)
	receipt, err = accounts.Debit(ctx, "42", account.DebitFields{Amount: 4}, aggregate.Key("pay-7"))
	fmt.Println(receipt.Version, receipt.Repeated, err)
	_, err = accounts.Debit(ctx, "42", account.DebitFields{Amount: 100})
	fmt.Println(err)
	state, version, err := accounts.Load(ctx, "42")
	fmt.Println(state.Balance, version, err)
	// Output:
	// 3 false <nil>
	// 3 true <nil>
	// rejected (insufficient_funds): the balance does not cover the amount
	// 6 3 <nil>
}

func ExampleHandler_HandleAll() {
	_, accounts := exampleBank()
	_, err := accounts.HandleAll(context.Background(), "42", []aggregate.Command{
		account.DebitCommand(account.DebitFields{Amount: 10}),
		account.CloseCommand(),
		account.CreditCommand(account.CreditFields{Amount: 1}),
	})
	fmt.Println(err)
	state, _, err := accounts.Load(context.Background(), "42")
	fmt.Println(state.Balance, state.Closed, err)
	// Output:
	// command 2 (bank.account.Credit): rejected (not_open): the account is not open
	// 10 false <nil>
}

func ExampleExpect() {
	_, accounts := exampleBank()
	_, err := accounts.Credit(context.Background(), "42", account.CreditFields{Amount: 1}, aggregate.Expect(1))
	fmt.Println(err)
	// Output: condition 0: stream "account-42" at version 1: found version 2
}

func ExampleCausedBy() {
	log, accounts := exampleBank()
	ctx := context.Background()
	for e, err := range event.Read(ctx, log, event.Selection{Types: []string{account.CreditedType}}) {
		if err != nil {
			panic(err)
		}
		// A fee for every payment, said by an option, or for all that is done:
		// ctx = event.WithCause(ctx, e)
		fee := account.DebitFields{Amount: 1}
		if _, err := accounts.Debit(ctx, e.StreamID(), fee, aggregate.CausedBy(e), aggregate.Metadata("reason", "fee")); err != nil {
			panic(err)
		}
	}
	for e, err := range event.Read(ctx, log, event.Selection{Types: []string{account.DebitedType}}) {
		reason, _ := e.MetadataValue("reason")
		fmt.Println(e, err, reason, e.Causation() == e.Correlation())
	}
	// Output: bank.account.Debited at position 3 (account-42 version 3) <nil> fee true
}

// A student may take two courses: a rule over the streams of all of them.
func ExampleDecision_Query() {
	log, err := memstore.New(course.Schema)
	if err != nil {
		panic(err)
	}
	courses := course.NewHandler(log, campus.Registrar{MaxCourses: 2}, aggregate.Options{})
	ctx := context.Background()
	for _, id := range []string{"go", "sql", "lisp"} {
		if _, err := courses.Schedule(ctx, id, id, course.ScheduleFields{Seats: 20}); err != nil {
			panic(err)
		}
		_, err := courses.Enrol(ctx, id, "ada")
		fmt.Println(id, err)
	}
	// Output:
	// go <nil>
	// sql <nil>
	// lisp rejected (too_many_courses): the student takes as many courses as anybody may
}

func ExampleReject() {
	err := aggregate.Reject("not_open", "the account is not open")
	fmt.Println(err)
	// Output: rejected (not_open): the account is not open
}
