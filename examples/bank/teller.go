package bank

import (
	"math"
	"strings"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/examples/bank/account"
)

// Teller decides what may happen to an account, and how its state follows.
type Teller struct{}

var _ account.Decider = Teller{}

// DecideOpen opens an account once.
func (Teller) DecideOpen(s *account.Account, c account.Open, out *account.Decision) error {
	switch {
	case s.Owner != "":
		return aggregate.Reject("already_open", "the account was opened before")
	case c.Owner() == "":
		return aggregate.Reject("no_owner", "an account needs an owner")
	}
	return out.Opened(c.Owner())
}

// DecideCredit pays money in.
func (Teller) DecideCredit(s *account.Account, c account.Credit, out *account.Decision) error {
	if err := creditable(s, c.Amount()); err != nil {
		return err
	}
	return out.Credited(account.CreditedFields{Amount: c.Amount(), Memo: c.Memo()})
}

// DecideDebit pays money out, never below zero.
func (Teller) DecideDebit(s *account.Account, c account.Debit, out *account.Decision) error {
	if err := covered(s, c.Amount()); err != nil {
		return err
	}
	return out.Debited(account.DebitedFields{Amount: c.Amount()})
}

// DecideTransfer moves money to another account, in one append over both.
func (Teller) DecideTransfer(s *account.Account, c account.Transfer, out *account.Decision) error {
	if err := covered(s, c.Amount()); err != nil {
		return err
	}
	if c.To() == out.ID() {
		return aggregate.Reject("same_account", "a transfer needs two accounts")
	}
	receiver, received, err := out.Other(c.To())
	if err != nil {
		return err
	}
	if err := creditable(receiver, c.Amount()); err != nil {
		return err
	}
	if err := out.Sent(c.To(), account.SentFields{Amount: c.Amount()}); err != nil {
		return err
	}
	return received.Received(out.ID(), account.ReceivedFields{Amount: c.Amount()})
}

// DecideClose closes an empty account.
func (Teller) DecideClose(s *account.Account, _ account.Close, out *account.Decision) error {
	switch {
	case s.Owner == "" || s.Closed:
		return aggregate.Reject("not_open", "the account is not open")
	case s.Balance != 0:
		return aggregate.Reject("not_empty", "only an empty account can be closed")
	}
	return out.Closed()
}

// EvolveOpened follows an account's opening.
func (Teller) EvolveOpened(s *account.Account, e account.Opened) {
	s.Owner, s.Closed = strings.Clone(e.Owner()), false
}

// EvolveCredited follows a payment in.
func (Teller) EvolveCredited(s *account.Account, e account.Credited) { s.Balance += e.Amount() }

// EvolveDebited follows a payment out.
func (Teller) EvolveDebited(s *account.Account, e account.Debited) { s.Balance -= e.Amount() }

// EvolveSent follows the paying side of a transfer.
func (Teller) EvolveSent(s *account.Account, e account.Sent) { s.Balance -= e.Amount() }

// EvolveReceived follows the receiving side of a transfer.
func (Teller) EvolveReceived(s *account.Account, e account.Received) { s.Balance += e.Amount() }

// EvolveClosed follows an account's end.
func (Teller) EvolveClosed(s *account.Account, _ account.Closed) { s.Closed = true }

// usable rejects what no account does: amounts that are not positive, and
// anything on an account that is not open.
func usable(s *account.Account, amount int64) error {
	switch {
	case amount <= 0:
		return aggregate.Reject("bad_amount", "an amount is positive")
	case s.Owner == "" || s.Closed:
		return aggregate.Reject("not_open", "the account is not open")
	}
	return nil
}

// creditable rejects what the account can't take.
func creditable(s *account.Account, amount int64) error {
	if err := usable(s, amount); err != nil {
		return err
	}
	if s.Balance > math.MaxInt64-amount {
		return aggregate.Reject("too_much", "the balance would not fit the account")
	}
	return nil
}

// covered rejects what would leave less than nothing.
func covered(s *account.Account, amount int64) error {
	if err := usable(s, amount); err != nil {
		return err
	}
	if s.Balance < amount {
		return aggregate.Reject("insufficient_funds", "the balance does not cover the amount")
	}
	return nil
}
