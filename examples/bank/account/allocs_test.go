//go:build !race

package account_test

import (
	"testing"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/bank/account"
)

// Constructors allocate the bytes they return and nothing else; reading
// allocates nothing. Under the race detector pools drop builders on purpose.
func TestAllocations(t *testing.T) {
	sent := event.Append{Stream: "account-1", Events: []event.Proposed{account.NewSent("2", account.SentFields{Amount: 5})}}
	record, err := event.BuildRecord(&sent, 0, sent.Events[0].Schema, nil)
	if err != nil {
		t.Fatal(err)
	}
	event.Seal(record, event.ID{1}, 1, 1)
	stored := event.Trusted(record)

	var proposed event.Proposed
	var command []byte
	var amount int64
	for name, c := range map[string]struct {
		allowed float64
		run     func()
	}{
		"NewOpened":   {1, func() { proposed = account.NewOpened("ada lovelace") }},
		"NewCredited": {1, func() { proposed = account.NewCredited(account.CreditedFields{Amount: 5, Memo: "wages"}) }},
		"NewClosed":   {1, func() { proposed = account.NewClosed() }},
		"NewTransfer": {1, func() { command = account.NewTransfer("2", account.TransferFields{Amount: 5}) }},
		"reading": {0, func() {
			if e, ok := account.AsSent(stored); ok && e.To() == "2" {
				amount += e.Amount()
			}
		}},
	} {
		if allocs := testing.AllocsPerRun(100, c.run); allocs > c.allowed {
			t.Errorf("%s: %v allocations, at most %v are its own", name, allocs, c.allowed)
		}
	}
	if amount == 0 || len(command) == 0 || len(proposed.Data) == 0 {
		t.Error("nothing was built or read")
	}
}
