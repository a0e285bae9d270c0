package eventstore_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
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

// BenchmarkAppend appends single events, with everything that belongs to it:
// data built and verified, a version condition, stream, type and one tag
// indexed. The time ends when the index has reached the head. Compare with
// BenchmarkDisk in the same run.
func BenchmarkAppend(b *testing.B) {
	for _, appenders := range []int{1, 64} {
		b.Run(fmt.Sprintf("appenders-%d", appenders), func(b *testing.B) {
			benchmarkAppend(b, appenders)
		})
	}
}

func benchmarkAppend(b *testing.B, appenders int) {
	store, err := eventstore.Open(b.TempDir(), eventstore.Options{Schemas: eventstoretest.Schema})
	if err != nil {
		b.Fatal(err)
	}
	pad := []event.Meta{{Key: "pad", Value: strings.Repeat("x", 190)}}
	var left atomic.Int64
	left.Store(int64(b.N))
	took := make([][]time.Duration, appenders)
	b.ResetTimer()
	var running sync.WaitGroup
	for i := range appenders {
		running.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 1))
			for left.Add(-1) >= 0 {
				p := eventstoretest.Noted(fmt.Sprintf("tag-%d", random.IntN(1000)), 1)
				p.Metadata = pad
				a := event.Append{Stream: fmt.Sprintf("ledger-%d", random.IntN(10_000)), Events: []event.Proposed{p}}
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
	for store.Stats().IndexPosition < uint64(b.N) {
		time.Sleep(time.Millisecond)
	}
	b.StopTimer()
	all := slices.Concat(took...)
	slices.Sort(all)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(all[len(all)-1].Microseconds()), "max-µs")
	stats := store.Stats()
	b.ReportMetric(float64(stats.RecordBytes)/float64(stats.Events), "B/record")
	b.ReportMetric(float64(stats.Appends)/float64(stats.Commits), "appends/commit")
	if err := store.Close(); err != nil {
		b.Fatal(err)
	}
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
