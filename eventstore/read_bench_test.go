package eventstore_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/eventstoretest"
)

// grown makes a store of 200,000 events in 2,000 streams, in random order, with
// one of a thousand tags each.
func grown(b *testing.B) *eventstore.Store {
	b.Helper()
	store, err := eventstore.Open(b.TempDir(), eventstore.Options{Schemas: eventstoretest.Schema})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := store.Close(); err != nil {
			b.Fatal(err)
		}
	})
	const events, each, streams = 200_000, 1000, 2000
	random := rand.New(rand.NewPCG(1, 2))
	pad := []event.Meta{{Key: "pad", Value: fmt.Sprintf("%0190d", 0)}}
	for range events / each {
		a := event.Append{}
		for _, n := range random.Perm(streams)[:each] {
			p := eventstoretest.Noted(fmt.Sprintf("n%d", random.IntN(1000)), 1)
			p.Stream, p.Metadata = fmt.Sprintf("ledger-%d", n), pad
			a.Events = append(a.Events, p)
		}
		if _, err := store.Append(context.Background(), a); err != nil {
			b.Fatal(err)
		}
	}
	if report, err := store.Verify(context.Background()); err != nil || !report.OK() {
		b.Fatalf("%+v, %v", report, err) // log and index are at the head now
	}
	return store
}

// BenchmarkRead reads every byte of what it selects, with every checksum
// verified. Compare with memcpy in the same run.
func BenchmarkRead(b *testing.B) {
	store := grown(b)
	ctx := context.Background()
	replay := func(b *testing.B, read func(func(event.Event))) {
		bytes, events := 0, 0
		for b.Loop() {
			bytes, events = 0, 0
			read(func(e event.Event) {
				bytes += len(e.Record())
				events++
			})
		}
		b.SetBytes(int64(bytes))
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N), "µs/read")
		b.ReportMetric(float64(events), "events")
	}
	viewed := func(sel event.Selection) func(func(event.Event)) {
		return func(each func(event.Event)) {
			if err := store.View(ctx, func(s *eventstore.Snapshot) error {
				for e, err := range s.Read(sel) {
					if err != nil {
						return err
					}
					each(e)
				}
				return nil
			}); err != nil {
				b.Fatal(err)
			}
		}
	}
	copied := func(sel event.Selection) func(func(event.Event)) {
		return func(each func(event.Event)) {
			for e, err := range store.Read(ctx, sel) {
				if err != nil {
					b.Fatal(err)
				}
				each(e)
			}
		}
	}
	for _, c := range []struct {
		name string
		sel  event.Selection
	}{
		{"all", event.Selection{}},
		{"all-backward", event.Selection{Backward: true}},
		{"stream", event.Selection{Stream: "ledger-77"}},
		{"category", event.Selection{Category: "ledger"}},
		{"tag", event.Selection{Tags: []string{"text:n77"}}},
	} {
		b.Run("view/"+c.name, func(b *testing.B) { replay(b, viewed(c.sel)) })
		b.Run("read/"+c.name, func(b *testing.B) { replay(b, copied(c.sel)) })
	}
	b.Run("memcpy", func(b *testing.B) {
		from, to := make([]byte, 64<<20), make([]byte, 64<<20)
		b.SetBytes(int64(len(from)))
		for b.Loop() {
			copy(to, from)
		}
	})
	b.Run("append/plain", func(b *testing.B) { conditioned(b, store, nil) })
	b.Run("append/none-match", func(b *testing.B) {
		head, err := store.Head(ctx)
		if err != nil {
			b.Fatal(err)
		}
		conditioned(b, store, []event.Condition{event.NoneMatch{Query: event.Query{{Tags: []string{"text:n77"}}}, After: head.Position}})
	})
}

// conditioned has an append refused by its last condition, before the disk.
func conditioned(b *testing.B, store *eventstore.Store, c []event.Condition) {
	c = append(c, event.StreamAbsent{Stream: "ledger-77"})
	a := event.Append{Stream: "ledger-77", Events: []event.Proposed{eventstoretest.Struck(1)}, Conditions: c}
	for b.Loop() {
		if _, err := store.Append(context.Background(), a); err == nil {
			b.Fatal("the stream is there")
		}
	}
}
