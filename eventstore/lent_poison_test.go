//go:build verbatimpoison

package eventstore_test

import (
	"context"
	"testing"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
)

// TestExpiredEventsAreNoticed keeps an event beyond its View, which only a build
// that poisons them can show.
func TestExpiredEventsAreNoticed(t *testing.T) {
	t.Parallel()
	store := open(t, t.TempDir())
	appendTo(t, store, "ledger-1", 3)
	var kept, cloned event.Event
	if err := store.View(context.Background(), func(s *eventstore.Snapshot) error {
		for e, err := range s.Read(event.Selection{}) {
			if err != nil {
				return err
			}
			kept, cloned = e, e.Clone()
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if cloned.Stream() != "ledger-1" {
		t.Errorf("a clone is of stream %q", cloned.Stream())
	}
	defer func() {
		if recover() == nil {
			t.Error("an event that has expired is still there")
		}
	}()
	if kept.Stream() == "ledger-1" {
		t.Error("an event that has expired is still whole")
	}
}
