package aggregate_test

import (
	"context"
	"testing"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/bank"
	"github.com/verbatim-es/verbatim/examples/bank/account"
)

// witness notes whether appends ask for their data to be trusted.
type witness struct {
	event.Log
	trusted []bool
}

func (w *witness) Append(ctx context.Context, a event.Append) (event.Receipt, error) {
	w.trusted = append(w.trusted, a.TrustData)
	return w.Log.Append(ctx, a)
}

func TestTrustEvents(t *testing.T) {
	t.Parallel()
	for _, trust := range []bool{false, true} {
		log := &witness{Log: newLog(t)}
		accounts := account.NewHandler(log, bank.Teller{}, aggregate.Options{TrustEvents: trust})
		must(t)(accounts.Open(t.Context(), "1", "ada"))
		if len(log.trusted) != 1 || log.trusted[0] != trust {
			t.Errorf("TrustEvents %v: appends said %v", trust, log.trusted)
		}
	}
}
