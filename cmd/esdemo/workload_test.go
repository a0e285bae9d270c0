package main

import (
	"testing"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/examples/bank"
	"github.com/verbatim-es/verbatim/examples/bank/account"
)

// A player's predictions come true on a log in memory, and a workload holds
// every outcome there is.
func TestPlayerPredicts(t *testing.T) {
	t.Parallel()
	log, err := memstore.New(account.Schema)
	if err != nil {
		t.Fatal(err)
	}
	accounts := account.NewHandler(log, bank.Teller{}, aggregate.Options{})
	if _, err := accounts.Open(t.Context(), house, "the bank"); err != nil {
		t.Fatal(err)
	}
	p, seen := newPlayer(3, 8, 1), map[outcome]int{}
	for range 1000 {
		s := p.next()
		var opts []aggregate.Option
		if s.options.Key != "" {
			opts = append(opts, aggregate.Key(s.options.Key))
		}
		if s.options.ExpectVersion {
			opts = append(opts, aggregate.Expect(s.options.Expect))
		}
		actual, err := outcomeOf(accounts.Handle(t.Context(), s.id, commandTypes[s.command], s.data, opts...))
		if err != nil {
			t.Fatal(err)
		}
		if actual != s.predicted {
			t.Fatalf("%s of %s: predicted %s, was %s", s.command, s.id, s.predicted, actual)
		}
		seen[actual]++
	}
	for _, o := range []outcome{accepted, repeated, overdraft, alreadyOpen, notOpen, wrongVersion} {
		if seen[o] == 0 {
			t.Errorf("no command was %s", o)
		}
	}
}

var commandTypes = map[string]string{
	"open": account.OpenType, "credit": account.CreditType, "debit": account.DebitType,
	"close": account.CloseType, "transfer": account.TransferType,
}
