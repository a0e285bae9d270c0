package wampbus_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/wampbus"
)

// A procedure of a program's own answers with stored records as they are.
func ExampleBus_Handle() {
	store, err := memstore.New(account.Schema)
	if err != nil {
		panic(err)
	}
	bus, err := wampbus.New(wampbus.Options{
		Log: store, Schemas: store.Schemas(), Anonymous: wampbus.Reader, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		panic(err)
	}
	defer func() { _ = bus.Close() }()
	end, err := bus.Handle("bank.statement", wampbus.Procedure{
		Role: wampbus.Reader,
		Args: []string{"bank.account.Transfer"},
		Serve: func(ctx context.Context, r *wampbus.Request) (wampbus.Reply, error) {
			page, err := store.ReadPage(ctx, event.Selection{Stream: "account-1"}, event.PageOptions{})
			return wampbus.Reply{Args: [][]byte{page.Records}}, err
		},
	})
	fmt.Println("served:", err == nil)
	fmt.Println("ended:", end() == nil)
	// Output:
	// served: true
	// ended: true
}
