package aggregate_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/oklog/ulid/v2"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/bank"
	"github.com/verbatim-es/verbatim/examples/bank/account"
)

// accepting is a log whose commits are faked away: it takes every append and
// keeps nothing.
type accepting struct {
	event.Log
	position atomic.Uint64
}

func (l *accepting) ReadPage(context.Context, event.Selection, event.PageOptions) (event.Page, error) {
	head := l.position.Load()
	return event.Page{Last: head, Head: head, Store: ulid.ULID{1}, Checked: true}, nil
}

func (l *accepting) Append(_ context.Context, a event.Append) (event.Receipt, error) {
	last := l.position.Add(uint64(len(a.Events)))
	return event.Receipt{First: last - uint64(len(a.Events)) + 1, Last: last, IDs: make([]event.ID, len(a.Events))}, nil
}

func warm(t testing.TB, log event.Log) *account.Handler {
	accounts := newBank(log)
	must(t)(accounts.Open(t.Context(), "1", "ada"))
	return accounts
}

func credit(t testing.TB, ctx context.Context, accounts *account.Handler) {
	if _, err := accounts.Credit(ctx, "1", account.CreditFields{Amount: 1}); err != nil {
		t.Fatal(err)
	}
}

// The command, the events and the state of a warm aggregate, without the log.
func BenchmarkHandleWarm(b *testing.B) {
	for _, c := range []struct {
		name string
		ctx  context.Context
		log  func() event.Log
	}{
		{"accepting", context.Background(), func() event.Log { return &accepting{} }},
		{"accepting, context that can end", b.Context(), func() event.Log { return &accepting{} }},
		{"memstore", context.Background(), func() event.Log { return newLog(b) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			accounts := warm(b, c.log())
			b.ReportAllocs()
			for b.Loop() {
				credit(b, c.ctx, accounts)
			}
		})
	}
}

// What the aggregate adds to the reading of a thousand events.
func BenchmarkLoad1000(b *testing.B) {
	log := newLog(b)
	accounts := warm(b, log)
	for range 999 {
		credit(b, context.Background(), accounts)
	}
	page, err := log.ReadPage(b.Context(), event.Selection{Stream: "account-1"}, event.PageOptions{MaxBytes: 1 << 20})
	if err != nil || page.Count != 1000 {
		b.Fatal(page.Count, err)
	}
	uncached := account.NewHandler(&paged{page: page}, bank.Teller{}, aggregate.Options{CacheBytes: -1})
	b.ReportAllocs()
	for b.Loop() {
		if state, _, err := uncached.Load(context.Background(), "1"); err != nil || state.Balance != 999 {
			b.Fatal(state, err)
		}
	}
}

// paged is a log of one page.
type paged struct {
	event.Log
	page event.Page
}

func (p *paged) ReadPage(context.Context, event.Selection, event.PageOptions) (event.Page, error) {
	return p.page, nil
}
