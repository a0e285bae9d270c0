package wampbus_test

import (
	"context"
	"fmt"
	"log"
	"net"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/examples/bank"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/wampbus"
	"github.com/verbatim-es/verbatim/wampbus/client"
)

// A bank behind a bus, and a client that opens an account over the wire.
func Example() {
	store, err := memstore.New(account.Schema)
	if err != nil {
		log.Fatal(err)
	}
	bus, err := wampbus.New(wampbus.Options{
		Log:       store,
		Schemas:   store.Schemas(),
		Handlers:  []wampbus.CommandHandler{account.NewHandler(store, bank.Teller{}, aggregate.Options{})},
		Anonymous: wampbus.Reader | wampbus.Commander, // from this machine
	})
	if err != nil {
		log.Fatal(err)
	}
	defer bus.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() { _ = bus.ServeWebSocket(ctx, listener) }()

	c, err := client.Dial(ctx, "ws://"+listener.Addr().String()+"/", client.Options{Schemas: store.Schemas()})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	receipt, err := c.Command(ctx, "account", "42", "open", account.NewOpen("ada"), client.CommandOptions{Key: "open-42"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("stored at position", receipt.Position)
	_, err = c.Command(ctx, "account", "42", "debit", account.NewDebit(account.DebitFields{Amount: 5}), client.CommandOptions{})
	fmt.Println(err)
	// Output:
	// stored at position 1
	// rejected (insufficient_funds): the balance does not cover the amount
}
