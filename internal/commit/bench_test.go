package commit_test

import (
	"fmt"
	"testing"
	"time"

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

// What deciding a batch costs in which every append has a tag of its own, on the
// condition that no event has it yet.
func BenchmarkDecideNoneMatch(b *testing.B) {
	set, err := schema.Load(eventstoretest.Schema)
	if err != nil {
		b.Fatal(err)
	}
	limits := commit.Limits{Record: event.MaxRecord, Append: event.MaxRecord, Events: 1}
	for _, size := range []int{64, 512, 4096} {
		batch := make([]*commit.Proposal, size)
		for i := range batch {
			name := fmt.Sprintf("n%d", i)
			a := event.Append{Stream: "ledger-" + name, Events: []event.Proposed{eventstoretest.Noted(name, 250)}}
			a.Conditions = []event.Condition{event.NoneMatch{Query: event.Query{{Types: []string{eventstoretest.NotedType}, Tags: []string{"text:" + name}}}}}
			if batch[i], err = commit.Propose(set, &a, limits); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			for b.Loop() {
				if decided := commit.Decide(nothing{}, batch, time.Now(), commit.RandomEntropy); len(decided.Events) != size {
					b.Fatalf("%d of %d were accepted", len(decided.Events), size)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/append")
		})
	}
}

// nothing is the state of an empty log.
type nothing struct{}

func (nothing) Head() (position uint64, id event.ID)           { return 0, event.ID{} }
func (nothing) Base() uint64                                   { return 0 }
func (nothing) Version(string, uint64) (uint64, bool)          { return 0, false }
func (nothing) Match(event.Query, uint64) uint64               { return 0 }
func (nothing) Earlier(string, uint64) (*commit.Earlier, bool) { return nil, true }
