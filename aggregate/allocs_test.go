//go:build !race

package aggregate_test

import (
	"context"
	"testing"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/bank"
	"github.com/verbatim-es/verbatim/examples/bank/account"
)

// The command, its event, the state after it and one condition, whether the
// context can end or not; the log's own are not counted, but for one slice.
func TestWarmCommandAllocs(t *testing.T) {
	accounts := warm(t, &accepting{})
	for _, c := range []struct {
		name string
		ctx  context.Context
		most float64
	}{{"inline", context.Background(), 7}, {"with a context that can end", t.Context(), 7}} {
		if allocs := testing.AllocsPerRun(1000, func() { credit(t, c.ctx, accounts) }); allocs > c.most {
			t.Errorf("%s: %v allocations, want at most %v", c.name, allocs, c.most)
		}
	}
}

// Loading allocates for pages, not for events.
func TestLoadAllocs(t *testing.T) {
	log := newLog(t)
	accounts := warm(t, log)
	for range 999 {
		credit(t, context.Background(), accounts)
	}
	page, err := log.ReadPage(t.Context(), event.Selection{Stream: "account-1"}, event.PageOptions{MaxBytes: 1 << 20})
	if err != nil || page.Count != 1000 {
		t.Fatal(page.Count, err)
	}
	uncached := account.NewHandler(&paged{page: page}, bank.Teller{}, aggregate.Options{CacheBytes: -1})
	allocs := testing.AllocsPerRun(100, func() {
		if s, _, err := uncached.Load(context.Background(), "1"); err != nil || s.Balance != 999 {
			t.Fatal(s, err)
		}
	})
	if allocs > 6 {
		t.Errorf("%v allocations for 1000 events", allocs)
	}
}
