package eventstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstoretest"
	"github.com/verbatim-es/verbatim/internal/journal"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

func openFaulty(t *testing.T, dir string, o Options) *Store {
	t.Helper()
	o.Schemas = eventstoretest.Schema
	if o.MaxJournal == 0 {
		o.MaxJournal, o.MaxAppend = 2<<20, 512<<10
	}
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		report, err := s.Verify(context.Background())
		if err != nil && !errors.Is(err, event.ErrUnavailable) {
			t.Errorf("verify: %v", err)
		}
		for _, p := range report.Problems {
			t.Errorf("verify: %v", p)
		}
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func struck(stream string) event.Append {
	return event.Append{Stream: stream, Events: []event.Proposed{eventstoretest.Struck(1)}}
}

func mustAppend(t *testing.T, s *Store, a event.Append) event.Receipt {
	t.Helper()
	receipt, err := s.Append(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return receipt
}

func TestFailedSyncTurnsTheStoreReadOnly(t *testing.T) {
	t.Parallel()
	s := openFaulty(t, t.TempDir(), Options{})
	mustAppend(t, s, struck("ledger-1"))
	s.committer.persist = func([]event.Event) error {
		return &journal.FailedError{First: 2, Last: 2, Err: syscall.EIO}
	}
	_, err := s.Append(t.Context(), struck("ledger-1"))
	if !errors.Is(err, event.ErrOutcomeUnknown) || !errors.Is(err, event.ErrUnavailable) {
		t.Errorf("the append whose sync failed: %v", err)
	}
	s.committer.persist = s.persist
	_, err = s.Append(t.Context(), struck("ledger-1"))
	if errors.Is(err, event.ErrOutcomeUnknown) || !errors.Is(err, event.ErrUnavailable) {
		t.Errorf("the append after it: %v", err)
	}
	if reason := s.Stats().ReadOnly; !strings.Contains(reason, "input/output") {
		t.Errorf("the reason: %q", reason)
	}
	page, err := s.ReadPage(t.Context(), event.Selection{}, event.PageOptions{})
	if err != nil || page.Count != 1 || page.Head != 1 {
		t.Errorf("reading goes on: %+v, %v", page, err)
	}
}

// TestFullLogIsAnOrdinaryError fills the log. What the journal has taken by then
// is there when the store is opened again with more room.
func TestFullLogIsAnOrdinaryError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(dir, Options{Schemas: eventstoretest.Schema, MapSize: 2 << 20, MaxJournal: 8 << 20, MaxAppend: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	big := event.Append{Stream: "ledger-1", Events: []event.Proposed{eventstoretest.Noted("x", 1)}}
	big.Events[0].Metadata = []event.Meta{{Key: "pad", Value: strings.Repeat("x", 100_000)}}
	stored := uint64(0)
	for ; err == nil; stored++ {
		_, err = s.Append(t.Context(), big)
	}
	stored--
	if !errors.Is(err, event.ErrUnavailable) || errors.Is(err, event.ErrOutcomeUnknown) || !lmdbenv.IsNoSpace(err) {
		t.Errorf("a full log: %v", err)
	}
	if reason := s.Stats().ReadOnly; reason != "" || stored < 5 {
		t.Errorf("read-only after %d events: %q", stored, reason)
	}
	if page, err := s.ReadPage(t.Context(), event.Selection{Category: "ledger"}, event.PageOptions{MaxBytes: 1 << 30}); err != nil || page.Count != int(stored) {
		t.Errorf("read %d of %d events: %v", page.Count, stored, err)
	}
	if err := s.Close(); !lmdbenv.IsNoSpace(err) {
		t.Errorf("close: %v", err)
	}
	if _, err := Open(dir, Options{MapSize: 2 << 20}); !lmdbenv.IsNoSpace(err) {
		t.Errorf("open without room for what is in the journal: %v", err)
	}
	again := openFaulty(t, dir, Options{})
	if got := mustAppend(t, again, struck("ledger-1")); got.First != stored+1 || got.Version != stored+1 {
		t.Errorf("an append with more room: %+v, %d were stored", got, stored)
	}
}

// TestForeignEventsAreNoticed has the log grow behind the store's back.
func TestForeignEventsAreNoticed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(dir, Options{Schemas: eventstoretest.Schema, MaxJournal: 1 << 20, MaxAppend: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, struck("ledger-1"))
	if err := s.folder.await(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	overwrite(t, s.log.env, s.log.records, bytes.Repeat([]byte{0xff}, 16), []byte("from elsewhere"))
	mustAppend(t, s, struck("ledger-1"))
	if err := s.folder.await(t.Context(), 2); !errors.Is(err, errOtherWriter) {
		t.Errorf("the log follows: %v", err)
	}
	if _, err := s.Append(t.Context(), struck("ledger-1")); !errors.Is(err, event.ErrUnavailable) || errors.Is(err, event.ErrOutcomeUnknown) || !errors.Is(err, errOtherWriter) {
		t.Errorf("append: %v", err)
	}
	if err := s.Close(); !errors.Is(err, errOtherWriter) {
		t.Errorf("close: %v", err)
	}
}

// gate lets a test hold commits.
type gate struct{ arrived, pass chan struct{} }

func hold(s *Store) gate {
	g := gate{make(chan struct{}), make(chan struct{})}
	s.committer.persist = func(events []event.Event) error {
		g.arrived <- struct{}{}
		<-g.pass
		return s.persist(events)
	}
	return g
}

type appended struct {
	receipt event.Receipt
	err     error
}

func appendAsync(ctx context.Context, s *Store, a event.Append) chan appended {
	out := make(chan appended, 1)
	go func() {
		receipt, err := s.Append(ctx, a)
		out <- appended{receipt, err}
	}()
	return out
}

// waitForQueue yields until n appends wait; the test's deadline bounds it.
func (c *committer) waitForQueue(n int) {
	for c.queueLen() != n {
		runtime.Gosched()
	}
}

func TestNothingIsVisibleBeforeTheSync(t *testing.T) {
	t.Parallel()
	s := openFaulty(t, t.TempDir(), Options{})
	g := hold(s)
	done := appendAsync(t.Context(), s, struck("ledger-1"))
	<-g.arrived
	page, err := s.ReadPage(t.Context(), event.Selection{}, event.PageOptions{Wait: 5 * time.Millisecond})
	if err != nil || page.Count != 0 || page.Head != 0 {
		t.Errorf("before the sync: %+v, %v", page, err)
	}
	select {
	case r := <-done:
		t.Errorf("acknowledged before the sync: %+v", r)
	default:
	}
	close(g.pass)
	if r := <-done; r.err != nil || r.receipt.First != 1 {
		t.Errorf("after the sync: %+v", r)
	}
}

func TestGivingUpWaiting(t *testing.T) {
	t.Parallel()
	s := openFaulty(t, t.TempDir(), Options{})
	g := hold(s)
	first := appendAsync(t.Context(), s, struck("ledger-1"))
	<-g.arrived
	queued, giveUpQueued := context.WithCancel(t.Context())
	taken, giveUpTaken := context.WithCancel(t.Context())
	second := appendAsync(queued, s, struck("ledger-2"))
	s.committer.waitForQueue(1)
	third := appendAsync(taken, s, struck("ledger-3"))
	s.committer.waitForQueue(2)

	giveUpQueued()
	if r := <-second; !errors.Is(r.err, context.Canceled) || errors.Is(r.err, event.ErrOutcomeUnknown) {
		t.Errorf("given up in the queue: %v", r.err)
	}
	g.pass <- struct{}{}
	if r := <-first; r.err != nil {
		t.Errorf("the first: %v", r.err)
	}
	<-g.arrived // with the third
	giveUpTaken()
	if r := <-third; !errors.Is(r.err, context.Canceled) || !errors.Is(r.err, event.ErrOutcomeUnknown) {
		t.Errorf("given up during the commit: %v", r.err)
	}
	g.pass <- struct{}{}
	page, err := s.ReadPage(t.Context(), event.Selection{After: 1}, event.PageOptions{Wait: time.Minute})
	if err != nil || page.Count != 1 {
		t.Fatalf("what was handed over: %+v, %v", page, err)
	}
	for e := range page.Events() {
		if e.Stream() != "ledger-3" {
			t.Errorf("stored is %v", e)
		}
	}
}

func TestFullQueueRefusesAtOnce(t *testing.T) {
	t.Parallel()
	s := openFaulty(t, t.TempDir(), Options{MaxQueue: 300})
	g := hold(s)
	first := appendAsync(t.Context(), s, struck("ledger-1"))
	<-g.arrived
	second := appendAsync(t.Context(), s, struck("ledger-1"))
	s.committer.waitForQueue(1)
	if _, err := s.Append(t.Context(), struck("ledger-1")); !errors.Is(err, event.ErrUnavailable) || errors.Is(err, event.ErrOutcomeUnknown) {
		t.Errorf("the third: %v", err)
	}
	close(g.pass)
	<-g.arrived
	for _, done := range []chan appended{first, second} {
		if r := <-done; r.err != nil {
			t.Error(r.err)
		}
	}
}

func TestFullTailBlocksUntilTheIndexFollows(t *testing.T) {
	t.Parallel()
	s := openFaulty(t, t.TempDir(), Options{MaxTail: 600})
	release := HoldIndex(s)
	a := struck("ledger-1")
	for range slabEvents {
		a.Events = append(a.Events, eventstoretest.Struck(2))
	}
	mustAppend(t, s, a) // the tail is beyond its bound now
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Append(ctx, struck("ledger-1")); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, event.ErrOutcomeUnknown) {
		t.Errorf("append on a full tail: %v", err)
	}
	blocked := appendAsync(t.Context(), s, struck("ledger-1"))
	release()
	if r := <-blocked; r.err != nil || r.receipt.First != slabEvents+2 {
		t.Errorf("append once the index followed: %+v", r)
	}
}

func TestClockGoesBackAndJumps(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var report bytes.Buffer
	s := openFaulty(t, dir, Options{Logger: textLogger(&report)})
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	s.committer.now = func() time.Time { return now }
	at := func(offset time.Duration) event.ID {
		now = now.Add(offset)
		return mustAppend(t, s, struck("ledger-1")).IDs[0]
	}
	ids := []event.ID{at(0), at(0), at(time.Second), at(-time.Hour), at(time.Minute), at(365 * 24 * time.Hour), at(-365 * 24 * time.Hour), at(-200 * 365 * 24 * time.Hour)}
	for i := 1; i < len(ids); i++ {
		if ids[i].Compare(ids[i-1]) <= 0 {
			t.Errorf("id %d: %v after %v", i, ids[i], ids[i-1])
		}
	}
	if got := s.Stats().ClockBehind; got != 4 {
		t.Errorf("the clock was behind %d times, want 4", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(report.String(), "the clock is behind"); got != 2 {
		t.Errorf("warned %d times of a clock that went back twice:\n%s", got, &report)
	}
	again := openFaulty(t, dir, Options{})
	if id := mustAppend(t, again, struck("ledger-1")).IDs[0]; id.Compare(ids[len(ids)-1]) <= 0 {
		t.Errorf("after reopening: %v after %v", id, ids[len(ids)-1])
	}
}

// TestIdleWaitersSleep shows that an event wakes only those it may concern.
func TestIdleWaitersSleep(t *testing.T) {
	t.Parallel()
	ws := newWaiters()
	selections := map[string]event.Selection{
		"stream":       {Stream: "ledger-1"},
		"other stream": {Stream: "ledger-2"},
		"category":     {Category: "ledger"},
		"other":        {Category: "other"},
		"type":         {Types: []string{eventstoretest.StruckType}},
		"other type":   {Types: []string{eventstoretest.NotedType}},
		"prefix":       {Types: []string{"contract."}},
		"other prefix": {Types: []string{"contract.led."}},
		"tag":          {Tags: []string{"a:b", "c:d"}},
		"other tag":    {Tags: []string{"x:y", "a:b"}},
		"everything":   {},
		"query":        {Query: event.Query{{Tags: []string{"x:y"}}, {Types: []string{eventstoretest.StruckType}}}},
	}
	entered := make(map[string]*waiter)
	for name, sel := range selections {
		entered[name] = newWaiter(&sel)
		ws.add(entered[name])
	}
	record, err := event.BuildRecord(&event.Append{Stream: "ledger-1", Events: []event.Proposed{eventstoretest.Struck(1)}}, 0, 1, []string{"a:b", "c:d"})
	if err != nil {
		t.Fatal(err)
	}
	one := ws.wake([]event.Event{event.Trusted(record)})
	if many := ws.wake(slices.Repeat([]event.Event{event.Trusted(record)}, 100)); many != one {
		t.Errorf("%d signals for an event, %d for a batch of such", one, many)
	}
	for name, w := range entered {
		sel := selections[name]
		want := sel.Matches(event.Trusted(record))
		if got := len(w.woken) == 1; got != want {
			t.Errorf("%s: woken %v, want %v", name, got, want)
		}
		ws.remove(w)
	}
	if fmt.Sprint(len(ws.any.waiters), len(ws.on), len(ws.prefix), ws.len()) != "0 0 0 0" {
		t.Errorf("waiters stay behind: %+v", ws)
	}
}
