package upcast_test

import (
	"context"
	"fmt"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/event/upcast"
	"github.com/verbatim-es/verbatim/examples/bank/account"
)

// Money that was sent is read as money that was paid out, in two parts: the
// amount and a fee.
func ExampleSet() {
	upcasters, err := upcast.New(upcast.Rule{
		Type: account.SentType,
		Into: []string{account.DebitedType},
		Upcast: func(e event.Event) ([]event.Proposed, error) {
			sent, _ := account.AsSent(e)
			return []event.Proposed{
				account.NewDebited(account.DebitedFields{Amount: sent.Amount()}),
				account.NewDebited(account.DebitedFields{Amount: 1}),
			}, nil
		},
	})
	if err != nil {
		panic(err)
	}
	ctx := context.Background()
	log, err := memstore.New(account.Schema)
	if err != nil {
		panic(err)
	}
	_, err = log.Append(ctx, event.Append{Stream: "account-1", Events: []event.Proposed{
		account.NewOpened("ada"), account.NewSent("2", account.SentFields{Amount: 40}),
	}})
	if err != nil {
		panic(err)
	}
	for stored, err := range event.Read(ctx, log, event.Selection{}) {
		if err != nil {
			panic(err)
		}
		for e, err := range upcasters.Events(stored) {
			if err != nil {
				panic(err)
			}
			fmt.Print(e)
			if debited, ok := account.AsDebited(e); ok {
				fmt.Print(": ", debited.Amount())
			}
			fmt.Println()
		}
	}
	// Output:
	// bank.account.Opened at position 1 (account-1 version 1)
	// bank.account.Debited at position 2 (account-1 version 2): 40
	// bank.account.Debited at position 2 (account-1 version 2): 1
}
