package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/eventstoretest"
)

func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	// Schemas and events come from generated packages; these are from the
	// contract suite.
	store, err := eventstore.Open(dir, eventstore.Options{Schemas: eventstoretest.Schema})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	ctx := context.Background()
	opening := event.Append{
		Stream:     "ledger-42",
		Events:     []event.Proposed{eventstoretest.Noted("opened", 100)},
		Conditions: []event.Condition{event.StreamAbsent{Stream: "ledger-42"}},
	}
	receipt, err := store.Append(ctx, opening)
	fmt.Println(receipt.First, receipt.Version, err)

	_, err = store.Append(ctx, opening)
	fmt.Println(errors.Is(err, event.ErrConflict))

	for e, err := range store.Read(ctx, event.Selection{Tags: []string{"text:opened"}}) {
		fmt.Println(e, err)
	}
	// Output:
	// 1 1 <nil>
	// true
	// contract.ledger.Noted at position 1 (ledger-42 version 1) <nil>
}

// Reading without copying: what is to be kept is cloned.
func ExampleStore_View() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	store, err := eventstore.Open(dir, eventstore.Options{Schemas: eventstoretest.Schema})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	ctx := context.Background()
	for range 3 {
		_, err = store.Append(ctx, event.Append{Stream: "ledger-42", Events: []event.Proposed{eventstoretest.Noted("opened", 100)}})
		if err != nil {
			log.Fatal(err)
		}
	}

	var last event.Event
	err = store.View(ctx, func(s *eventstore.Snapshot) error {
		fmt.Println("head", s.Head().Position)
		for e, err := range s.Read(event.Selection{Stream: "ledger-42", Backward: true, Limit: 1}) {
			if err != nil {
				return err
			}
			last = e.Clone()
		}
		return nil
	})
	fmt.Println(last, err)
	// Output:
	// head 3
	// contract.ledger.Noted at position 3 (ledger-42 version 3) <nil>
}
