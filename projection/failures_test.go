package projection

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

func TestSkippedEventStaysSkipped(t *testing.T) {
	t.Parallel()
	m, dir := newMemory(), t.TempDir()
	fails := func(at ...uint64) func(event.Event) error {
		return func(e event.Event) error {
			if slices.Contains(at, e.Position()) {
				return errors.New("no such luck")
			}
			return nil
		}
	}
	const n = 20
	for i := range n {
		m.addItem(t, stocked, item{SKU: fmt.Sprint(i), Owner: "ada"})
	}
	e := open(t, dir, m, items(nil), counts(fails(5, 9)))
	parkedAt := func(position uint64) {
		t.Helper()
		statsOf(t, e, "counts", func(v ViewStats) bool { return v.Parked != nil && v.Parked.Position == position })
	}
	parkedAt(5)
	var argument *event.ArgumentError
	if err := e.Skip(t.Context(), "counts", 4); !errors.As(err, &argument) || argument.Argument != "position" {
		t.Errorf("Skip of another event: %v", err)
	}
	if err := e.Skip(t.Context(), "items", 5); !errors.As(err, &argument) || argument.Argument != "view" {
		t.Errorf("Skip in a view that is not parked: %v", err)
	}
	var failed *HandlerError
	if err := e.Skip(t.Context(), "counts", 5); !errors.As(err, &failed) || failed.Position != 9 {
		t.Errorf("Skip, up to the next: %v", err)
	}
	parkedAt(9)
	if err := e.Skip(t.Context(), "counts", 9); err != nil {
		t.Fatal(err)
	}
	if got := countOf(t, e, n, "counts", "ada"); got != n-2 {
		t.Errorf("%d events counted", got)
	}
	before := digest(t, e, n, "counts")
	closeEngine(t, e)

	// The handler is whole again; the events stay out, also of a rebuild.
	e = open(t, dir, m, items(nil), counts(nil))
	if err := e.Rebuild(t.Context(), "counts"); err != nil {
		t.Fatal(err)
	}
	if after := digest(t, e, n, "counts"); after != before {
		t.Errorf("before %+v, after %+v", before, after)
	}
	s := statsOf(t, e, "counts", func(ViewStats) bool { return true })
	if len(s.Skipped) != 2 || s.Skipped[0].Position != 5 || s.Skipped[1].Position != 9 ||
		s.Skipped[0].Message != "no such luck" || s.Skipped[0].Type != stocked || s.Skipped[0].SkippedAt.IsZero() {
		t.Errorf("skipped: %+v", s.Skipped)
	}
	closeEngine(t, e)

	// Another version begins without.
	second := counts(nil)
	second.Version = "2"
	e = open(t, dir, m, items(nil), counts(nil), second)
	if got := countOf(t, e, n, "counts@2", "ada"); got != n {
		t.Errorf("another version has %d", got)
	}
}

func TestSkipsMeanNothingInAnotherLog(t *testing.T) {
	t.Parallel()
	m, dir := newMemory(), t.TempDir()
	for i := range 5 {
		m.addItem(t, stocked, item{SKU: fmt.Sprint(i), Owner: "ada"})
	}
	fail := func(e event.Event) error {
		if e.Position() == 3 && itemOf(e).Owner == "ada" {
			return errors.New("no such luck")
		}
		return nil
	}
	e := open(t, dir, m, counts(fail))
	statsOf(t, e, "counts", func(v ViewStats) bool { return v.Parked != nil })
	if err := e.Skip(t.Context(), "counts", 3); err != nil {
		t.Fatal(err)
	}
	closeEngine(t, e)
	m.change(func() { m.records, m.salt = nil, 9 })
	var last uint64
	for i := range 5 {
		last = m.addItem(t, stocked, item{SKU: fmt.Sprint(i), Owner: "bob"})
	}
	e = open(t, dir, m, counts(fail))
	agree(t, e, m, last, "counts")
	if s := statsOf(t, e, "counts", func(ViewStats) bool { return true }); len(s.Skipped) != 0 {
		t.Errorf("it still leaves out %+v", s.Skipped)
	}
}

// Who waits for a parked view to go on is told when the log has become another
// one meanwhile.
func TestResumeAndSkipAreAnsweredInAnotherLog(t *testing.T) {
	t.Parallel()
	for _, skip := range []bool{false, true} {
		m := newMemory()
		var waits atomic.Bool
		inside := make(chan struct{}, 1)
		def := counts(nil)
		apply := def.Apply
		def.Apply = func(tx *Tx, e event.Event) error {
			switch {
			case itemOf(e).Owner == "ada" && e.Position() == 3 && !waits.Load():
				return errors.New("no such luck")
			case itemOf(e).Owner == "ada" && e.Position() == 4:
				inside <- struct{}{}
				<-tx.Context().Done()
				return context.Cause(tx.Context())
			}
			return apply(tx, e)
		}
		for i := range 5 {
			m.addItem(t, stocked, item{SKU: fmt.Sprint(i), Owner: "ada"})
		}
		e := open(t, t.TempDir(), m, items(nil), def)
		statsOf(t, e, "counts", func(v ViewStats) bool { return v.Parked != nil })
		waits.Store(true)
		answered := make(chan error, 1)
		go func() {
			if skip {
				answered <- e.Skip(context.Background(), "counts", 3)
			} else {
				answered <- e.Resume(context.Background(), "counts")
			}
		}()
		<-inside
		m.change(func() { m.store, m.records, m.salt = event.ID{9}, nil, 9 })
		last := m.addItem(t, stocked, item{SKU: "1", Owner: "bob"})
		select {
		case err := <-answered:
			if skip != errors.Is(err, errLogChanged) || !skip && err != nil {
				t.Errorf("skip=%v: %v", skip, err)
			}
		case <-time.After(30 * time.Second):
			t.Errorf("skip=%v: no answer", skip)
		}
		agree(t, e, m, last, "items", "counts")
	}
}

// impatient opens views whose handlers have little time, and grace to return
// when it is over.
func impatient(t testing.TB, m *memory, grace time.Duration, defs ...Definition) *Engine {
	t.Helper()
	e, err := Open(t.TempDir(), m, Options{
		Logger: quiet(), MapSize: 1 << 30, MaxWait: 30 * time.Second,
		HandlerTimeout: 30 * time.Millisecond, handlerGrace: grace, Patience: 10 * time.Millisecond,
	}, defs...)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// A view whose handler takes its time lets the others go on, and comes back.
func TestSlowViewHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	m := newMemory()
	release := make(chan struct{})
	inside := make(chan struct{})
	e, err := Open(t.TempDir(), m, Options{Logger: quiet(), MapSize: 1 << 30, MaxWait: 30 * time.Second, Patience: time.Millisecond},
		items(nil), counts(func(e event.Event) error {
			if e.Position() == 3 {
				close(inside)
				<-release
			}
			return nil
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeEngine(t, e) })
	var last uint64
	for i := range 5 {
		last = m.addItem(t, stocked, item{SKU: fmt.Sprint(i), Owner: "ada"})
	}
	<-inside
	for range 5 {
		agree(t, e, m, last, "items")
		last = m.addItem(t, stocked, item{SKU: fmt.Sprint(last), Owner: "ada"})
	}
	s := statsOf(t, e, "counts", func(v ViewStats) bool { return !v.Live })
	if s.Parked != nil || s.Position >= 3 {
		t.Errorf("stats: %+v", s)
	}
	close(release)
	agree(t, e, m, last, "items", "counts")
}

// It comes back after as long as it was waited for, at the earliest.
func TestSlowViewStaysAway(t *testing.T) {
	t.Parallel()
	const patience = 200 * time.Millisecond
	m := newMemory()
	release := make(chan struct{})
	e, err := Open(t.TempDir(), m, Options{Logger: quiet(), MapSize: 1 << 30, Patience: patience}, items(nil), counts(func(event.Event) error {
		<-release
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeEngine(t, e) })
	began := time.Now()
	last := m.addItem(t, stocked, item{SKU: "1", Owner: "ada"})
	statsOf(t, e, "counts", func(v ViewStats) bool { return !v.Live })
	close(release)
	agree(t, e, m, last, "items", "counts")
	if took := time.Since(began); took < 2*patience {
		t.Errorf("it was back %v after its event, that it was waited for %v included", took, patience)
	}
}

// Each time that it leaves again soon, it stays away twice as long.
func TestSlowViewStaysAwayLonger(t *testing.T) {
	t.Parallel()
	b := build{joined: time.Now()}
	b.stayAway(b.joined.Add(time.Hour), time.Second)
	for _, want := range []time.Duration{2, 4, 8, 16, 32, 32} {
		b.joined = b.joinAfter
		b.stayAway(b.joined.Add(time.Second), time.Second)
		if b.away != want*time.Second || b.joinAfter != b.joined.Add(time.Second+b.away) {
			t.Errorf("it stays away for %v, want %v s", b.away, int(want))
		}
	}
	b.joined = b.joinAfter
	if b.stayAway(b.joined.Add(time.Minute), time.Second); b.away != time.Second {
		t.Errorf("after a minute: %v", b.away)
	}
}

// A handler that watches its context fails in time.
func TestEndlessHandlerIsCancelled(t *testing.T) {
	t.Parallel()
	m := newMemory()
	def := counts(nil)
	def.Apply = func(tx *Tx, e event.Event) error {
		<-tx.Context().Done()
		return context.Cause(tx.Context())
	}
	e := impatient(t, m, time.Minute, items(nil), def)
	last := m.addItem(t, stocked, item{SKU: "1", Owner: "ada"})
	agree(t, e, m, last, "items")
	s := statsOf(t, e, "counts", func(v ViewStats) bool { return v.Parked != nil })
	if s.Parked.Message != errHandlerTimeout.Error() || s.Position != 0 {
		t.Errorf("parked: %+v", s.Parked)
	}
	closeEngine(t, e)
}

// One that waits for its context only is no reason for Close to wait.
func TestCloseEndsHandlers(t *testing.T) {
	t.Parallel()
	m, dir := newMemory(), t.TempDir()
	inside := make(chan struct{})
	def := counts(nil)
	def.Apply = func(tx *Tx, e event.Event) error {
		close(inside)
		<-tx.Context().Done()
		return context.Cause(tx.Context())
	}
	e := open(t, dir, m, def)
	last := m.addItem(t, stocked, item{SKU: "1", Owner: "ada"})
	<-inside
	closeEngine(t, e)
	agree(t, open(t, dir, m, counts(nil)), m, last, "counts") // it was not parked
}

// Nobody waits for the handler of a version that is dropped.
func TestDropWaitsForNoHandler(t *testing.T) {
	t.Parallel()
	m := newMemory()
	for i := range 5 {
		m.addItem(t, stocked, item{SKU: fmt.Sprint(i), Owner: "ada"})
	}
	inside, release := make(chan struct{}), make(chan struct{})
	e, err := Open(t.TempDir(), m, Options{Logger: quiet(), MapSize: 1 << 30, handlerGrace: time.Hour}, counts(nil), doubled(func(event.Event) error {
		close(inside)
		<-release
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	<-inside
	if err := e.Drop(t.Context(), "counts", "2"); err != nil {
		t.Error(err)
	}
	agree(t, e, m, m.addItem(t, stocked, item{SKU: "x", Owner: "ada"}), "counts")
	close(release)
	closeEngine(t, e) // which waits for the handler, as there is time
}

// A handler that never returns is left behind, alone: it can change nothing any
// more, what it holds stays readable, and its view waits until it has returned.
func TestStuckHandlerIsLeftBehind(t *testing.T) {
	t.Parallel()
	for _, live := range []bool{true, false} { // or while it catches up
		t.Run(fmt.Sprintf("live=%v", live), func(t *testing.T) {
			t.Parallel()
			m := newMemory()
			release, returned := make(chan struct{}), make(chan error, 1)
			stuck := func(tx *Tx, e event.Event) error {
				if e.Position() != 3 {
					return tx.Put(packCount("ada", e.Position()))
				}
				row, _, err := tx.Get(StringValue("ada"))
				if err != nil {
					return err
				}
				if err := tx.Put(packCount("ada", 99)); err != nil {
					return err
				}
				<-release
				if owner, n := unpackCount(row); owner != "ada" || n != 2 {
					err = fmt.Errorf("the row changed to %q %d", owner, n)
				}
				returned <- errors.Join(err, tx.Put(packCount("ada", 100)))
				return nil
			}
			first, second := counts(nil), counts(nil)
			first.Apply, second.Version = stuck, "2"
			defs := []Definition{items(nil), first}
			view := "counts"
			if !live {
				// A version that is not the first is built beside the others.
				second.Apply, view = stuck, "counts@2"
				defs = []Definition{items(nil), counts(nil), second}
			}
			var last uint64
			for i := range 5 {
				last = m.addItem(t, stocked, item{SKU: fmt.Sprint(i), Owner: "ada"})
			}
			e := impatient(t, m, 30*time.Millisecond, defs...)
			agree(t, e, m, last, "items")
			at := func() ViewStats {
				v, err := e.find(view)
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range e.Stats().Views {
					if s.Name == v.name && s.Version == v.version {
						return s
					}
				}
				return ViewStats{}
			}
			for _, changed, _ := e.reached(0, nil); at().Parked == nil || at().Stuck == 0; _, changed, _ = e.reached(0, nil) {
				<-changed
			}
			if s := at(); s.Position != 2 || s.Parked.Position != 3 {
				t.Errorf("stats: %+v, %+v", s, s.Parked)
			}
			var stuckError *StuckError
			if err := e.Resume(t.Context(), view); !errors.As(err, &stuckError) {
				t.Errorf("Resume while it is stuck: %v", err)
			}
			agree(t, e, m, m.addItem(t, stocked, item{SKU: "x", Owner: "ada"}), "items")
			if !live { // and Close does not wait for it
				if err := e.Close(); !errors.As(err, &stuckError) {
					t.Errorf("Close: %v", err)
				}
			}
			close(release)
			if err := <-returned; !errors.Is(err, errExpired) || err.Error() != fmt.Sprintf("view %q: transaction %v", "counts", errExpired) {
				t.Errorf("in the handler: %v", err)
			}
			if live {
				for _, changed, _ := e.reached(0, nil); at().Stuck != 0; _, changed, _ = e.reached(0, nil) {
					<-changed
				}
				closeEngine(t, e)
			}
		})
	}
}

// What other processes are told of a handler that does not return ends with it,
// and with an engine that could not say so.
func TestStuckHandlerIsShown(t *testing.T) {
	t.Parallel()
	m, dir := newMemory(), t.TempDir()
	release := make(chan struct{})
	e, err := Open(dir, m, Options{Logger: quiet(), MapSize: 1 << 30, HandlerTimeout: 30 * time.Millisecond, handlerGrace: time.Minute},
		counts(func(e event.Event) error {
			if e.Position() == 2 {
				<-release
			}
			return nil
		}))
	if err != nil {
		t.Fatal(err)
	}
	shown := func(e *Engine) (s stuck) {
		err := e.env.View(func(txn *lmdbenv.Txn) (err error) {
			s, err = e.catalog.stuck(txn, "counts", "1")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	began := time.Now()
	for range 3 {
		m.addItem(t, stocked, item{SKU: "1", Owner: "ada"})
	}
	statsOf(t, e, "counts", func(v ViewStats) bool { return v.Stuck > 0 })
	if s := shown(e); s.Position != 2 || s.Since.Before(began.Add(-time.Second)) || s.Since.After(time.Now()) {
		t.Errorf("shown: %+v", s)
	}
	close(release)
	statsOf(t, e, "counts", func(v ViewStats) bool { return v.Stuck == 0 && v.Position == 3 })
	if s := shown(e); s != (stuck{}) {
		t.Errorf("when it has returned: %+v", s)
	}
	if err := e.env.Update(func(txn *lmdbenv.Txn) error { // as if it was killed
		return e.catalog.putStuck(txn, e.all[0], stuck{began, 3})
	}); err != nil {
		t.Fatal(err)
	}
	closeEngine(t, e)
	e = open(t, dir, m, counts(nil))
	if s := shown(e); s != (stuck{}) {
		t.Errorf("in another engine: %+v", s)
	}
}
