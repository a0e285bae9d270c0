package commit_test

import (
	"testing"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstoretest"
	"github.com/verbatim-es/verbatim/internal/commit"
	"github.com/verbatim-es/verbatim/schema"
)

// What proposing one event costs, and what of it is verifying the data.
func BenchmarkPropose(b *testing.B) {
	set, err := schema.Load(eventstoretest.Schema)
	if err != nil {
		b.Fatal(err)
	}
	limits := commit.Limits{Record: event.MaxRecord, Append: event.MaxRecord, Events: 1}
	for _, c := range []struct {
		name  string
		trust bool
	}{{"verified", false}, {"trusted", true}} {
		a := event.Append{Stream: "ledger-1", Events: []event.Proposed{eventstoretest.Noted("rent", 250)}, TrustData: c.trust}
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := commit.Propose(set, &a, limits); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
