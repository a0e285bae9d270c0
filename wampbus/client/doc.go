// Package client is the Go client of a bus: a log, its commands and its views
// over WAMP, protocol 1 (docs/PROTOCOL.md), without cgo.
//
//	schemas, err := schema.Load(account.Schema) // what this program's code was generated from
//	c, err := client.Dial(ctx, "ws://localhost:8080/", client.Options{
//		Schemas: schemas, AuthID: "ann", Credentials: []client.Credential{client.Ticket(ticket)},
//	})
//	defer c.Close()
//	credit := account.NewCredit(account.CreditFields{Amount: 100})
//	receipt, err := c.Command(ctx, "account", "42", "credit", credit, client.CommandOptions{Key: "pay-7"})
//	for e, err := range c.Subscribe(ctx, event.Selection{}, event.SubscribeOptions{}) { … }
//
// A [Client] is an [event.Log] and an [event.KeyReader], so that aggregates and
// projections run on a remote log as they do on a local one. [Client.Subscribe]
// is lossless and the fastest way to follow the whole log; [event.Subscribe]
// works too. [Client.SubscribeTopic] is only a hint: whoever sees that Previous
// is not the last position it has reads the difference.
//
// A client whose connection breaks makes another, at growing intervals, until
// it is closed. What was going on goes on: reads are made again, subscriptions
// are made again and repaired, appends and commands with a key are repeated.
// Those without one fail as [event.ErrOutcomeUnknown] when they were sent and
// not answered. A call waits for a connection as long as its context allows: give
// it one that ends. [Client.Status] and Options.OnStatus tell how things are.
//
// Whatever arrives is verified before it is handed out: structure and checksum
// of every record, its data and the rows of views, by Options.Schemas. With
// Options.Unverified data and rows are as the server says: do not read either
// with generated code unless you trust the server as you trust the program, or
// have verified them with a schema.Set first.
package client
