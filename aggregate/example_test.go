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

func ExampleHandler_Load() {
	_, accounts := exampleBank()
	state, version, err := accounts.Load(context.Background(), "42")
	fmt.Println(state.Owner, state.Balance, version, err)
	state, version, err = accounts.Load(context.Background(), "43") // there is no such account
	fmt.Println(state.Owner == "", version, err)
	// Output:
	// ada 10 2 <nil>
	// true 0 <nil>
}

// The answer was lost, and the command is sent again: it is not decided on an
// account that is empty by now.
func ExampleKey() {
	_, accounts := exampleBank()
	for range 2 {
		receipt, err := accounts.Debit(context.Background(), "42", account.DebitFields{Amount: 10}, aggregate.Key("order 7"))
		fmt.Println(receipt.Version, receipt.Repeated, err)
	}
	_, err := accounts.Debit(context.Background(), "42", account.DebitFields{Amount: 9}, aggregate.Key("order 7"))
	fmt.Println(err)
	// Output:
	// 3 false <nil>
	// 3 true <nil>
	// key "order 7" was used for another append at position 3: a new append needs a new key
}

func ExampleMetadata() {
	log, accounts := exampleBank()
	ctx := context.Background()
	if _, err := accounts.Debit(ctx, "42", account.DebitFields{Amount: 1}, aggregate.Metadata("user", "bob")); err != nil {
		panic(err)
	}
	for e, err := range event.Read(ctx, log, event.Selection{Types: []string{account.DebitedType}}) {
		user, _ := e.MetadataValue("user")
		fmt.Println(user, err)
	}
	// Output: bob <nil>
}

// The ids came with a message, and the events that they are of are elsewhere.
func ExampleCausation() {
	log, accounts := exampleBank()
	ctx, cause, conversation := context.Background(), event.ID{1}, event.ID{2}
	_, err := accounts.Debit(ctx, "42", account.DebitFields{Amount: 1}, aggregate.Causation(cause), aggregate.Correlation(conversation))
	if err != nil {
		panic(err)
	}
	for e, err := range event.Read(ctx, log, event.Selection{Types: []string{account.DebitedType}}) {
		fmt.Println(e.Causation() == cause, e.Correlation() == conversation, err)
	}
	// Output: true true <nil>
}

// A conversation that no event began has an id all the same.
func ExampleCorrelation() {
	log, accounts := exampleBank()
	ctx, conversation := context.Background(), event.ID{2}
	for _, id := range []string{"1", "2"} {
		if _, err := accounts.Open(ctx, id, "bob", aggregate.Correlation(conversation)); err != nil {
			panic(err)
		}
	}
	for e := range event.Read(ctx, log, event.Selection{After: 2}) {
		fmt.Println(e.Stream(), e.Correlation() == conversation)
	}
	// Output:
	// account-1 true
	// account-2 true
}

// benefactor pays into another account what is debited from one.
type benefactor struct{ bank.Teller }

func (b benefactor) DecideDebit(s *account.Account, c account.Debit, out *account.Decision) error {
	if err := b.Teller.DecideDebit(s, c, out); err != nil {
		return err
	}
	fund, toFund, err := out.Other("fund")
	if err != nil {
		return err
	}
	if fund.Closed {
		return aggregate.Reject("fund_closed", "the fund takes no more")
	}
	return toFund.Credited(account.CreditedFields{Amount: c.Amount(), Memo: "from " + out.ID()})
}

// A decision over two aggregates: both streams are written in one append, which
// depends on the versions of both.
func ExampleDecision_Other() {
	log, _ := exampleBank()
	accounts := account.NewHandler(log, benefactor{}, aggregate.Options{})
	receipt, err := accounts.Debit(context.Background(), "42", account.DebitFields{Amount: 4})
	fmt.Println(receipt.Count, err)
	for _, id := range []string{"42", "fund"} {
		state, _, err := accounts.Load(context.Background(), id)
		fmt.Println(id, state.Balance, err)
	}
	// Output:
	// 2 <nil>
	// 42 6 <nil>
	// fund 4 <nil>
}

// branch is a teller who puts down where money was paid in, and at which version of
// the account.
type branch struct{ bank.Teller }

func (branch) DecideCredit(_ *account.Account, c account.Credit, out *account.Decision) error {
	p := account.NewCredited(account.CreditedFields{Amount: c.Amount()})
	p.Tags = []string{"branch:north"}
	p.Metadata = []event.Meta{{Key: "decided at", Value: fmt.Sprintf("%s, version %d", out.ID(), out.Version())}}
	return out.Emit(p)
}

// Emit is what the methods of generated decisions call, for an event with tags and
// metadata of its own.
func ExampleDecision_Emit() {
	log, _ := exampleBank()
	accounts := account.NewHandler(log, branch{}, aggregate.Options{})
	ctx := context.Background()
	if _, err := accounts.Credit(ctx, "42", account.CreditFields{Amount: 4}); err != nil {
		panic(err)
	}
	for e, err := range event.Read(ctx, log, event.Selection{Query: event.Query{{Tags: []string{"branch:north"}}}}) {
		at, _ := e.MetadataValue("decided at")
		fmt.Println(e, at, err)
	}
	// Output: bank.account.Credited at position 3 (account-42 version 3) 42, version 2 <nil>
}

// newcomers gives seats only to students who had none before, in any course.
type newcomers struct{ campus.Registrar }

func (n newcomers) DecideEnrol(s *course.Course, c course.Enrol, out *course.Decision) error {
	known, err := out.Any(event.Query{{Types: []string{course.EnrolledType}, Tags: []string{"student:" + c.Student()}}})
	if err != nil {
		return err
	}
	if known {
		return aggregate.Reject("no_newcomer", "the student had a seat before")
	}
	return n.Registrar.DecideEnrol(s, c, out)
}

// A rule about what must not have happened, over all streams.
func ExampleDecision_Any() {
	log, err := memstore.New(course.Schema)
	if err != nil {
		panic(err)
	}
	courses := course.NewHandler(log, newcomers{campus.Registrar{MaxCourses: 9}}, aggregate.Options{})
	ctx := context.Background()
	for _, id := range []string{"go", "sql"} {
		if _, err := courses.Schedule(ctx, id, id, course.ScheduleFields{Seats: 20}); err != nil {
			panic(err)
		}
		_, err := courses.Enrol(ctx, id, "ada")
		fmt.Println(id, err)
	}
	// Output:
	// go <nil>
	// sql rejected (no_newcomer): the student had a seat before
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

// Generated code makes handlers by NewHandler, which is New with a definition.
func ExampleNew() {
	log, _ := exampleBank()
	accounts := aggregate.New(log, account.Define(bank.Teller{}), aggregate.Options{})
	fmt.Println(accounts.Category(), accounts.Commands()[0])
	// Output: account bank.account.Close
}

// Handle takes a command as it comes over a wire: the name of its type, and bytes
// that were verified.
func ExampleHandler_Handle() {
	_, accounts := exampleBank()
	ctx := context.Background()
	receipt, err := accounts.Handle(ctx, "42", account.CreditType, account.NewCredit(account.CreditFields{Amount: 1}))
	fmt.Println(receipt.Position, receipt.Version, receipt.Count, err)
	_, err = accounts.Handle(ctx, "42", "bank.account.Steal", nil)
	fmt.Println(err)
	// Output:
	// 3 3 1 <nil>
	// unknown command "bank.account.Steal"
}

// A command on an aggregate that was used before reads nothing.
func ExampleHandler_Stats() {
	_, accounts := exampleBank()
	if _, err := accounts.Credit(context.Background(), "42", account.CreditFields{Amount: 1}); err != nil {
		panic(err)
	}
	stats := accounts.Stats()
	fmt.Println(stats.CachedStates, stats.Hits, stats.Misses, stats.Conflicts)
	// Output: 1 1 1 0
}
