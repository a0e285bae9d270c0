package projection_test

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/examples/bank/account/accountview"
	"github.com/verbatim-es/verbatim/projection"
)

var benchEvents = flag.Int("views-events", 1_000_000, "events in the log of the benchmarks; a tenth of it are the rows")

// totals keeps one row per account, which every event changes, and an entry in
// the index on its balance.
type totals struct{}

func (totals) OnCredited(tx accountview.BalancesTx, at event.Event, e account.Credited) error {
	id := at.StreamID()
	row, found, err := tx.Get(id)
	if err != nil {
		return err
	}
	next := accountview.Balance{Account: id, Owner: "somebody", Balance: e.Amount()}
	if found {
		next.Balance += row.Balance()
	}
	return tx.Put(next)
}

func (totals) OnOpened(accountview.BalancesTx, event.Event, account.Opened) error     { return nil }
func (totals) OnDebited(accountview.BalancesTx, event.Event, account.Debited) error   { return nil }
func (totals) OnClosed(accountview.BalancesTx, event.Event, account.Closed) error     { return nil }
func (totals) OnSent(accountview.BalancesTx, event.Event, account.Sent) error         { return nil }
func (totals) OnReceived(accountview.BalancesTx, event.Event, account.Received) error { return nil }

// proposed is the benchmark's i-th event: there are ten for every account, in
// no order.
func proposed(i int) event.Proposed {
	p := account.NewCredited(account.CreditedFields{Amount: int64(i)})
	p.Stream = fmt.Sprintf("account-%08d", i*7919%max(1, *benchEvents/10))
	return p
}

// pages is a log that costs nothing: its records, and where each begins.
type pages struct {
	store   event.ID
	records []byte
	starts  []int
	last    event.ID
}

func newPages(b *testing.B) *pages {
	b.Helper()
	p := &pages{store: event.ID{1}, starts: []int{0}}
	for i := range *benchEvents {
		record, err := event.BuildRecord(&event.Append{Events: []event.Proposed{proposed(i)}}, 0, 1, nil)
		if err != nil {
			b.Fatal(err)
		}
		binary.BigEndian.PutUint64(p.last[8:], uint64(i)+1)
		event.Seal(record, p.last, uint64(i)+1, 1)
		p.records = append(p.records, record...)
		p.starts = append(p.starts, len(p.records))
	}
	return p
}

func (p *pages) Head(context.Context) (event.Head, error) {
	return event.Head{Store: p.store, Position: uint64(*benchEvents), ID: p.last, First: 1}, nil
}

func (p *pages) ReadPage(ctx context.Context, s event.Selection, o event.PageOptions) (event.Page, error) {
	head := *benchEvents
	page := event.Page{Store: p.store, Head: uint64(head), Checked: true, Last: s.After}
	if int(s.After) == head {
		if o.Wait > 0 {
			<-ctx.Done()
		}
		return page, ctx.Err()
	}
	to := int(s.After)
	if o.MaxBytes == 0 {
		o.MaxBytes = 1 << 20
	}
	for to < head && (s.Limit == 0 || page.Count < s.Limit) && p.starts[to+1]-p.starts[s.After] <= o.MaxBytes {
		to++
		page.Count++
	}
	page.Records, page.Last, page.More = p.records[p.starts[s.After]:p.starts[to]], uint64(to), to < head
	return page, nil
}

// fill appends the benchmark's events to a store.
func fill(b *testing.B, log event.Appender) (head uint64) {
	b.Helper()
	const perAppend = 1000
	for n := 0; n < *benchEvents; n += perAppend {
		a := event.Append{Events: make([]event.Proposed, perAppend)}
		for i := range a.Events {
			a.Events[i] = proposed(n + i)
		}
		receipt, err := log.Append(context.Background(), a)
		if err != nil {
			b.Fatal(err)
		}
		head = receipt.Last
	}
	return head
}

func quietly() projection.Options {
	return projection.Options{Logger: slog.New(slog.DiscardHandler), MaxWait: 10 * time.Minute}
}

func benchLogs(b *testing.B, run func(b *testing.B, log event.Reader, head uint64)) {
	b.Run("memory", func(b *testing.B) {
		run(b, newPages(b), uint64(*benchEvents))
	})
	b.Run("store", func(b *testing.B) {
		log, err := eventstore.Open(b.TempDir(), eventstore.Options{Schemas: account.Schema, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			b.Fatal(err)
		}
		defer log.Close()
		run(b, log, fill(b, log))
	})
}

// BenchmarkRebuild builds the view from the whole log.
func BenchmarkRebuild(b *testing.B) {
	benchLogs(b, func(b *testing.B, log event.Reader, head uint64) {
		for b.Loop() {
			views, err := projection.Open(b.TempDir(), log, quietly(), accountview.Balances(totals{}))
			if err != nil {
				b.Fatal(err)
			}
			if err := views.At(context.Background(), head, func(*projection.Snapshot) error { return nil }); err != nil {
				b.Fatal(err)
			}
			if err := views.Close(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(head)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
}

// BenchmarkMap folds the same events into a plain map, without an index and
// without storing anything: the limit.
func BenchmarkMap(b *testing.B) {
	benchLogs(b, func(b *testing.B, log event.Reader, head uint64) {
		for b.Loop() {
			balances := make(map[string]*accountview.Balance)
			for e, err := range event.Read(context.Background(), log, event.Selection{}) {
				if err != nil {
					b.Fatal(err)
				}
				credited, _ := account.AsCredited(e)
				row := balances[e.StreamID()]
				if row == nil {
					row = &accountview.Balance{Account: e.StreamID(), Owner: "somebody"}
					balances[row.Account] = row
				}
				row.Balance += credited.Amount()
			}
		}
		b.ReportMetric(float64(head)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
}

// BenchmarkGet looks rows up by their key inside one snapshot.
func BenchmarkGet(b *testing.B) {
	head := uint64(*benchEvents)
	views, err := projection.Open(b.TempDir(), newPages(b), quietly(), accountview.Balances(totals{}))
	if err != nil {
		b.Fatal(err)
	}
	defer views.Close()
	keys := make([]string, 1024)
	for i := range keys {
		keys[i] = fmt.Sprintf("%08d", i*7919%max(1, *benchEvents/10))
	}
	err = views.At(context.Background(), head, func(s *projection.Snapshot) error {
		balances := accountview.BalancesIn(s)
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			if _, found, err := balances.Get(keys[i%len(keys)]); !found || err != nil {
				return fmt.Errorf("row %q: found %v, %w", keys[i%len(keys)], found, err)
			}
			i++
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkVisible is the time from an append to its row in a snapshot, in a
// system that does nothing else.
func BenchmarkVisible(b *testing.B) {
	log, err := eventstore.Open(b.TempDir(), eventstore.Options{Schemas: account.Schema, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	views, err := projection.Open(b.TempDir(), log, quietly(), accountview.Balances(totals{}))
	if err != nil {
		b.Fatal(err)
	}
	defer views.Close()
	var took []time.Duration
	for b.Loop() {
		receipt, err := log.Append(context.Background(), event.Append{Stream: "account-1", Events: []event.Proposed{account.NewCredited(account.CreditedFields{Amount: 1})}})
		if err != nil {
			b.Fatal(err)
		}
		appended := time.Now()
		if err := views.At(context.Background(), receipt.Last, func(*projection.Snapshot) error { return nil }); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(appended))
	}
	reportQuantiles(b, took)
}

func reportQuantiles(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	for name, q := range map[string]float64{"p50-ms": 0.5, "p99-ms": 0.99} {
		b.ReportMetric(took[int(q*float64(len(took)-1))].Seconds()*1000, name)
	}
}
