package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"time"

	"github.com/verbatim-es/verbatim/bench/store/ledger"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
)

type growOptions struct {
	dir                           string
	events, streams, batch, every int
	size                          int
}

// grower fills a store with batches, each to streams chosen at random.
type grower struct {
	growOptions
	store   *eventstore.Store
	random  *rand.Rand
	payload []byte
	written int // events
}

// Some streams have a hundred events each, which lie all over the log.
const (
	hundred  = 100
	hundreds = 1000 // of these streams, or fewer when there are few events
)

// hundredStreams is how many there are.
func (g *grower) hundredStreams() int { return max(1, min(hundreds, g.events/(10*hundred))) }

// hundredStream names one of them, by number.
func hundredStream(n int) string { return fmt.Sprintf("hundred-%d", n) }

func runGrow(args []string) error {
	var o growOptions
	flags := flag.NewFlagSet("grow", flag.ContinueOnError)
	flags.StringVar(&o.dir, "dir", os.TempDir(), "where the store is put")
	flags.IntVar(&o.events, "events", 10_000_000, "events to write")
	flags.IntVar(&o.streams, "streams", 10_000, "streams, which are chosen at random")
	flags.IntVar(&o.batch, "batch", 1000, "events of an append")
	flags.IntVar(&o.every, "every", 1_000_000, "events between two lines of the table")
	flags.IntVar(&o.size, "size", 256, "bytes of an event's payload")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(o.dir, "store-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	o.dir = dir
	g := &grower{growOptions: o, random: rand.New(rand.NewPCG(1, 2)), payload: make([]byte, o.size)}
	if err := g.open(); err != nil {
		return err
	}
	if err := g.fill(); err != nil {
		return err
	}
	return g.measure()
}

func (g *grower) open() (err error) {
	g.store, err = eventstore.Open(g.dir, eventstore.Options{Schemas: ledger.Schema})
	return err
}

func (g *grower) fill() error {
	fmt.Printf("%d events of %d B in appends of %d, %d streams\n\n| events | events/s until drained | log bytes an event | of record bytes | index bytes an event | largest heap, MiB |\n|---|---|---|---|---|---|\n", g.events, g.size, g.batch, g.streams)
	for done := 0; done < g.events; done += g.every {
		start := time.Now()
		heap := 0.0
		for n := 0; n < g.every; n += g.batch {
			if err := g.appendBatch(); err != nil {
				return err
			}
			if n%(50*g.batch) == 0 {
				heap = max(heap, heapNow())
			}
		}
		if err := (verbatim{g.store}).drain(); err != nil {
			return err
		}
		took := time.Since(start)
		s := g.store.Stats()
		fmt.Printf("| %d | %.0f | %.0f | %.2f | %.0f | %.0f |\n", s.Head, float64(g.every)/took.Seconds(),
			float64(s.LogBytes)/float64(s.Head), float64(s.LogBytes)/float64(s.RecordBytes), float64(s.IndexBytes)/float64(s.Head), heap)
	}
	return nil
}

// heapNow is what the heap holds in MiB, garbage included.
func heapNow() float64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20)
}

func (g *grower) appendBatch() error {
	events := make([]event.Proposed, g.batch)
	for i := range events {
		p := ledger.NewPosted(g.account(), ledger.PostedFields{Payload: g.payload})
		p.Stream = g.stream()
		if step, n := g.events/(hundred*g.hundredStreams()), g.hundredStreams(); step > 0 && g.written%step == 0 {
			p.Stream = hundredStream(g.written / step % n)
		}
		g.written++
		events[i] = p
	}
	_, err := g.store.Append(context.Background(), event.Append{Events: events})
	return err
}

func (g *grower) account() string { return fmt.Sprintf("account-%d", g.random.IntN(100_000)) }
func (g *grower) stream() string  { return fmt.Sprintf("ledger-%d", g.random.IntN(g.streams)) }

// measure reads what a user would of the store that is full now.
func (g *grower) measure() error {
	fmt.Print("\n| with all of them | p50 | per event |\n|---|---|---|\n")
	ctx := context.Background()
	for _, read := range []struct {
		name  string
		times int
		sel   func() event.Selection
	}{
		{"one stream, by name, warm", 1000, func() event.Selection { return event.Selection{Stream: g.stream()} }},
		{"one stream of a hundred scattered events, by name, warm", 5000, func() event.Selection {
			return event.Selection{Stream: hundredStream(g.random.IntN(g.hundredStreams()))}
		}},
		{"one tag, by name, warm", 1000, func() event.Selection { return event.Selection{Tags: []string{"account:" + g.account()}} }},
		{"the last event of a type", 1000, func() event.Selection {
			return event.Selection{Types: []string{ledger.PostedType}, Backward: true, Limit: 1}
		}},
	} {
		if err := g.timed(read.name, read.times, func() (n int, err error) {
			for _, err := range g.store.Read(ctx, read.sel()) {
				if err != nil {
					return n, err
				}
				n++
			}
			return n, nil
		}); err != nil {
			return err
		}
	}
	if err := g.conditions(ctx); err != nil {
		return err
	}
	if err := g.wakes(ctx); err != nil {
		return err
	}
	if err := g.replay(ctx); err != nil {
		return err
	}
	runtime.GC()
	fmt.Printf("\nheap after all of that, idle and collected: %.1f MiB\n", heapNow())
	if err := g.reopen(); err != nil {
		return err
	}
	return g.killed()
}

// timed prints the median of how long something takes, by itself and by event.
func (g *grower) timed(name string, times int, do func() (int, error)) error {
	runs := make([]run, 0, times)
	events := 0
	var sum time.Duration
	for range times {
		start := time.Now()
		n, err := do()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		took := time.Since(start)
		events += n
		sum += took
		runs = append(runs, run{p50: took})
	}
	mid := median(runs, func(r run) time.Duration { return r.p50 })
	fmt.Printf("| %s (%d events on average) | %v | %v |\n", name, events/times, mid.Round(100*time.Nanosecond), sum/time.Duration(max(events, 1)))
	return nil
}

// conditions compares appends without a condition with those on one about all
// events there are, which goes through the index.
func (g *grower) conditions(ctx context.Context) error {
	none := func() []event.Condition { return nil }
	absent := func() []event.Condition {
		return []event.Condition{event.NoneMatch{Query: event.Query{{Tags: []string{"account:nobody"}}}}}
	}
	present := func() []event.Condition {
		tag := "account:" + g.account()
		last := uint64(0)
		for e, err := range g.store.Read(ctx, event.Selection{Tags: []string{tag}, Backward: true, Limit: 1}) {
			if err == nil {
				last = e.Position()
			}
		}
		return []event.Condition{event.NoneMatch{Query: event.Query{{Tags: []string{tag}}}, After: last}}
	}
	for _, c := range []struct {
		name       string
		conditions func() []event.Condition
	}{
		{"append without condition", none},
		{"append on condition that nothing has a tag", absent},
		{"append on condition that nothing has a tag after the last that does", present},
	} {
		const times = 2000
		appends := make([]event.Append, times)
		for i := range appends {
			p := ledger.NewPosted(g.account(), ledger.PostedFields{Payload: g.payload})
			appends[i] = event.Append{Stream: g.stream(), Events: []event.Proposed{p}, Conditions: c.conditions()}
		}
		if err := g.timed(c.name, times, func() (int, error) {
			a := appends[0]
			appends = appends[1:]
			_, err := g.store.Append(ctx, a)
			var conflict *event.ConflictError
			if errors.As(err, &conflict) {
				err = nil // one of those before it had the tag
			}
			return 1, err
		}); err != nil {
			return err
		}
	}
	return nil
}

// replay reads the whole log, and prints it beside a copy of as many bytes.
// Every byte is read: the checksums are verified.
func (g *grower) replay(ctx context.Context) error {
	const rounds = 3
	for range rounds {
		if err := g.replayed("Read", func(yield func(event.Event) error) error {
			for e, err := range g.store.Read(ctx, event.Selection{}) {
				if err != nil {
					return err
				}
				if err := yield(e); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
		if err := g.replayed("View", func(yield func(event.Event) error) error {
			return g.store.View(ctx, func(s *eventstore.Snapshot) error {
				for e, err := range s.Read(event.Selection{}) {
					if err != nil {
						return err
					}
					if err := yield(e); err != nil {
						return err
					}
				}
				return nil
			})
		}); err != nil {
			return err
		}
		g.memcpy()
	}
	return nil
}

func (g *grower) replayed(how string, run func(func(event.Event) error) error) error {
	start := time.Now()
	bytes := 0
	if err := run(func(e event.Event) error {
		bytes += len(e.Record())
		return nil
	}); err != nil {
		return err
	}
	took := time.Since(start)
	fmt.Printf("\nreplay by %s: %.2f GB/s, %.2f M events/s\n", how, float64(bytes)/took.Seconds()/1e9, float64(g.store.Stats().Head)/took.Seconds()/1e6)
	return nil
}

// memcpy copies what does not fit into a cache.
func (g *grower) memcpy() {
	from, to := make([]byte, 256<<20), make([]byte, 256<<20)
	for i := range from {
		from[i] = byte(i)
	}
	const times = 8
	start := time.Now()
	for range times {
		copy(to, from)
	}
	took := time.Since(start)
	if to[len(to)-1] != from[len(from)-1] {
		panic("a copy that is none")
	}
	fmt.Printf("memcpy of 256 MiB: %.2f GB/s\n", times*float64(len(from))/took.Seconds()/1e9)
}

func (g *grower) reopen() error {
	start := time.Now()
	if err := g.store.Close(); err != nil {
		return err
	}
	closed := time.Since(start)
	start = time.Now()
	if err := g.open(); err != nil {
		return err
	}
	fmt.Printf("closed in %v, opened again, clean, in %v\n", closed.Round(time.Millisecond), time.Since(start).Round(time.Microsecond))
	return g.store.Close()
}
