package eventstore_test

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/eventstoretest"
	"github.com/verbatim-es/verbatim/internal/journal"
)

// BenchmarkAppend appends with everything that belongs to it: data built as a
// FlatBuffer and verified, a version, and stream, type and one tag indexed, to
// one of ten thousand streams at random. The time ends when log and index have
// reached the head. The rows without an index leave the index where it was, and end
// when the log has: what of the price is the index's. Compare with BenchmarkDisk in the same run, and let it run
// long (-benchtime 60s): short runs hide what log and index take up later.
func BenchmarkAppend(b *testing.B) {
	for _, load := range []struct {
		name             string
		appenders, batch int
		indexed          bool
	}{
		{"appenders-1", 1, 1, true},
		{"appenders-64", 64, 1, true},
		{"appenders-512", 512, 1, true},
		{"appenders-512-without-index", 512, 1, false},
		{"batches-of-1000", 1, 1000, true},
		{"batches-of-1000-without-index", 1, 1000, false},
	} {
		b.Run(load.name, func(b *testing.B) { benchmarkAppend(b, load.appenders, load.batch, load.indexed) })
	}
}

func benchmarkAppend(b *testing.B, appenders, batch int, indexed bool) {
	o := eventstore.Options{}
	if !indexed {
		o.MaxTail = 8 << 30 // nothing lets go of the lists
	}
	store := openBench(b, o)
	if !indexed {
		defer eventstore.HoldIndex(store)()
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	took := make([][]time.Duration, appenders)
	b.ReportAllocs()
	b.ResetTimer()
	var running sync.WaitGroup
	for i := range appenders {
		running.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 1))
			for left.Add(-1) >= 0 {
				a := benchAppend(random, batch)
				start := time.Now()
				if _, err := store.Append(context.Background(), a); err != nil {
					b.Error(err)
					return
				}
				took[i] = append(took[i], time.Since(start))
			}
		})
	}
	running.Wait()
	appended := b.Elapsed()
	drain(b, store, uint64(b.N*batch), indexed)
	b.StopTimer()
	all := slices.Concat(took...)
	slices.Sort(all)
	b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64((b.Elapsed() - appended).Milliseconds()), "drain-ms")
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(all[len(all)-1].Microseconds()), "max-µs")
	stats := store.Stats()
	b.ReportMetric(float64(stats.CommitTime.Microseconds())/float64(stats.Commits), "commit-µs")
	b.ReportMetric(float64(stats.Appends)/float64(stats.Commits), "appends/commit")
	b.ReportMetric(float64(stats.RecordBytes)/float64(stats.Events), "B/record")
	b.ReportMetric(float64(stats.LogBytes)/float64(stats.Events), "log-B/event")
	b.ReportMetric(float64(stats.IndexBytes)/float64(stats.Events), "index-B/event")
}

func openBench(b *testing.B, o eventstore.Options) *eventstore.Store {
	b.Helper()
	o.Schemas = eventstoretest.Schema
	store, err := eventstore.Open(b.TempDir(), o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := store.Close(); err != nil {
			b.Error(err)
		}
	})
	return store
}

// benchAppend is an append of events with 256 bytes of content.
func benchAppend(random *rand.Rand, batch int) event.Append {
	a := event.Append{
		Stream: "ledger-" + strconv.Itoa(random.IntN(10_000)),
		Events: make([]event.Proposed, batch),
	}
	for i := range a.Events {
		a.Events[i] = eventstoretest.Noted("tag-"+strconv.Itoa(random.IntN(1000)), 1)
		a.Events[i].Metadata = benchPad
		if batch > 1 {
			a.Events[i].Stream = "ledger-" + strconv.Itoa(random.IntN(10_000))
		}
	}
	return a
}

var benchPad = []event.Meta{{Key: "pad", Value: strings.Repeat("x", 190)}}

// drain waits until the log, and the index unless it is held, have taken
// everything up.
func drain(b *testing.B, store *eventstore.Store, head uint64, indexed bool) {
	for {
		stats := store.Stats()
		if stats.LogPosition == head && (stats.IndexPosition == head || !indexed) {
			return
		}
		if stats.ReadOnly != "" {
			b.Fatal(stats.ReadOnly)
		}
		time.Sleep(time.Millisecond)
	}
}

// BenchmarkSubscriber measures from the moment before an append to the moment
// at which a subscriber that waits has the event, and of that the part after
// the commit became visible.
func BenchmarkSubscriber(b *testing.B) {
	store := openBench(b, eventstore.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	received := make(chan time.Time)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for _, err := range store.Subscribe(ctx, event.Selection{}, event.SubscribeOptions{}) {
			if err != nil {
				return
			}
			received <- time.Now()
		}
	}()
	random := rand.New(rand.NewPCG(1, 1))
	var whole, after []time.Duration
	for b.Loop() {
		a := benchAppend(random, 1)
		before := store.Stats().CommitTime
		start := time.Now()
		if _, err := store.Append(ctx, a); err != nil {
			b.Fatal(err)
		}
		at := (<-received).Sub(start)
		whole, after = append(whole, at), append(after, at-(store.Stats().CommitTime-before))
	}
	cancel()
	<-ended
	slices.Sort(whole)
	slices.Sort(after)
	b.ReportMetric(float64(whole[len(whole)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(after[len(after)/2].Microseconds()), "but-sync-p50-µs")
	b.ReportMetric(float64(after[len(after)*99/100].Microseconds()), "but-sync-p99-µs")
}

// BenchmarkDisk is the limit: 4 KiB written over zeros, each with fdatasync.
func BenchmarkDisk(b *testing.B) {
	const size = 64 << 20
	name := filepath.Join(b.TempDir(), "zeros")
	if err := os.WriteFile(name, make([]byte, size), 0o600); err != nil {
		b.Fatal(err)
	}
	f, err := journal.Disk{Cached: true}.Open(name)
	if err != nil {
		b.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	block := []byte(strings.Repeat("x", 4096))
	at := int64(0)
	for b.Loop() {
		if _, err := f.WriteAt(block, at%size); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		at += 4096
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "syncs/s")
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
}
