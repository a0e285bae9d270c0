package framework

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/bench/framework/tally"
	"github.com/verbatim-es/verbatim/bench/framework/tally/tallyview"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/projection"
	"github.com/verbatim-es/verbatim/schema/flat"
)

// faked is a log that takes every append and keeps nothing.
type faked struct {
	event.Log
	position atomic.Uint64
}

func (l *faked) ReadPage(context.Context, event.Selection, event.PageOptions) (event.Page, error) {
	head := l.position.Load()
	return event.Page{Last: head, Head: head, Store: event.ID{1}, Checked: true}, nil
}

func (l *faked) Append(_ context.Context, a event.Append) (event.Receipt, error) {
	last := l.position.Add(uint64(len(a.Events)))
	return event.Receipt{First: last - uint64(len(a.Events)) + 1, Last: last, IDs: make([]event.ID, len(a.Events))}, nil
}

// BenchmarkCommand is one command after the other on 1,000 aggregates that were
// used before, without a disk: with commits faked away, which is what the
// framework itself takes, and on a log in memory, which checks conditions,
// verifies events and keeps their records.
func BenchmarkCommand(b *testing.B) {
	const aggregates = 1000
	ids := make([]string, aggregates)
	for i := range ids {
		ids[i] = "t" + strconv.Itoa(i)
	}
	verbatim := func(b *testing.B, log event.Log) {
		tallies := tally.NewHandler(log, keeper{}, aggregate.Options{})
		for _, id := range ids {
			_, err := tallies.Open(b.Context(), id, "ada")
			must(b, err)
		}
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			_, err := tallies.Add(b.Context(), ids[i%aggregates], tally.AddFields{Amount: 1})
			must(b, err)
			i++
		}
	}
	b.Run("commits faked away", func(b *testing.B) { verbatim(b, &faked{}) })
	b.Run("verbatim", func(b *testing.B) {
		log, err := memstore.New(tally.Schema)
		must(b, err)
		verbatim(b, log)
	})
	b.Run("hallgren", func(b *testing.B) {
		s := newHallgren()
		for _, id := range ids {
			must(b, s.open(id, "ada"))
		}
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			must(b, s.add(b.Context(), ids[i%aggregates], 1))
			i++
		}
	})
	b.Run("map", func(b *testing.B) {
		sums := make(map[string]int64, aggregates)
		i := 0
		for b.Loop() {
			sums[ids[i%aggregates]]++
			i++
		}
	})
}

// BenchmarkCommandDurable is 64 callers on 10,000 aggregates with every command
// on the disk, beside appends of the same events.
func BenchmarkCommandDurable(b *testing.B) {
	const aggregates, callers = 10_000, 64
	run := func(b *testing.B, do func(id string) error) {
		var next atomic.Int64
		var calling sync.WaitGroup
		b.ResetTimer()
		for range callers { // and not a multiple of the processors
			calling.Go(func() {
				for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
					if err := do("t" + strconv.FormatInt(i*7919%aggregates, 10)); err != nil {
						b.Error(err)
					}
				}
			})
		}
		calling.Wait()
		b.StopTimer()
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commands/s")
	}
	b.Run("commands", func(b *testing.B) {
		store := openStore(b, b.TempDir())
		tallies := tally.NewHandler(store, keeper{}, aggregate.Options{})
		var opening sync.WaitGroup
		for caller := range callers {
			opening.Go(func() {
				for i := caller; i < aggregates; i += callers {
					if _, err := tallies.Open(b.Context(), "t"+strconv.Itoa(i), "ada"); err != nil {
						b.Error(err)
					}
				}
			})
		}
		opening.Wait()
		run(b, func(id string) error {
			_, err := tallies.Add(b.Context(), id, tally.AddFields{Amount: 1})
			return err
		})
	})
	b.Run("appends", func(b *testing.B) {
		store := openStore(b, b.TempDir())
		run(b, func(id string) error {
			_, err := store.Append(b.Context(), event.Append{Stream: "tally-" + id, Events: []event.Proposed{tally.NewAdded(tally.AddedFields{Amount: 1})}})
			return err
		})
	})
}

// BenchmarkLoad reads an aggregate of 1,000 events.
func BenchmarkLoad(b *testing.B) {
	const events = 1000
	b.Run("verbatim", func(b *testing.B) {
		store := openStore(b, b.TempDir())
		add := make([]event.Proposed, events-1)
		for i := range add {
			add[i] = tally.NewAdded(tally.AddedFields{Amount: 1})
		}
		for i := range 100 {
			_, err := store.Append(b.Context(), event.Append{Stream: fmt.Sprintf("tally-%d", i), Events: append([]event.Proposed{tally.NewOpened("ada")}, add...)})
			must(b, err)
		}
		drain(b, store)
		tallies := tally.NewHandler(store, keeper{}, aggregate.Options{CacheBytes: -1})
		i := 0
		b.ReportAllocs()
		for b.Loop() {
			s, _, err := tallies.Load(b.Context(), strconv.Itoa(i%100))
			must(b, err)
			if s.Sum != events-1 {
				b.Fatalf("the sum is %d", s.Sum)
			}
			i++
		}
	})
	b.Run("hallgren in memory", func(b *testing.B) {
		s := newHallgren()
		must(b, s.open("1", "ada"))
		for range events - 1 {
			must(b, s.add(b.Context(), "1", 1))
		}
		b.ReportAllocs()
		for b.Loop() {
			_, err := s.load(b.Context(), "1")
			must(b, err)
		}
	})
}

// The rebuild of a view: so many events, of a tenth as many aggregates.
var rebuildEvents = flag.Int("rebuild-events", 5_000_000, "how many `events` the views of BenchmarkRebuild are built from")

// BenchmarkRebuild builds a view from a log that is there; run it with
// -benchtime 1x.
func BenchmarkRebuild(b *testing.B) {
	dir := b.TempDir()
	store := openStore(b, dir)
	fill(b, store, *rebuildEvents)
	for _, view := range []struct {
		name string
		def  projection.Definition
	}{{"index that stays", tallyview.ByOwner(owned{})}, {"index that changes", tallyview.BySum(ranked{})}} {
		b.Run(view.name, func(b *testing.B) {
			for b.Loop() {
				views, err := projection.Open(b.TempDir(), store, projection.Options{MaxWait: time.Hour}, view.def)
				must(b, err)
				must(b, views.At(b.Context(), uint64(*rebuildEvents), func(*projection.Snapshot) error { return nil }))
				must(b, views.Close())
			}
			b.ReportMetric(float64(b.N)*float64(*rebuildEvents)/b.Elapsed().Seconds(), "events/s")
		})
	}
	b.Run("map", func(b *testing.B) {
		for b.Loop() {
			rows := map[string]*tallyview.Owned{}
			for e, err := range store.Read(b.Context(), event.Selection{}) {
				must(b, err)
				if opened, ok := tally.AsOpened(e); ok {
					id := e.Clone().StreamID()
					rows[id] = &tallyview.Owned{Tally: id, Owner: opened.Owner()}
				}
				if added, ok := tally.AsAdded(e); ok {
					rows[e.StreamID()].Sum += added.Amount()
				}
			}
		}
		b.ReportMetric(float64(b.N)*float64(*rebuildEvents)/b.Elapsed().Seconds(), "events/s")
	})
}

// BenchmarkRebuildHallgren is a hundredth of it, into a map.
func BenchmarkRebuildHallgren(b *testing.B) {
	s := newHallgren()
	events := *rebuildEvents / 100
	rows := events / 10
	for i := range events {
		id := strconv.Itoa(i % rows)
		if i < rows {
			must(b, s.open(id, "ada"))
		} else {
			must(b, s.add(b.Context(), id, 1))
		}
	}
	for b.Loop() {
		must(b, s.rebuild(b.Context(), events))
	}
	b.ReportMetric(float64(b.N)*float64(events)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkVisible is the time from an append until a view shows it,
// nothing else happening.
func BenchmarkVisible(b *testing.B) {
	store := openStore(b, b.TempDir())
	views, err := projection.Open(b.TempDir(), store, projection.Options{}, tallyview.ByOwner(owned{}))
	must(b, err)
	defer views.Close()
	took := make([]time.Duration, 0, b.N)
	i := 0
	for b.Loop() {
		i++
		receipt, err := store.Append(b.Context(), event.Append{Stream: "tally-" + strconv.Itoa(i), Events: []event.Proposed{tally.NewOpened("ada")}})
		must(b, err)
		appended := time.Now()
		must(b, views.At(b.Context(), receipt.Last, func(*projection.Snapshot) error { return nil }))
		took = append(took, time.Since(appended))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// BenchmarkVisibleBesideBuild is the same while the view is also built again and
// again beside itself, and while it is not. Events come every few milliseconds:
// a live view that has work is what builds make room for.
func BenchmarkVisibleBesideBuild(b *testing.B) {
	const events = 200_000
	store := openStore(b, b.TempDir())
	fill(b, store, events)
	views, err := projection.Open(b.TempDir(), store, projection.Options{Logger: slog.New(slog.DiscardHandler)}, tallyview.ByOwner(owned{}))
	must(b, err)
	defer views.Close()
	must(b, views.At(b.Context(), events, func(*projection.Snapshot) error { return nil }))
	measure := func(b *testing.B) {
		took := make([]time.Duration, 0, b.N)
		for b.Loop() {
			receipt, err := store.Append(b.Context(), event.Append{Stream: "tally-" + strconv.Itoa(len(took)%1000), Events: []event.Proposed{tally.NewAdded(tally.AddedFields{Amount: 1})}})
			must(b, err)
			appended := time.Now()
			must(b, views.At(b.Context(), receipt.Last, func(*projection.Snapshot) error { return nil }))
			took = append(took, time.Since(appended))
			time.Sleep(5 * time.Millisecond)
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	}
	b.Run("alone", measure)
	b.Run("beside a build", func(b *testing.B) {
		ctx, cancel := context.WithCancel(b.Context())
		var building sync.WaitGroup
		building.Go(func() {
			for ctx.Err() == nil {
				if err := views.Rebuild(ctx, "by_owner"); err != nil && ctx.Err() == nil {
					b.Error(err)
					return
				}
			}
		})
		before := views.Stats().Views[0].Applied
		measure(b)
		b.ReportMetric(float64(views.Stats().Views[0].Applied-before)/b.Elapsed().Seconds(), "events/s")
		cancel()
		building.Wait()
	})
}

// BenchmarkLookup is a row by its key, in a snapshot. Keys are made as they are
// needed: to fetch one of so many from memory takes as long as the row.
func BenchmarkLookup(b *testing.B) {
	const rows = 100_000
	store := openStore(b, b.TempDir())
	events := make([]event.Proposed, 0, 1000)
	for i := range rows {
		p := tally.NewOpened("ada")
		p.Stream = "tally-t" + strconv.Itoa(i)
		if events = append(events, p); len(events) == cap(events) {
			_, err := store.Append(b.Context(), event.Append{Events: events})
			must(b, err)
			events = events[:0]
		}
	}
	views, err := projection.Open(b.TempDir(), store, projection.Options{}, tallyview.ByOwner(owned{}))
	must(b, err)
	defer views.Close()
	must(b, views.At(b.Context(), rows, func(s *projection.Snapshot) error {
		view := tallyview.ByOwnerIn(s)
		b.ReportAllocs()
		i, key := 0, []byte("t")
		for b.Loop() {
			key = strconv.AppendInt(key[:1], int64(i*7919%rows), 10)
			if _, ok, err := view.Get(flat.String(key)); !ok || err != nil {
				b.Fatal(ok, err)
			}
			i++
		}
		return nil
	}))
}

func openStore(b *testing.B, dir string) *eventstore.Store {
	b.Helper()
	store, err := eventstore.Open(dir, eventstore.Options{Schemas: tally.Schema})
	must(b, err)
	b.Cleanup(func() { must(b, store.Close()) })
	return store
}

func drain(b *testing.B, store *eventstore.Store) {
	b.Helper()
	for s := store.Stats(); s.IndexPosition < s.Head; s = store.Stats() {
		if b.Context().Err() != nil {
			b.Fatal("the index does not come to the end")
		}
		time.Sleep(time.Millisecond)
	}
}

// fill opens a tenth as many tallies as there are to be events, and then adds to
// them in turn.
func fill(b *testing.B, store *eventstore.Store, total int) {
	b.Helper()
	const batch = 1000
	rows := total / 10
	for done := 0; done < total; done += batch {
		events := make([]event.Proposed, batch)
		for i := range events {
			n := done + i
			if n < rows {
				events[i] = tally.NewOpened("owner" + strconv.Itoa(n%1000))
			} else {
				events[i] = tally.NewAdded(tally.AddedFields{Amount: int64(n % 100)})
			}
			events[i].Stream = "tally-" + strconv.Itoa(n*7919%rows)
		}
		_, err := store.Append(context.Background(), event.Append{Events: events})
		must(b, err)
	}
	drain(b, store)
}

func must(b *testing.B, err error) {
	if err != nil {
		b.Helper()
		b.Fatal(err)
	}
}
