package eventstoretest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/verbatim-es/verbatim/event"
)

func testWaitWoken(t *testing.T, b *bench) {
	b.fill(t, 5)
	type result struct {
		page event.Page
		err  error
	}
	selections := []event.Selection{
		{After: 5},
		{After: 5, Stream: "ledger-9"},
		{After: 5, Category: "ledger"},
		{After: 5, Types: []string{NotedType}},
		{After: 5, Types: []string{"contract."}},
		{After: 5, Tags: []string{"text:now", "x:y"}},
		{After: 5, Query: event.Query{{Tags: []string{"none:none"}}, {Types: []string{"contract.ledger."}}}},
	}
	results := make(chan result)
	for _, s := range selections {
		go func() {
			page, err := b.log.ReadPage(b.ctx, s, event.PageOptions{Wait: patience})
			results <- result{page, err}
		}()
	}
	// Whether they wait already does not matter: none may miss it.
	p := Noted("now", 1)
	p.Tags = []string{"x:y"}
	b.append(t, event.Append{Stream: "ledger-9", Events: []event.Proposed{p}})
	for range selections {
		r := <-results
		if r.err != nil || r.page.Count != 1 || r.page.Last != 6 || r.page.More {
			t.Errorf("woken with %+v, %v", r.page, r.err)
		}
	}
}

// testWaitNeverMissed races appends with waits that are just beginning.
func testWaitNeverMissed(t *testing.T, b *bench) {
	const rounds = 100
	start := time.Now()
	for round := range uint64(rounds) {
		done := make(chan error)
		go func() {
			page, err := b.log.ReadPage(b.ctx, event.Selection{After: round, Stream: "ledger-1"}, event.PageOptions{Wait: patience})
			if err == nil && page.Count != 1 {
				err = fmt.Errorf("%d events, last %d of %d", page.Count, page.Last, page.Head)
			}
			done <- err
		}()
		b.append(t, event.Append{Stream: "ledger-1", Events: []event.Proposed{Struck(1)}})
		if err := <-done; err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
	// A missed one would have waited to the end of its patience.
	if took := time.Since(start); took > patience*9/10 {
		t.Errorf("%d waits took %v", rounds, took)
	}
}

func testWaitExpires(t *testing.T, b *bench) {
	b.fill(t, 5)
	start := time.Now()
	page := b.page(t, event.Selection{After: 2, Stream: "ledger-none"}, event.PageOptions{Wait: 20 * time.Millisecond})
	if page.Count != 0 || page.More || page.Last != 5 || page.Head != 5 {
		t.Errorf("after the wait: %+v", page)
	}
	if waited := time.Since(start); waited < 20*time.Millisecond {
		t.Errorf("waited only %v", waited)
	}
}

func testWaitCancelled(t *testing.T, b *bench) {
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Millisecond)
	defer cancel()
	if _, err := b.log.ReadPage(ctx, event.Selection{}, event.PageOptions{Wait: patience}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a wait whose context ended: %v", err)
	}
}

func testSubscribe(t *testing.T, b *bench) {
	const writers, each, before = 4, 50, 30
	b.fill(t, before)
	caughtUp := make(chan uint64, 1)
	var appenders sync.WaitGroup
	for w := range writers {
		appenders.Go(func() {
			for i := range each {
				stream := fmt.Sprintf("ledger-w%d", w)
				if _, err := b.log.Append(b.ctx, event.Append{Stream: stream, Events: []event.Proposed{Struck(int64(i))}}); err != nil {
					t.Errorf("append: %v", err)
					return
				}
			}
		})
	}
	defer appenders.Wait()
	next, live := uint64(1), false
	for e, err := range event.Subscribe(b.ctx, b.log, event.Selection{}, event.SubscribeOptions{CaughtUp: func(p uint64) { caughtUp <- p }}) {
		if err != nil {
			t.Fatalf("at position %d: %v", next, err)
		}
		if e.Position() != next {
			t.Fatalf("position %d, want %d", e.Position(), next)
		}
		if live && !e.Live {
			t.Errorf("position %d is not live, though one before it was", next)
		}
		live = e.Live
		if next++; next > before+writers*each {
			break
		}
	}
	select {
	case p := <-caughtUp:
		if p < before {
			t.Errorf("caught up at %d, before the history's end", p)
		}
	default:
		if live {
			t.Error("live without having caught up")
		}
	}
}

func testSubscribeFiltered(t *testing.T, b *bench) {
	all := b.fill(t, 20)
	s := event.Selection{Tags: []string{"mod:1"}, After: 3}
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	caughtUp := make(chan struct{})
	go func() {
		<-caughtUp
		for i := range 8 {
			p := Struck(1)
			p.Tags = []string{fmt.Sprintf("mod:%d", i%2)}
			if _, err := b.log.Append(b.ctx, event.Append{Stream: "ledger-1", Events: []event.Proposed{p}}); err != nil {
				t.Errorf("append: %v", err)
			}
		}
	}()
	want := append(positions(selected(all[3:], s)), 22, 24, 26, 28)
	var end error
	got := 0
	for e, err := range event.Subscribe(ctx, b.log, s, event.SubscribeOptions{CaughtUp: func(uint64) { close(caughtUp) }}) {
		if err != nil {
			end = err
			break
		}
		if e.Position() != want[got] || e.Live != (e.Position() > 20) {
			t.Errorf("got position %d (live %v), want %d", e.Position(), e.Live, want[got])
		}
		if got++; got == len(want) {
			cancel()
		}
	}
	if !errors.Is(end, context.Canceled) {
		t.Errorf("a cancelled subscription ends with %v", end)
	}
}

func testOneWins(t *testing.T, b *bench) {
	const racers, rounds = 8, 12
	for round := range uint64(rounds) {
		conditions := [][]event.Condition{
			{event.StreamAt{Stream: "ledger-1", Version: round}},
			{event.NoneMatch{Query: event.Query{{Tags: []string{"race:on"}}}, After: b.head(t).Position}},
		}[round%2]
		results := make(chan error)
		for r := range racers {
			go func() {
				p := Struck(int64(r))
				p.Tags = []string{"race:on"}
				_, err := b.log.Append(b.ctx, event.Append{Stream: "ledger-1", Events: []event.Proposed{p}, Conditions: conditions})
				results <- err
			}()
		}
		won := 0
		for range racers {
			switch err := <-results; {
			case err == nil:
				won++
			case !errors.Is(err, event.ErrConflict):
				t.Errorf("round %d: %v", round, err)
			}
		}
		if won != 1 {
			t.Errorf("round %d: %d won", round, won)
		}
	}
	b.nothingNew(t, rounds)
}

func testDense(t *testing.T, b *bench) {
	const writers, each = 8, 25
	var appenders sync.WaitGroup
	for w := range writers {
		appenders.Go(func() {
			for i := range each {
				a := event.Append{Stream: fmt.Sprintf("ledger-%d", (w+i)%3)}
				for range 1 + i%3 {
					a.Events = append(a.Events, Struck(int64(i)))
				}
				receipt, err := b.log.Append(b.ctx, a)
				if err != nil {
					t.Errorf("append: %v", err)
					return
				}
				// What was acknowledged can be read at once.
				page, err := b.log.ReadPage(b.ctx, event.Selection{Stream: a.Stream, FromVersion: receipt.Version, Limit: 1}, event.PageOptions{})
				if err != nil || page.Count != 1 {
					t.Errorf("read one's write %+v: %d events, %v", receipt, page.Count, err)
				}
			}
		})
	}
	appenders.Wait()
	versions := make(map[string]uint64)
	var last event.Event
	for i, e := range b.read(t, event.Selection{}) {
		if e.Position() != uint64(i)+1 {
			t.Fatalf("position %d comes as number %d", e.Position(), i+1)
		}
		if versions[e.Stream()]++; e.Version() != versions[e.Stream()] {
			t.Errorf("%v: want version %d", e, versions[e.Stream()])
		}
		if i > 0 {
			if e.ID().Compare(last.ID()) <= 0 {
				t.Errorf("position %d: id %v is not greater than %v", e.Position(), e.ID(), last.ID())
			}
			whole := last.BatchSeq()+1 == last.BatchSize() && e.BatchSeq() == 0
			if inside := e.BatchSeq() == last.BatchSeq()+1 && e.BatchSize() == last.BatchSize(); !whole && !inside {
				t.Errorf("position %d: an append is torn", e.Position())
			}
		}
		last = e
	}
	b.nothingNew(t, last.Position())
}

func testNoHoles(t *testing.T, b *bench) {
	ctx, stop := context.WithCancel(b.ctx)
	var readers sync.WaitGroup
	for _, s := range []event.Selection{{}, {Category: "ledger"}, {Tags: []string{"a:b"}}, {Types: []string{StruckType}, Backward: true}, {Stream: "ledger-1"}} {
		readers.Go(func() {
			seen := 0
			for ctx.Err() == nil {
				var last, n uint64
				for e, err := range event.Read(ctx, b.log, s) {
					if err != nil {
						if ctx.Err() == nil {
							t.Errorf("%+v: %v", s, err)
						}
						return
					}
					if n++; last != 0 && e.Position() != last+1 && e.Position() != last-1 {
						t.Errorf("%+v: position %d follows %d", s, e.Position(), last)
					}
					last = e.Position()
				}
				if int(n) < seen {
					t.Errorf("%+v: %d events after there were %d", s, n, seen)
				}
				seen = int(n)
			}
		})
	}
	for range 60 {
		p, q := Struck(1), Struck(2)
		p.Tags, q.Tags = []string{"a:b"}, []string{"a:b"}
		b.append(t, event.Append{Stream: "ledger-1", Events: []event.Proposed{p, q}})
	}
	stop()
	readers.Wait()
}
