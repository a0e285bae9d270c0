package projection

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/verbatim-es/verbatim/event"
)

// doubled is version 2 of the view "counts": it counts every event twice, but
// those of "bob".
func doubled(sabotage func(event.Event) error) Definition {
	d := counts(nil)
	d.Version = "2"
	d.Apply = func(tx *Tx, e event.Event) error {
		if sabotage != nil {
			if err := sabotage(e); err != nil {
				return err
			}
		}
		owner := itemOf(e).Owner
		row, found, err := tx.Get(StringValue(owner))
		if err != nil {
			return err
		}
		var n uint64
		if found {
			_, n = unpackCount(row)
		}
		if owner != "bob" {
			n++
		}
		return tx.Put(packCount(owner, n+1))
	}
	return d
}

// countOf reads one row of the view "counts", or of a version of it.
func countOf(t testing.TB, e *Engine, position uint64, view, owner string) (n uint64) {
	t.Helper()
	err := e.At(context.Background(), position, func(s *Snapshot) error {
		v, err := s.View(view)
		if err != nil {
			return err
		}
		row, found, err := v.Get(StringValue(owner))
		if err == nil && found {
			_, n = unpackCount(row)
		}
		return err
	}, view)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestVersionsSideBySide(t *testing.T) {
	t.Parallel()
	m, dir := newMemory(), t.TempDir()
	add := func(owner string) uint64 { return m.addItem(t, stocked, item{SKU: "1", Owner: owner}) }
	var last uint64
	for range 20 {
		add("bob")
		last = add("ada")
	}
	e := open(t, dir, m, items(nil), counts(nil))
	agree(t, e, m, last, "items", "counts")
	closeEngine(t, e)

	// The candidate waits before its first event: the old one goes on.
	release := make(chan struct{})
	e = open(t, dir, m, items(nil), counts(nil), doubled(func(event.Event) error { <-release; return nil }))
	last = add("ada")
	agree(t, e, m, last, "items", "counts")
	var behind *event.BehindError
	if err := e.Switch(t.Context(), "counts", "2"); !errors.As(err, &behind) || !strings.Contains(err.Error(), `view "counts@2" is being built`) {
		t.Errorf("Switch before it has caught up: %v", err)
	}
	if err := e.View(func(s *Snapshot) error { _, err := s.View("counts@2"); return err }); !errors.As(err, &behind) {
		t.Errorf("read before it has caught up: %v", err)
	}
	for _, err := range e.Compare(t.Context(), "counts", "1", "2") {
		if !errors.As(err, &behind) {
			t.Errorf("Compare before it has caught up: %v", err)
		}
	}
	close(release)
	if got := countOf(t, e, last, "counts@2", "ada"); got != 42 {
		t.Errorf("the candidate has %d", got)
	}
	if got := countOf(t, e, last, "counts", "ada"); got != 21 {
		t.Errorf("the version that serves has %d", got)
	}
	if got := differences(t, e, "counts", "1", "2"); !slices.Equal(got, []string{`"ada" 21 42 [n]`}) {
		t.Errorf("differences: %v", got)
	}

	for i, want := range []struct {
		version string
		ada     uint64
	}{{"2", 44}, {"1", 23}, {"2", 48}} {
		if err := e.Switch(t.Context(), "counts", want.version); err != nil {
			t.Fatal(err)
		}
		last = add("ada")
		if got := countOf(t, e, last, "counts", "ada"); got != want.ada {
			t.Errorf("switch %d, to version %s: %d, want %d", i, want.version, got, want.ada)
		}
		if infos := e.Views(); infos[0].Version != want.version {
			t.Errorf("Views: %+v", infos[0])
		}
	}
	var inUse *InUseError
	if err := e.Drop(t.Context(), "counts", "2"); !errors.As(err, &inUse) || inUse.Version != "2" {
		t.Errorf("Drop of what serves: %v", err)
	}
	closeEngine(t, e)

	// What serves is stored; the order of the definitions does not matter.
	e = open(t, dir, m, items(nil), counts(nil), doubled(nil))
	if got := countOf(t, e, last, "counts", "ada"); got != 48 {
		t.Errorf("after a restart: %d", got)
	}
	if err := e.Rebuild(t.Context(), "counts@1"); err != nil {
		t.Error(err)
	}
	if got := countOf(t, e, last, "counts@1", "ada"); got != 24 {
		t.Errorf("the other one, rebuilt: %d", got)
	}
	if err := e.Drop(t.Context(), "counts", "1"); err != nil {
		t.Fatal(err)
	}
	var unknown *event.UnknownError
	for what, err := range map[string]error{
		"Switch": e.Switch(t.Context(), "counts", "1"), "Drop": e.Drop(t.Context(), "counts", "1"),
		"Rebuild": e.Rebuild(t.Context(), "counts@1"),
		"View":    e.View(func(s *Snapshot) error { _, err := s.View("counts@1"); return err }),
	} {
		if !errors.As(err, &unknown) {
			t.Errorf("%s of what was dropped: %v", what, err)
		}
	}
	if got := countOf(t, e, add("ada"), "counts", "ada"); got != 50 {
		t.Errorf("after the drop: %d", got)
	}
}

// differences renders what Compare yields for versions of "counts".
func differences(t testing.TB, e *Engine, view, a, b string) (got []string) {
	t.Helper()
	for d, err := range e.Compare(context.Background(), view, a, b) {
		if err != nil {
			t.Fatal(err)
		}
		counts := []any{"-", "-"}
		for i, row := range [][]byte{d.A, d.B} {
			if row != nil {
				_, counts[i] = unpackCount(row)
			}
		}
		got = append(got, fmt.Sprint(d.Key, " ", counts[0], " ", counts[1], " ", d.Fields))
	}
	return got
}

// A version that is not defined any more stands still; defined again, it goes
// on where it was, and without a definition it can be dropped.
func TestVersionWithoutADefinition(t *testing.T) {
	t.Parallel()
	m, dir := newMemory(), t.TempDir()
	add := func() uint64 { return m.addItem(t, stocked, item{SKU: "1", Owner: "ada"}) }
	add()
	e := open(t, dir, m, counts(nil))
	agree(t, e, m, 1, "counts")
	closeEngine(t, e)

	e = open(t, dir, m, doubled(nil)) // takes over, as nobody keeps the other
	if got := countOf(t, e, add(), "counts", "ada"); got != 4 {
		t.Errorf("version 2: %d", got)
	}
	closeEngine(t, e)

	var handled atomic.Int64
	e = open(t, dir, m, counts(func(event.Event) error { handled.Add(1); return nil }), doubled(nil))
	if got := countOf(t, e, 2, "counts@1", "ada"); got != 2 || handled.Load() != 1 {
		t.Errorf("version 1 again: %d, from %d events", got, handled.Load())
	}
	closeEngine(t, e)

	e = open(t, dir, m, doubled(nil))
	if err := e.Drop(t.Context(), "counts", "1"); err != nil {
		t.Error(err)
	}
	var unknown *event.UnknownError
	if err := e.Drop(t.Context(), "counts", "1"); !errors.As(err, &unknown) {
		t.Errorf("Drop again: %v", err)
	}
	closeEngine(t, e)
	e = open(t, dir, m, counts(nil), doubled(nil))
	if got := countOf(t, e, 2, "counts@1", "ada"); got != 2 {
		t.Errorf("version 1, from the beginning: %d", got)
	}
}

// Of a view that has no definition any more, versions can be dropped one by one,
// the one that was read last, and none of them harms another.
func TestDropVersionsOfAViewWithoutDefinitions(t *testing.T) {
	t.Parallel()
	m, dir := newMemory(), t.TempDir()
	for range 5 {
		m.addItem(t, stocked, item{SKU: "1", Owner: "ada"})
	}
	e := open(t, dir, m, items(nil), counts(nil), doubled(nil))
	agree(t, e, m, 5, "items", "counts")
	if got := countOf(t, e, 5, "counts@2", "ada"); got != 10 {
		t.Fatalf("version 2 has %d", got)
	}
	closeEngine(t, e)

	e = open(t, dir, m, items(nil))
	var inUse *InUseError
	if err := e.Drop(t.Context(), "counts", "1"); !errors.As(err, &inUse) || inUse.Version != "1" {
		t.Errorf("Drop of what was read: %v", err)
	}
	if err := e.Drop(t.Context(), "counts", "2"); err != nil {
		t.Error(err)
	}
	closeEngine(t, e)

	var handled atomic.Int64
	count := func(event.Event) error { handled.Add(1); return nil }
	e = open(t, dir, m, items(nil), counts(count))
	agree(t, e, m, 5, "items", "counts")
	if handled.Load() != 0 {
		t.Errorf("version 1 was built again, of %d events", handled.Load())
	}
	closeEngine(t, e)

	e = open(t, dir, m, items(nil))
	if err := e.Drop(t.Context(), "counts", "1"); err != nil {
		t.Errorf("Drop of the last: %v", err)
	}
	closeEngine(t, e)
	e = open(t, dir, m, items(nil), counts(count))
	agree(t, e, m, 5, "items", "counts")
	if handled.Load() != 5 {
		t.Errorf("after all were dropped, %d events were handled", handled.Load())
	}
}

// Both versions' rows are read by the same code, so they must not contradict
// each other.
func TestVersionsThatCantBeReadAlike(t *testing.T) {
	t.Parallel()
	other := items(nil)
	other.Schema, other.Version = shop(shopClashBFBS), "2"
	_, err := Open(t.TempDir(), newMemory(), Options{Logger: quiet()}, items(nil), other)
	if err == nil || !strings.Contains(err.Error(), `field 2 is amount long in version "1" and amount string in version "2"`) {
		t.Errorf("got %v", err)
	}
}

func TestCompareFindsEveryDifference(t *testing.T) {
	t.Parallel()
	m := newMemory()
	odd := items(nil)
	odd.Version = "odd"
	odd.Apply = func(tx *Tx, e event.Event) error {
		i := itemOf(e)
		switch i.Amount % 3 {
		case 0:
			return nil // not there
		case 1:
			i.Note, i.Owner = "changed", "changed"
		}
		if err := tx.Put(item{SKU: i.SKU + "+"}.pack()); err != nil { // only there
			return err
		}
		return tx.Put(i.pack())
	}
	e := open(t, t.TempDir(), m, items(nil), odd)
	var last uint64
	for i := range 4 {
		last = m.addItem(t, stocked, item{SKU: fmt.Sprint(i), Owner: "ada", Amount: int64(i)})
	}
	agree(t, e, m, last, "items")
	if err := e.At(t.Context(), last, func(*Snapshot) error { return nil }, "items@odd"); err != nil {
		t.Fatal(err)
	}
	var got []string
	for d, err := range e.Compare(t.Context(), "items", "1", "odd") {
		switch {
		case err != nil:
			t.Fatal(err)
		case d.B == nil:
			got = append(got, d.Key.Text()+" A")
		case d.A == nil:
			got = append(got, d.Key.Text()+" B")
		default:
			got = append(got, fmt.Sprint(d.Key.Text(), " ", d.Fields))
		}
	}
	want := []string{"0 A", "1 [note owner]", "1+ B", "2+ B", "3 A"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for range e.Compare(t.Context(), "items", "1", "odd") {
		break // which must be fine
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range e.Compare(ended, "items", "1", "odd") {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("with an ended context: %v", err)
		}
	}
}

// Live views keep going while a build beside them is slow, and one event waits
// for at most one batch of it.
func TestBuildBesideLiveViewsYields(t *testing.T) {
	t.Parallel()
	m := newMemory()
	for i := range 500 {
		m.addItem(t, stocked, item{SKU: fmt.Sprint(i), Owner: "ada"})
	}
	inside := make(chan struct{}, 1000)
	step := make(chan struct{})
	e := open(t, t.TempDir(), m, counts(nil), doubled(func(event.Event) error {
		inside <- struct{}{}
		<-step
		return nil
	}))
	agree(t, e, m, 500, "counts")
	<-inside // the build is inside an event, and stays there
	for range 20 {
		agree(t, e, m, m.addItem(t, stocked, item{SKU: "x", Owner: "bob"}), "counts")
	}
	if s := statsOf(t, e, "counts", func(ViewStats) bool { return true }); !s.Serving || !s.Live || s.Lag != 0 {
		t.Errorf("stats: %+v", s)
	}
	close(step)
	last := m.addItem(t, stocked, item{SKU: "x", Owner: "bob"})
	if got := countOf(t, e, last, "counts@2", "bob"); got != 21 {
		t.Errorf("the build has %d", got)
	}
}

// Beside live views that have work, a build stores few rows at a time once it
// knows what a row costs; without a bound for that it would store all at once.
func TestBuildHoldBoundsWhatIsStored(t *testing.T) {
	t.Parallel()
	const rows = 5000
	m := newMemory()
	var last uint64
	for i := range rows {
		last = m.addItem(t, stocked, item{SKU: fmt.Sprint(i), Owner: "ada"})
	}
	var engine atomic.Pointer[Engine]
	var stored []int // rows of the rebuild
	e, err := Open(t.TempDir(), m, Options{
		Logger: quiet(), MapSize: 1 << 30, MaxWait: 30 * time.Second, BuildHold: time.Nanosecond,
		failpoint: func(at failpoint) error {
			if e := engine.Load(); e != nil && at == beforeStore { // on the follower's goroutine
				if b := e.all[0].spare(); b.fold == nil && len(b.overlay.changed) > 0 {
					stored = append(stored, len(b.overlay.changed))
					m.addItem(t, stocked, item{SKU: "0", Owner: "bob"}) // there is always work
				}
			}
			return nil
		},
	}, items(nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeEngine(t, e) })
	agree(t, e, m, last, "items")
	engine.Store(e)
	m.addItem(t, stocked, item{SKU: "0", Owner: "bob"})
	if err := e.Rebuild(t.Context(), "items"); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil { // so that the follower has ended
		t.Fatal(err)
	}
	if len(stored) < (rows-firstRows)/(fewestRows+chunkSize) {
		t.Errorf("%d rows were stored in %d transactions", rows, len(stored))
	}
	for i, n := range stored {
		if most := fewestRows + chunkSize; n > most && (i > 0 || n > firstRows+chunkSize) {
			t.Errorf("the %d. transaction stored %d rows", i+1, n)
		}
	}
}

func TestBuildRateAndETA(t *testing.T) {
	t.Parallel()
	m := newMemory()
	const n = 300
	for i := range n {
		m.addItem(t, stocked, item{SKU: fmt.Sprint(i), Owner: "ada"})
	}
	const rate = 1000
	e, err := Open(t.TempDir(), m, Options{Logger: quiet(), MapSize: 1 << 30, BuildRate: rate}, counts(nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeEngine(t, e) })
	agree(t, e, m, n, "counts")
	began := time.Now()
	done := make(chan error, 1)
	go func() { done <- e.Rebuild(context.Background(), "counts") }()
	s := statsOf(t, e, "counts", func(v ViewStats) bool { return v.Rebuilding && v.RebuildPosition > 0 && v.ETA > 0 })
	if s.RebuildPosition > n/2 || s.BuildRate <= 0 {
		t.Errorf("after its first batch: %+v", s)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	// The first batch, a tenth of a second's worth, goes without waiting.
	if took := time.Since(began); took < time.Second*(n-rate/10)/rate {
		t.Errorf("%d events a second were allowed, %d took %v", rate, n, took)
	}
}

// Other processes see how fast a build catches up, also when its engine is gone:
// then ever slower, and no time when it will be there.
func TestDirectoryShowsPace(t *testing.T) {
	t.Parallel()
	m, dir := newMemory(), t.TempDir()
	for range 300 {
		m.addItem(t, stocked, item{SKU: "1", Owner: "ada"})
	}
	e, err := Open(dir, m, Options{Logger: quiet(), MapSize: 1 << 30, BuildRate: 100}, counts(nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeEngine(t, e) })
	agree(t, e, m, 300, "counts")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Rebuild(ctx, "counts"); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	statsOf(t, e, "counts", func(v ViewStats) bool { return v.Rebuilding && v.ETA > 0 })
	closeEngine(t, e)
	d, err := OpenDirectory(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	versions, _, _, err := d.List()
	if err != nil || len(versions) != 2 {
		t.Fatal(versions, err)
	}
	for _, v := range versions {
		if building := v.Status == "rebuilding"; building != (v.BuildRate > 0) || building != (v.ETA > 0) {
			t.Errorf("listed: %+v", v)
		}
	}
}
