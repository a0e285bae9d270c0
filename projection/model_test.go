package projection

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/verbatim-es/verbatim/event"
)

// world is a log, an engine on it, and the trouble that both may have.
type world struct {
	t   *rapid.T
	dir string
	log *memory
	e   *Engine
	// crash makes every commit fail; broken is the position at which the
	// handler of "counts" fails, 0 for none. The follower reads them.
	crash  atomic.Bool
	broken atomic.Uint64
	// broke is where it failed last, parked that it is known to stand still.
	broke  uint64
	parked bool
	// skipped are the positions that version 1 of "counts" leaves out, and
	// serving the version that "counts" is read from.
	skipped map[uint64]bool
	serving string
	// crashAt is the failpoint at which the next transaction is lost.
	crashAt atomic.Int32
}

func (w *world) open() {
	e, err := Open(w.dir, w.log, Options{
		Logger: quiet(), BatchEvents: 16, MaxWait: 30 * time.Second, MapSize: 1 << 30,
		BuildRate: 10_000, // so that builds are under way while other things happen
		failpoint: func(at failpoint) error {
			if w.crash.Load() && failpoint(w.crashAt.Load()) == at {
				return errors.New("crash")
			}
			return nil
		},
	}, items(nil), counts(func(e event.Event) error {
		if e.Position() == w.broken.Load() {
			return errors.New("broken")
		}
		return nil
	}), doubled(nil))
	if err != nil {
		w.t.Fatal(err)
	}
	w.e = e
}

func (w *world) append(t *rapid.T) {
	for range rapid.IntRange(1, 12).Draw(t, "events") {
		sku := fmt.Sprint(rapid.IntRange(0, 9).Draw(t, "sku"))
		w.log.addItem(t, rapid.SampledFrom([]string{stocked, stocked, removed, ignored}).Draw(t, "type"), item{
			SKU: sku, Owner: rapid.SampledFrom([]string{"", "ada", "bob"}).Draw(t, "owner"),
			Amount: rapid.Int64Range(-3, 3).Draw(t, "amount"), Code: "code of " + sku,
		})
	}
}

func (w *world) restart(*rapid.T) {
	if err := w.e.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.open()
}

// crashAndRestart loses a batch that had everything but its commit.
func (w *world) crashAndRestart(t *rapid.T) {
	w.crashAt.Store(int32(rapid.SampledFrom([]failpoint{afterRows, afterIndexes, beforeCommit, beforeTakeOver}).Draw(t, "at")))
	w.crash.Store(true)
	w.append(t)
	if err := w.e.Close(); err != nil {
		t.Fatal(err)
	}
	w.crash.Store(false)
	w.open()
}

// beginRebuild leaves a rebuild under way. It may join one that was left before,
// while the handler was broken.
func (w *world) beginRebuild(t *rapid.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	view := rapid.SampledFrom(rebuilt).Draw(t, "view")
	err := w.e.Rebuild(ctx, view)
	var failed *HandlerError
	if errors.As(err, &failed) && view == "counts@1" && failed.Position == w.broke {
		return
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

var rebuilt = []string{"items", "counts@1", "counts@2"}

func (w *world) rebuild(t *rapid.T) {
	view := rapid.SampledFrom(rebuilt).Draw(t, "view")
	err := w.e.Rebuild(t.Context(), view)
	var failed *HandlerError
	if errors.As(err, &failed) && w.broken.Load() == 0 && failed.Position == w.broke {
		// It was under way while the handler was broken.
		err = w.e.Rebuild(t.Context(), view)
	}
	switch {
	case view == "counts@1" && w.broken.Load() != 0:
		if !errors.As(err, &failed) {
			t.Fatalf("rebuilt with a handler that fails: %v", err)
		}
	case err != nil:
		t.Fatal(err)
	case view == "counts@1":
		w.parked = false
	}
}

func (w *world) breakHandler(t *rapid.T) {
	if w.parked || w.broken.Load() != 0 {
		t.Skip("it is broken")
	}
	head, _ := w.log.Head(t.Context())
	w.broken.Store(head.Position + 1 + uint64(rapid.IntRange(0, 3).Draw(t, "in")))
	w.broke = w.broken.Load()
	for head.Position < w.broken.Load()-1 {
		head.Position = w.log.addItem(t, ignored, item{})
	}
	w.log.addItem(t, stocked, item{SKU: "1", Owner: "ada"})
	w.append(t)
	w.first(t, func(v ViewStats) bool { return v.Parked != nil })
	w.parked = true
}

// first waits until version 1 of "counts" is as wanted.
func (w *world) first(t *rapid.T, condition func(ViewStats) bool) ViewStats {
	return statsOfVersion(t, w.e, "counts", "1", condition)
}

func (w *world) repair(t *rapid.T) {
	if !w.parked {
		t.Skip("it is whole")
	}
	var failed *HandlerError
	if w.broken.Load() != 0 {
		if err := w.e.Resume(t.Context(), "counts@1"); !errors.As(err, &failed) || failed.Position != w.broken.Load() {
			t.Fatalf("resumed with a handler that fails: %v", err)
		}
	}
	w.broken.Store(0)
	if err := w.e.Resume(t.Context(), "counts@1"); err != nil {
		t.Fatal(err)
	}
	w.parked = false
}

// skip leaves the event out that the handler failed on.
func (w *world) skip(t *rapid.T) {
	if !w.parked {
		t.Skip("it is whole")
	}
	at := w.first(t, func(v ViewStats) bool { return v.Parked != nil }).Parked.Position
	if err := w.e.Skip(t.Context(), "counts@1", at); err != nil {
		t.Fatal(err)
	}
	w.broken.Store(0)
	w.skipped[at] = true
	w.parked = false
}

// switchVersion lets "counts" be read from another version, as far as that one
// can be read.
func (w *world) switchVersion(t *rapid.T) {
	to := rapid.SampledFrom([]string{"1", "2"}).Draw(t, "to")
	if to == "1" && w.parked && w.serving != "1" {
		var behind *event.BehindError
		if err := w.e.Switch(t.Context(), "counts", to); !errors.As(err, &behind) {
			t.Fatalf("switched to a version that is parked: %v", err)
		}
		return
	}
	head, _ := w.log.Head(t.Context())
	if to != "1" || !w.parked {
		if err := w.e.At(t.Context(), head.Position, func(*Snapshot) error { return nil }, "counts@"+to); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.e.Switch(t.Context(), "counts", to); err != nil {
		t.Fatal(err)
	}
	w.serving = to
}

// dropAndRestart drops the version that is not read, if it is the second.
func (w *world) dropAndRestart(t *rapid.T) {
	if w.serving == "2" {
		t.Skip("it is read")
	}
	if err := w.e.Drop(t.Context(), "counts", "2"); err != nil {
		t.Fatal(err)
	}
	w.restart(t)
}

// check compares every version that can be read with a fold over the log, and a
// parked one with a fold up to where it stands.
func (w *world) check(t *rapid.T) {
	head, _ := w.log.Head(t.Context())
	agree(t, w.e, w.log, head.Position, "items")
	references := []string{"counts@2"}
	if !w.parked {
		references = append(references, "counts@1")
	} else if v := w.first(t, func(v ViewStats) bool { return v.Parked != nil }); v.Position != v.Parked.Position-1 {
		t.Fatalf("parked at %d, applied %d", v.Parked.Position, v.Position)
	}
	if !w.parked || w.serving == "2" {
		references = append(references, "counts")
	}
	err := w.e.At(t.Context(), head.Position, func(s *Snapshot) error {
		for _, reference := range references {
			version := strings.TrimPrefix(reference, "counts@")
			if version == "counts" {
				version = w.serving
			}
			if got, want := dumpView(t, s, reference), w.counted(s.Position(), version); !maps.Equal(got, want) {
				t.Fatalf("%s at %d: got %v, want %v", reference, s.Position(), got, want)
			}
		}
		return nil
	}, references...)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.e.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// counted is what a version of "counts" must be at a position.
func (w *world) counted(position uint64, version string) map[string]string {
	w.log.mu.Lock()
	defer w.log.mu.Unlock()
	seen := make(map[string]uint64)
	for i, record := range w.log.records[:position] {
		e := event.Trusted(record)
		if e.Type() == ignored || version == "1" && w.skipped[uint64(i)+1] {
			continue
		}
		owner := itemOf(e).Owner
		seen[owner]++
		if version == "2" && owner != "bob" {
			seen[owner]++
		}
	}
	return wantView("counts", nil, seen)
}

func TestViewsEqualAFoldAfterAnything(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(root, "views")
		if err != nil {
			t.Fatal(err)
		}
		w := &world{t: t, dir: dir, log: newMemory(), skipped: make(map[uint64]bool), serving: "1"}
		w.open()
		defer func() {
			if err := w.e.Close(); err != nil {
				t.Error(err)
			}
		}()
		t.Repeat(map[string]func(*rapid.T){
			"append": w.append, "restart": w.restart, "crash": w.crashAndRestart,
			"rebuild": w.rebuild, "begin a rebuild": w.beginRebuild, "break": w.breakHandler, "repair": w.repair, "skip": w.skip,
			"switch": w.switchVersion, "drop": w.dropAndRestart, "": w.check,
		})
	})
}
