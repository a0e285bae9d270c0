package eventstore

import (
	"context"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/PowerDNS/lmdb-go/lmdb"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstoretest"
)

// BenchmarkOpenAfterCrash opens stores of which neither log nor index have
// anything, while the tail was full: the most that a crash can leave behind.
// Records have about 470 bytes, in ten thousand streams. By default, MaxTail is
// 64 MiB.
func BenchmarkOpenAfterCrash(b *testing.B) {
	for _, mib := range []int{16, 64, 256} {
		b.Run(strconv.Itoa(mib)+"MiB", func(b *testing.B) {
			var events uint64
			var opened time.Duration
			for range b.N {
				n, took := openAfterCrash(b, mib<<20)
				events, opened = events+n, opened+took
			}
			b.ReportMetric(float64(events)/float64(b.N), "events")
			b.ReportMetric(opened.Seconds()/float64(b.N), "open-s")
		})
	}
}

func openAfterCrash(b *testing.B, tail int) (events uint64, took time.Duration) {
	dir := b.TempDir()
	full := make(chan struct{})
	o := Options{Schemas: eventstoretest.Schema, MaxJournal: 4 * tail, MaxAppend: 1 << 20, MaxTail: tail}
	o.hooks.at = func(p point) error {
		if p != pointFold {
			return nil
		}
		<-full // and even then the log takes nothing up
		return &lmdb.OpError{Op: "mdb_txn_commit", Errno: syscall.ENOSPC}
	}
	s, err := Open(dir, o)
	if err != nil {
		b.Fatal(err)
	}
	fill(b, s, int64(tail))
	close(full)
	head := s.recent.snapshot().head.position
	if err := s.Close(); err == nil {
		b.Fatal("nothing was left in the journal")
	}
	start := time.Now()
	s, err = Open(dir, Options{MaxJournal: 4 * tail, MaxAppend: 1 << 20})
	took = time.Since(start)
	if err != nil {
		b.Fatal(err)
	}
	if got := s.Stats().LogPosition; got != head {
		b.Fatalf("the log has %d of %d events", got, head)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	return head, took
}

// fill appends until the tail is full.
func fill(b *testing.B, s *Store, tail int64) {
	pad := []event.Meta{{Key: "pad", Value: strings.Repeat("x", 190)}}
	for n := 0; s.recent.snapshot().bytes() <= tail; {
		if s.journal.Stats().Free == 0 {
			if _, err := s.journal.Grow(); err != nil {
				b.Fatal(err)
			}
		}
		a := event.Append{Stream: "ledger-1"}
		for range 1000 {
			p := eventstoretest.Noted("tag-"+strconv.Itoa(n%1000), 1)
			p.Stream, p.Metadata = "ledger-"+strconv.Itoa(n%10_000), pad
			a.Events = append(a.Events, p)
			n++
		}
		if _, err := s.Append(context.Background(), a); err != nil {
			b.Fatal(err)
		}
	}
}
