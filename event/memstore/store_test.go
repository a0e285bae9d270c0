package memstore_test

import (
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/eventstoretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestContract(t *testing.T) {
	t.Parallel()
	eventstoretest.Run(t, func(t *testing.T) event.Log {
		store, err := memstore.New(eventstoretest.Schema)
		if err != nil {
			t.Fatal(err)
		}
		return store
	})
}

// The bounds are those of a local store's defaults.
func TestBounds(t *testing.T) {
	t.Parallel()
	store, err := memstore.New(eventstoretest.Schema)
	if err != nil {
		t.Fatal(err)
	}
	note := eventstoretest.Noted(strings.Repeat("x", event.MaxTag-len("text:")), 1)
	note.Metadata = []event.Meta{{Key: "large", Value: strings.Repeat("x", 8<<20)}}
	var large *event.TooLargeError
	if _, err := store.Append(t.Context(), event.Append{Stream: "ledger-1", Events: []event.Proposed{note, note}}); !errors.As(err, &large) || large.Limit != event.MaxRecord {
		t.Errorf("two events of 8 MiB: %v", err)
	}
}
