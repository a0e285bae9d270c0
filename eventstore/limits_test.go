package eventstore_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/eventstoretest"
)

// TestLargestAppends appends as much as the default bounds allow, and a little
// more.
func TestLargestAppends(t *testing.T) {
	t.Parallel()
	store, err := eventstore.Open(t.TempDir(), eventstore.Options{Schemas: eventstoretest.Schema})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { verifyAndClose(t, store) })
	many := func(n int) event.Append {
		a := event.Append{Stream: "ledger-1"}
		for range n {
			a.Events = append(a.Events, eventstoretest.Struck(1))
		}
		return a
	}
	// Records of a quarter of a mebibyte: padding and all, 60 of them are less
	// than 15 MiB, and the last one takes what is left.
	large := func(last int) event.Append {
		a := many(60)
		for i := range a.Events {
			size := 1<<18 - 512
			if i == len(a.Events)-1 {
				size = last
			}
			a.Events[i].Metadata = []event.Meta{{Key: "pad", Value: strings.Repeat("x", size)}}
		}
		return a
	}
	for name, test := range map[string]struct {
		append event.Append
		bound  string
	}{
		"most events":     {many(1 << 16), ""},
		"one event more":  {many(1<<16 + 1), "max_events of an append"},
		"many large ones": {large(1 << 18), ""},
		"larger ones":     {large(1 << 19), "max_append"},
	} {
		before := store.Stats().Head
		receipt, err := store.Append(t.Context(), test.append)
		var tooLarge *event.TooLargeError
		switch {
		case test.bound == "":
			if n := uint64(len(test.append.Events)); err != nil || receipt.Last != before+n {
				t.Errorf("%s: %d events from %d to %d after %d: %v", name, n, receipt.First, receipt.Last, before, err)
			}
		case !errors.As(err, &tooLarge) || tooLarge.Bound != test.bound || tooLarge.Actual <= tooLarge.Limit || store.Stats().Head != before:
			t.Errorf("%s: %v, want it to exceed %q", name, err, test.bound)
		}
	}
}
