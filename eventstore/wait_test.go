package eventstore

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/verbatim-es/verbatim/event"
)

// TestNothingIsMissedBeforeWaiting appends after a reader has found nothing and
// before it waits.
func TestNothingIsMissedBeforeWaiting(t *testing.T) {
	t.Parallel()
	var s *Store
	var once sync.Once
	s = openFaulty(t, t.TempDir(), Options{hooks: hooks{at: func(p point) error {
		if p == pointWaiting {
			once.Do(func() { mustAppend(t, s, struck("ledger-1")) })
		}
		return nil
	}}})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	page, err := s.ReadPage(ctx, event.Selection{Stream: "ledger-1"}, event.PageOptions{Wait: time.Hour})
	if err != nil || page.Count != 1 {
		t.Errorf("the event of between reading and waiting: %+v, %v", page, err)
	}
}
