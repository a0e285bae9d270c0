package projection

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
	"github.com/verbatim-es/verbatim/schema"
)

func TestViewsFollowTheLog(t *testing.T) {
	t.Parallel()
	m := newMemory()
	for i := range 20 {
		m.addItem(t, stocked, item{SKU: fmt.Sprint(i % 6), Owner: "ada", Amount: int64(i)})
	}
	e := open(t, t.TempDir(), m, items(nil), counts(nil))
	agree(t, e, m, 20, "items", "counts")
	m.addItem(t, removed, item{SKU: "3", Owner: "ada"})
	last := m.addItem(t, ignored, item{})
	agree(t, e, m, last, "items", "counts")

	stats := statsOf(t, e, "items", func(v ViewStats) bool { return v.Position == last })
	if stats.Rows != 5 || stats.Applied != 21 || stats.Lag != 0 || !stats.Live || stats.Rate <= 0 {
		t.Errorf("stats: %+v", stats)
	}
}

func TestRestartGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	m, dir := newMemory(), t.TempDir()
	var handled atomic.Int64
	count := func(event.Event) error { handled.Add(1); return nil }
	var last uint64
	for round := range 4 {
		for i := range 10 {
			last = m.addItem(t, stocked, item{SKU: fmt.Sprint(i), Owner: "ada", Amount: int64(round)})
		}
		e := open(t, dir, m, counts(count))
		agree(t, e, m, last, "counts")
		closeEngine(t, e)
	}
	if handled.Load() != int64(last) {
		t.Errorf("%d events were handled %d times", last, handled.Load())
	}
}

func TestAbortedBatchCountsOnce(t *testing.T) {
	t.Parallel()
	m, dir := newMemory(), t.TempDir()
	// The crash: every batch gets as far as its commit, and no further.
	crashed := make(chan struct{}, 1)
	e := openWith(t, dir, m, func(at failpoint) error {
		if at != beforeCommit {
			return nil
		}
		select {
		case crashed <- struct{}{}:
		default:
		}
		return errors.New("crash")
	}, items(nil), counts(nil))
	var last uint64
	for i := range 10 {
		last = m.addItem(t, stocked, item{SKU: fmt.Sprint(i), Owner: "ada"})
	}
	<-crashed
	if err := e.View(func(s *Snapshot) error {
		if s.Position() != 0 || len(dumpView(t, s, "counts")) != 0 {
			t.Error("an aborted batch can be seen")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	closeEngine(t, e)
	agree(t, open(t, dir, m, items(nil), counts(nil)), m, last, "items", "counts")
}

func TestTroubleWithTheLogPasses(t *testing.T) {
	t.Parallel()
	m := newMemory()
	e := open(t, t.TempDir(), m, counts(nil))
	m.change(func() { m.broken = errors.New("cable") })
	for _, changed, _ := e.reached(0, nil); e.Stats().Err == nil; _, changed, _ = e.reached(0, nil) {
		<-changed
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var behind *event.BehindError
	if err := e.At(ctx, 1, nil); !errors.As(err, &behind) || !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "cable") {
		t.Errorf("At: %v", err)
	}
	m.change(func() { m.broken = nil })
	agree(t, e, m, m.addItem(t, stocked, item{SKU: "1"}), "counts")
}

func TestAnotherLogMeansRebuild(t *testing.T) {
	t.Parallel()
	for name, alter := range map[string]func(*memory){
		"another store":          func(m *memory) { m.store = ulid.MustNew(ulid.Now(), rand.Reader) },
		"behind":                 func(m *memory) { m.records = m.records[:5]; m.salt = 2 },
		"another id, at the end": func(m *memory) { m.records = m.records[:0]; m.salt = 2 },
	} {
		for _, running := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, running=%v", name, running), func(t *testing.T) {
				t.Parallel()
				m, dir := newMemory(), t.TempDir()
				fill := func(owner string, n int) {
					for i := range n {
						m.addItem(t, stocked, item{SKU: fmt.Sprint(i), Owner: owner})
					}
				}
				fill("ada", 12)
				e := open(t, dir, m, items(nil), counts(nil))
				agree(t, e, m, 12, "items", "counts")
				if !running {
					closeEngine(t, e)
				}
				m.change(func() { alter(m) })
				head, _ := m.Head(t.Context())
				if running && head.Position < 12 {
					// A log that lost its end and grew again before anybody
					// looked is found out at the next open: wait for the look.
					if head.Position == 0 {
						fill("bob", 3)
					}
					for _, changed, _ := e.reached(0, nil); e.Stats().Position >= 12; _, changed, _ = e.reached(0, nil) {
						<-changed
					}
				}
				head, _ = m.Head(t.Context())
				fill("bob", 15-int(head.Position))
				if !running {
					e = open(t, dir, m, items(nil), counts(nil))
				} else {
					m.addItem(t, stocked, item{SKU: "x", Owner: "cleo"})
				}
				head, _ = m.Head(t.Context())
				for _, changed, _ := e.reached(0, nil); e.Stats().Store != head.Store; _, changed, _ = e.reached(0, nil) {
					<-changed
				}
				agree(t, e, m, head.Position, "items", "counts")
			})
		}
	}
}

func TestAnotherEventAtTheCheckpointMeansRebuild(t *testing.T) {
	t.Parallel()
	m, dir := newMemory(), t.TempDir()
	m.addItem(t, stocked, item{SKU: "1", Owner: "ada"})
	e := open(t, dir, m, items(nil), counts(nil))
	agree(t, e, m, 1, "items", "counts")
	closeEngine(t, e)
	m.change(func() { m.records, m.salt = nil, 2 })
	m.addItem(t, stocked, item{SKU: "2", Owner: "bob"})
	agree(t, open(t, dir, m, items(nil), counts(nil)), m, 1, "items", "counts")
}

func TestSecondEngineIsRefused(t *testing.T) {
	t.Parallel()
	m, dir := newMemory(), t.TempDir()
	e := open(t, dir, m, counts(nil))
	var locked *lmdbenv.LockedError
	if _, err := Open(dir, m, Options{Logger: quiet()}, counts(nil)); !errors.As(err, &locked) || !locked.Same {
		t.Errorf("in this process: %v", err)
	}
	command := exec.Command(os.Args[0], "-test.run=^TestOpenElsewhere$", "-test.v")
	command.Env = append(os.Environ(), "PROJECTION_TEST_DIR="+dir)
	out, err := command.CombinedOutput()
	if want := fmt.Sprintf("is in use by process %d", os.Getpid()); err != nil || !strings.Contains(string(out), want) {
		t.Errorf("in another process: %v\n%s", err, out)
	}
	closeEngine(t, e)
	open(t, dir, m, counts(nil))
}

// TestOpenElsewhere is the other process of TestSecondEngineIsRefused.
func TestOpenElsewhere(t *testing.T) {
	dir := os.Getenv("PROJECTION_TEST_DIR")
	if dir == "" {
		t.Skip("runs as a process of TestSecondEngineIsRefused")
	}
	_, err := Open(dir, newMemory(), Options{Logger: quiet()}, counts(nil))
	fmt.Println(err)
}

func TestChangedTableNeedsANewVersion(t *testing.T) {
	t.Parallel()
	m, dir := newMemory(), t.TempDir()
	last := m.addItem(t, stocked, item{SKU: "1", Owner: "ada", Note: "n"})
	e := open(t, dir, m, items(nil), counts(nil))
	agree(t, e, m, last, "items")
	closeEngine(t, e)

	changed := items(nil)
	changed.Schema = shop(shopChangedBFBS)
	_, err := Open(dir, m, Options{Logger: quiet()}, changed, counts(nil))
	var layout *LayoutError
	if !errors.As(err, &layout) || layout.View != "items" || len(layout.Gone) != 0 || fmt.Sprint(layout.New) != "[index note on note]" {
		t.Fatalf("changed without a version: %v", err)
	}

	changed.Schema = shop(shop2BFBS)
	e = open(t, dir, m, changed, counts(nil))
	agree(t, e, m, last, "items", "counts")
	if err := e.At(t.Context(), last, func(s *Snapshot) error {
		v, err := s.View("items")
		if err != nil {
			return err
		}
		n := 0
		for _, err := range v.Scan(Range{Index: "note", Equal: []Value{StringValue("n")}}) {
			if err != nil {
				return err
			}
			n++
		}
		if n != 1 {
			t.Errorf("the new index has %d entries", n)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	closeEngine(t, e)
	agree(t, open(t, dir, m, items(nil), counts(nil)), m, last, "items", "counts") // and back
}

func TestViewThatWasNotDefinedForAWhile(t *testing.T) {
	t.Parallel()
	m, dir := newMemory(), t.TempDir()
	add := func() (last uint64) {
		for i := range 10 {
			last = m.addItem(t, stocked, item{SKU: fmt.Sprint(i), Owner: "ada"})
		}
		return last
	}
	first := add()
	e := open(t, dir, m, items(nil), counts(nil))
	agree(t, e, m, first, "items", "counts")
	closeEngine(t, e)

	second := add()
	e = open(t, dir, m, items(nil))
	agree(t, e, m, second, "items")
	closeEngine(t, e)

	e = open(t, dir, m, items(nil), counts(nil))
	agree(t, e, m, add(), "items", "counts")
}

func TestFailingHandlerParksItsViewOnly(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() error{
		"error": func() error { return errors.New("no such luck") },
		"panic": func() error { panic("no such luck") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, dir := newMemory(), t.TempDir()
			var repaired atomic.Bool
			sabotage := func(e event.Event) error {
				if e.Position() == 10 && !repaired.Load() {
					return fail()
				}
				return nil
			}
			var last uint64
			for i := range 20 {
				last = m.addItem(t, stocked, item{SKU: fmt.Sprint(i), Owner: "ada"})
			}
			e := open(t, dir, m, items(nil), counts(sabotage))
			agree(t, e, m, last, "items")
			assertParked(t, e, last)
			closeEngine(t, e)

			e = open(t, dir, m, items(nil), counts(sabotage))
			assertParked(t, e, last)
			var failed *HandlerError
			if err := e.Resume(t.Context(), "counts"); !errors.As(err, &failed) || failed.Position != 10 || failed.View != "counts" {
				t.Errorf("Resume of what still fails: %v", err)
			}
			assertParked(t, e, last)
			repaired.Store(true)
			if err := e.Resume(t.Context(), "counts"); err != nil {
				t.Fatal(err)
			}
			agree(t, e, m, last, "items", "counts")
		})
	}
}

// assertParked checks that the view "counts" stands before event 10.
func assertParked(t *testing.T, e *Engine, last uint64) {
	t.Helper()
	stats := statsOf(t, e, "counts", func(v ViewStats) bool { return v.Parked != nil })
	if stats.Position != 9 || stats.Parked.Position != 10 || stats.Parked.Type != stocked ||
		!strings.Contains(stats.Parked.Message, "no such luck") || stats.Lag != last-9 || stats.Live {
		t.Errorf("stats: %+v, parked: %+v", stats, stats.Parked)
	}
	var behind *event.BehindError
	if err := e.At(t.Context(), last, nil, "counts"); !errors.As(err, &behind) || behind.Position != 9 {
		t.Errorf("At of a parked view: %v", err)
	}
	err := e.View(func(s *Snapshot) error { _, err := s.View("counts"); return err })
	if !errors.As(err, &behind) || behind.Position != 9 || !strings.Contains(err.Error(), "no such luck") {
		t.Errorf("View of a parked view: %v", err)
	}
}

func TestRebuildEqualsWhatItReplaces(t *testing.T) {
	t.Parallel()
	m := newMemory()
	var last uint64
	for i := range 50 {
		last = m.addItem(t, stocked, item{SKU: fmt.Sprint(i % 20), Owner: fmt.Sprint(i % 3), Amount: int64(-i)})
	}
	e := open(t, t.TempDir(), m, items(nil), counts(nil))
	before := digest(t, e, last, "items")
	for range 3 { // into the second slot, and back
		if err := e.Rebuild(t.Context(), "items"); err != nil {
			t.Fatal(err)
		}
		if after := digest(t, e, last, "items"); after != before {
			t.Fatalf("before %+v, after %+v", before, after)
		}
	}
	if before.Rows != 20 || before.Entries != 5*20 || before.Forward == before.Backward {
		t.Errorf("digest: %+v", before)
	}
	m.addItem(t, stocked, item{SKU: "0", Owner: "z"})
	if digest(t, e, last+1, "items") == before {
		t.Error("another row, the same digest")
	}
	var unknown *event.UnknownError
	if err := e.Rebuild(t.Context(), "nothing"); !errors.As(err, &unknown) {
		t.Errorf("Rebuild of nothing: %v", err)
	}
}

func digest(t testing.TB, e *Engine, position uint64, view string) (d Digest) {
	t.Helper()
	err := e.At(context.Background(), position, func(s *Snapshot) error {
		v, err := s.View(view)
		if err != nil {
			return err
		}
		d, err = v.Digest(context.Background())
		return err
	}, view)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// A rebuild must not be seen until it is done: its first event waits here for
// the log to grow and the old build to be read.
func TestViewIsReadWhileItIsRebuilt(t *testing.T) {
	t.Parallel()
	m := newMemory()
	var applied atomic.Int64
	rebuilding, release := make(chan struct{}), make(chan struct{})
	e := open(t, t.TempDir(), m, items(nil), counts(func(event.Event) error {
		if applied.Add(1) == 21 { // the rebuild's first
			close(rebuilding)
			<-release
		}
		return nil
	}))
	for i := range 20 {
		m.addItem(t, stocked, item{SKU: fmt.Sprint(i), Owner: "ada"})
	}
	agree(t, e, m, 20, "items", "counts")
	done := make(chan error)
	go func() { done <- e.Rebuild(context.Background(), "counts") }()
	<-rebuilding
	agree(t, e, m, 20, "items", "counts")
	last := m.addItem(t, stocked, item{SKU: "20", Owner: "ada"})
	close(release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	agree(t, e, m, last, "items", "counts")
}

func TestFailedRebuildLeavesTheViewAlone(t *testing.T) {
	t.Parallel()
	m := newMemory()
	var broken atomic.Bool
	e := open(t, t.TempDir(), m, items(nil), counts(func(e event.Event) error {
		if broken.Load() && e.Position() == 5 {
			return errors.New("no such luck")
		}
		return nil
	}))
	var last uint64
	for i := range 20 {
		last = m.addItem(t, stocked, item{SKU: fmt.Sprint(i), Owner: "ada"})
	}
	agree(t, e, m, last, "items", "counts")
	broken.Store(true)
	var failed *HandlerError
	if err := e.Rebuild(t.Context(), "counts"); !errors.As(err, &failed) || failed.Position != 5 {
		t.Errorf("Rebuild: %v", err)
	}
	agree(t, e, m, m.addItem(t, stocked, item{SKU: "x", Owner: "ada"}), "items", "counts")
	broken.Store(false)
	if err := e.Rebuild(t.Context(), "counts"); err != nil {
		t.Error(err)
	}
}

func TestAtIsBounded(t *testing.T) {
	t.Parallel()
	m := newMemory()
	e, err := Open(t.TempDir(), m, Options{Logger: quiet(), MaxWait: time.Millisecond}, counts(nil))
	if err != nil {
		t.Fatal(err)
	}
	defer closeEngine(t, e)
	var behind *event.BehindError
	if err := e.At(t.Context(), 1, nil); !errors.As(err, &behind) || behind.Position != 0 {
		t.Errorf("At: %v", err)
	}
	var unknown *event.UnknownError
	if err := e.At(t.Context(), 0, nil, "nothing"); !errors.As(err, &unknown) || unknown.Name != "nothing" {
		t.Errorf("At of an unknown view: %v", err)
	}
}

func TestCloseWaitsForSnapshots(t *testing.T) {
	t.Parallel()
	m := newMemory()
	e := open(t, t.TempDir(), m, counts(nil))
	last := m.addItem(t, stocked, item{SKU: "1", Owner: "ada"})
	inside, closed := make(chan struct{}), make(chan error, 1)
	go func() {
		<-inside
		closed <- e.Close()
	}()
	var late *View
	err := e.At(t.Context(), last, func(s *Snapshot) error {
		v, err := s.View("counts")
		if err != nil {
			return err
		}
		late = v
		close(inside)
		<-e.done // Close has begun
		row, found, err := v.Get(StringValue("ada"))
		if owner, n := unpackCount(row); !found || owner != "ada" || n != 1 {
			t.Errorf("got %q %d", owner, n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	if _, _, err := late.Get(StringValue("ada")); !errors.Is(err, errExpired) {
		t.Errorf("a view that outlived its snapshot: %v", err)
	}
	for what, err := range map[string]error{
		"View": e.View(nil), "At": e.At(t.Context(), 0, nil), "Rebuild": e.Rebuild(t.Context(), "counts"),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s after Close: %v", what, err)
		}
	}
}

func TestDefinitionsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for want, defs := range map[string][]Definition{
		"none of the definition's schemas declares it": {{Table: "shop.Nothing", Schema: shop(shopBFBS)}},
		"has no Apply":     {{Table: "shop.Item", Schema: shop(shopBFBS)}},
		"is defined twice": {items(nil), items(nil)},
		"for API 9":        {{Table: "shop.Item", Schema: schema.Sources{{Name: "shop.fbs", BFBS: shopBFBS, API: 9}}}},
		"schema shop.fbs":  {{Table: "shop.Item", Schema: shop(shopBFBS[:100])}},
	} {
		if _, err := Open(t.TempDir(), newMemory(), Options{}, defs...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
