package wampbus_test

import (
	"testing"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/eventstoretest"
	"github.com/verbatim-es/verbatim/wampbus"
	"github.com/verbatim-es/verbatim/wampbus/client"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// A log over the bus keeps the contract of a log, in every serialization.
func TestContract(t *testing.T) {
	t.Parallel()
	for _, f := range codec.Formats {
		t.Run(f.String(), func(t *testing.T) {
			eventstoretest.Run(t, func(t *testing.T) event.Log {
				store, err := memstore.New(eventstoretest.Schema)
				if err != nil {
					t.Fatal(err)
				}
				h := serve(t, wampbus.Options{Log: store, Schemas: store.Schemas(), Anonymous: wampbus.Writer})
				return h.dial(t, client.Options{Serialization: f.String()})
			})
		})
	}
}

// It does so on the real store.
func TestContractOnStore(t *testing.T) {
	t.Parallel()
	eventstoretest.Run(t, func(t *testing.T) event.Log {
		store, err := eventstore.Open(t.TempDir(), eventstore.Options{Schemas: eventstoretest.Schema})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		})
		h := serve(t, wampbus.Options{Log: store, Schemas: store.Schemas(), Anonymous: wampbus.Writer})
		return h.dial(t, client.Options{})
	})
}
