package aggregatetest_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/aggregatetest"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/bank"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	campus "github.com/verbatim-es/verbatim/examples/course"
	"github.com/verbatim-es/verbatim/examples/course/course"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing them")

// recorder takes what a scenario reports instead of failing the test.
type recorder struct {
	testing.TB
	text string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) { r.text += fmt.Sprintf(format, args...) + "\n" }

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic(r) // a scenario goes no further
}

func credit(amount int64) aggregate.Command {
	return account.CreditCommand(account.CreditFields{Amount: amount})
}

func credited(amount int64) event.Proposed {
	return account.NewCredited(account.CreditedFields{Amount: amount})
}

func debit(amount int64) aggregate.Command {
	return account.DebitCommand(account.DebitFields{Amount: amount})
}

func TestWhatHolds(t *testing.T) {
	t.Parallel()
	teller := account.Define(bank.Teller{})
	aggregatetest.Given(t, teller).
		When(account.OpenCommand("ada")).
		Then(account.NewOpened("ada")).
		State(account.Account{Owner: "ada"}).
		When(credit(5), credit(6)).
		Then(credited(5), credited(6)).
		State(account.Account{Owner: "ada", Balance: 11}).
		When(debit(12)).
		Rejected("insufficient_funds").
		State(account.Account{Owner: "ada", Balance: 11})
	aggregatetest.Given(t, teller, account.NewOpened("ada"), credited(7), aggregatetest.In("account-2", account.NewOpened("bob"))).
		When(account.TransferCommand("2", account.TransferFields{Amount: 3})).
		Then(account.NewSent("2", account.SentFields{Amount: 3}),
			aggregatetest.In("account-2", account.NewReceived(aggregatetest.ID, account.ReceivedFields{Amount: 3})))
}

// wrong is a teller who can't keep his hands off the state, or off anything.
type wrong struct{ bank.Teller }

func (w wrong) DecideDebit(s *account.Account, _ account.Debit, _ *account.Decision) error {
	s.Balance, s.Closed = 0, true
	return errors.New("no idea")
}

func (wrong) DecideClose(*account.Account, account.Close, *account.Decision) error { panic("fire") }

// students are so many names.
func students(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("s%d", i)
	}
	return names
}

// picky defines accounts whose states can't be packed before they are open.
func picky() aggregate.Definition[account.Account] {
	def := account.Define(bank.Teller{})
	pack := def.Pack
	def.Pack = func(s *account.Account) []byte {
		if s.Owner == "" {
			panic("the owner is required")
		}
		return pack(s)
	}
	return def
}

// A state that can't be packed is no fault of the decider's.
func TestStatesThatCantBePacked(t *testing.T) {
	t.Parallel()
	aggregatetest.Given(t, picky()).
		When(debit(5)).Rejected("not_open").
		State(account.Account{}).
		When(account.OpenCommand("ada")).
		State(account.Account{Owner: "ada"})
}

// Every way to fail, as a test would print it.
func TestFailures(t *testing.T) {
	t.Parallel()
	given := func(t testing.TB) *aggregatetest.Scenario[account.Account] {
		return aggregatetest.Given(t, account.Define(wrong{}), account.NewOpened("ada"), credited(10))
	}
	for name, fail := range map[string]func(testing.TB){
		"another_amount": func(t testing.TB) {
			given(t).When(credit(5)).Then(account.NewCredited(account.CreditedFields{Amount: 50, Memo: "gift"}))
		},
		"too_few":           func(t testing.TB) { given(t).When(credit(5), credit(6)).Then(credited(5)) },
		"too_many":          func(t testing.TB) { given(t).When(credit(5)).Then(credited(5), account.NewClosed()) },
		"another_stream":    func(t testing.TB) { given(t).When(credit(5)).Then(aggregatetest.In("account-2", credited(5))) },
		"rejected":          func(t testing.TB) { given(t).When(credit(0)).Then(credited(0)) },
		"not_rejected":      func(t testing.TB) { given(t).When(credit(5)).Rejected("bad_amount") },
		"another_rejection": func(t testing.TB) { given(t).When(credit(0)).Rejected("not_open") },
		"another_state": func(t testing.TB) {
			given(t).When(credit(5)).State(account.Account{Owner: "bob", Balance: 15})
		},
		"long_memo": func(t testing.TB) { // equal as far as it is shown
			memo := strings.Repeat("a", 2000)
			given(t).When(account.CreditCommand(account.CreditFields{Amount: 5, Memo: memo + "b"})).
				Then(account.NewCredited(account.CreditedFields{Amount: 5, Memo: memo + "c"}))
		},
		"long_list": func(t testing.TB) {
			past := []event.Proposed{course.NewScheduled("Go", course.ScheduledFields{Seats: 200})}
			for _, student := range students(100) {
				past = append(past, course.NewEnrolled(student))
			}
			aggregatetest.Given(t, course.Define(campus.Registrar{}), past...).
				When(course.WithdrawCommand("s0")).
				State(course.Course{Title: "Go", Seats: 200, Students: append(students(100)[1:98], "eve", "s99")})
		},
		"unpackable": func(t testing.TB) {
			aggregatetest.Given(t, picky()).When(debit(5)).Rejected("not_open").State(account.Account{Owner: "ada"})
		},
		"state_changed": func(t testing.TB) { given(t).When(debit(5)).Rejected("insufficient_funds") },
		"panic":         func(t testing.TB) { given(t).When(account.CloseCommand()).Then(account.NewClosed()) },
		"bad_past": func(t testing.TB) {
			aggregatetest.Given(t, account.Define(bank.Teller{}), event.Proposed{Type: "bank.account.Robbed"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &recorder{TB: t}
			func() {
				defer func() {
					if p := recover(); p != nil && p != any(r) {
						panic(p)
					}
				}()
				fail(r)
			}()
			golden := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(r.text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil || r.text != string(want) {
				t.Errorf("%v: it reports\n%s\nwant\n%s", err, r.text, want)
			}
		})
	}
}
