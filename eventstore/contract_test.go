package eventstore_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/eventstoretest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	eventstoretest.Run(t, func(t *testing.T) event.Log {
		store, err := eventstore.Open(t.TempDir(), eventstore.Options{Schemas: eventstoretest.Schema})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		return store
	})
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
