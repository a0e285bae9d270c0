package event_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/eventstoretest"
)

// An append on a condition, and a subscriber that gets what was there before it
// came and what comes then.
func Example() {
	// Schemas and events come from generated packages; these are from the
	// contract suite. Any other log will do as well.
	store, err := memstore.New(eventstoretest.Schema)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	opening := event.Append{
		Stream:     "ledger-42",
		Events:     []event.Proposed{eventstoretest.Noted("opened", 100)},
		Conditions: []event.Condition{event.StreamAbsent{Stream: "ledger-42"}},
	}
	if _, err := store.Append(ctx, opening); err != nil {
		log.Fatal(err)
	}
	_, err = store.Append(ctx, opening)
	var conflict *event.ConflictError
	fmt.Println(errors.As(err, &conflict), err)

	later := event.SubscribeOptions{CaughtUp: func(position uint64) {
		fmt.Println("caught up at", position)
		go func() {
			_, _ = store.Append(ctx, event.Append{Stream: "ledger-42", Events: []event.Proposed{eventstoretest.Struck(1)}})
		}()
	}}
	for e, err := range event.Subscribe(ctx, store, event.Selection{Stream: "ledger-42"}, later) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(e, "live:", e.Live)
		if e.Version() == 2 {
			break
		}
	}
	// Output:
	// true condition 0: stream "ledger-42" absent: found version 1
	// contract.ledger.Noted at position 1 (ledger-42 version 1) live: false
	// caught up at 1
	// contract.ledger.Struck at position 2 (ledger-42 version 2) live: true
}
