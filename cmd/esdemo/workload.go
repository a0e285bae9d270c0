package main

import (
	"fmt"
	"math/rand/v2"

	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/wampbus/client"
)

// house is the one account that every client pays into. It makes commands of
// different clients meet, without anybody's balance becoming unpredictable:
// nobody takes money out of it.
const house = "house"

// outcome is what a client predicts of a command.
type outcome string

const (
	accepted     outcome = "accepted"
	repeated     outcome = "repeated"
	overdraft    outcome = "insufficient_funds"
	alreadyOpen  outcome = "already_open"
	notOpen      outcome = "not_open"
	wrongVersion outcome = "conflict"
)

// refused reports whether nothing may be stored.
func (o outcome) refused() bool { return o != accepted && o != repeated }

// step is one command and what must become of it.
type step struct {
	id, command string
	data        []byte
	options     client.CommandOptions
	predicted   outcome
}

// player makes up the commands of one client. Only this client takes money out
// of its accounts, so it knows their balances and versions, and predicts the
// outcome of every command. The same seed makes the same steps.
type player struct {
	name     string
	rng      *rand.Rand
	accounts []*expected
	keys     int
	again    *step // to be repeated next
	inflow   int64 // money paid in less money paid out, accepted ones only
}

// expected is what a player knows about one of its accounts.
type expected struct {
	id      string
	open    bool
	balance int64
	version uint64
}

func newPlayer(number, accounts int, seed uint64) *player {
	p := &player{name: fmt.Sprintf("c%d", number), rng: rand.New(rand.NewPCG(seed, uint64(number)))}
	for i := range accounts {
		p.accounts = append(p.accounts, &expected{id: fmt.Sprintf("%s-%d", p.name, i)})
	}
	return p
}

// next returns the next command. It assumes that the one before had the
// outcome predicted.
func (p *player) next() step {
	if p.again != nil {
		s := *p.again
		p.again = nil
		s.predicted = repeated
		return s
	}
	a := p.accounts[p.rng.IntN(len(p.accounts))]
	if !a.open {
		return p.open(a)
	}
	switch n := p.rng.IntN(100); {
	case n < 40:
		return p.credit(a)
	case n < 60:
		return p.debit(a)
	case n < 65:
		return p.overdraw(a)
	case n < 80:
		return p.transfer(a, p.accounts[p.rng.IntN(len(p.accounts))])
	case n < 90:
		return p.payHouse(a)
	case n < 93:
		return p.guessVersion(a)
	case n < 96:
		return p.keyed(a)
	case n < 98:
		return p.command(a, "open", account.NewOpen(p.name), alreadyOpen)
	default:
		return p.closeEmpty(a)
	}
}

// open opens an account; one time in ten it tries to use it first. An account
// that was closed stays closed.
func (p *player) open(a *expected) step {
	if a.version > 0 || p.rng.IntN(10) == 0 {
		return p.command(a, "credit", account.NewCredit(account.CreditFields{Amount: 1}), notOpen)
	}
	a.open = true
	return p.command(a, "open", account.NewOpen(p.name), accepted)
}

func (p *player) credit(a *expected) step {
	amount := 1 + p.rng.Int64N(1000)
	p.move(a, amount)
	return p.command(a, "credit", account.NewCredit(account.CreditFields{Amount: amount, Memo: "pay-in"}), accepted)
}

func (p *player) debit(a *expected) step {
	if a.balance == 0 {
		return p.credit(a)
	}
	amount := 1 + p.rng.Int64N(a.balance)
	p.move(a, -amount)
	return p.command(a, "debit", account.NewDebit(account.DebitFields{Amount: amount}), accepted)
}

func (p *player) overdraw(a *expected) step {
	amount := a.balance + 1 + p.rng.Int64N(100)
	return p.command(a, "debit", account.NewDebit(account.DebitFields{Amount: amount}), overdraft)
}

// transfer moves money between two accounts of this client.
func (p *player) transfer(from, to *expected) step {
	if from == to || !to.open || from.balance == 0 {
		return p.credit(from)
	}
	amount := 1 + p.rng.Int64N(from.balance)
	from.balance -= amount
	to.balance += amount
	to.version++
	return p.command(from, "transfer", account.NewTransfer(to.id, account.TransferFields{Amount: amount}), accepted)
}

// payHouse moves money to the account that all clients meet at.
func (p *player) payHouse(from *expected) step {
	if from.balance == 0 {
		return p.credit(from)
	}
	from.balance--
	return p.command(from, "transfer", account.NewTransfer(house, account.TransferFields{Amount: 1}), accepted)
}

// guessVersion credits an account on the condition of a version it is not at.
func (p *player) guessVersion(a *expected) step {
	s := p.command(a, "credit", account.NewCredit(account.CreditFields{Amount: 1}), wrongVersion)
	s.options.Expect, s.options.ExpectVersion = a.version+1, true
	return s
}

// keyed credits with an idempotency key and the right version, and again.
func (p *player) keyed(a *expected) step {
	version := a.version
	s := p.credit(a)
	p.keys++
	s.options = client.CommandOptions{Key: fmt.Sprintf("%s:%d", p.name, p.keys), Expect: version, ExpectVersion: true}
	again := s
	p.again = &again
	return s
}

func (p *player) closeEmpty(a *expected) step {
	if a.balance != 0 || p.openAccounts() < 2 {
		return p.credit(a)
	}
	a.open = false
	return p.command(a, "close", account.NewClose(), accepted)
}

func (p *player) openAccounts() (n int) {
	for _, a := range p.accounts {
		if a.open {
			n++
		}
	}
	return n
}

// command makes a step, and follows the account's version when it will be
// accepted.
func (p *player) command(a *expected, name string, data []byte, o outcome) step {
	if o == accepted {
		a.version++
	}
	return step{id: a.id, command: name, data: data, predicted: o}
}

// move follows money that comes in from outside, or leaves.
func (p *player) move(a *expected, amount int64) {
	a.balance += amount
	p.inflow += amount
}
