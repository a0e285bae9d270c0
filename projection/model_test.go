package projection

import (
	"errors"
	"fmt"
	"os"
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
	parked bool // "counts" is known to stand still
}

func (w *world) open() {
	e, err := Open(w.dir, w.log, Options{
		Logger: quiet(), BatchEvents: 16, MaxWait: 30 * time.Second, MapSize: 1 << 30,
		failpoint: func(at failpoint) error {
			if at == beforeCommit && w.crash.Load() {
				return errors.New("crash")
			}
			return nil
		},
	}, items(nil), counts(func(e event.Event) error {
		if e.Position() == w.broken.Load() {
			return errors.New("broken")
		}
		return nil
	}))
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
	w.crash.Store(true)
	w.append(t)
	if err := w.e.Close(); err != nil {
		t.Fatal(err)
	}
	w.crash.Store(false)
	w.open()
}

func (w *world) rebuild(t *rapid.T) {
	view := rapid.SampledFrom([]string{"items", "counts"}).Draw(t, "view")
	err := w.e.Rebuild(t.Context(), view)
	var failed *HandlerError
	switch {
	case view == "counts" && w.broken.Load() != 0:
		if !errors.As(err, &failed) {
			t.Fatalf("rebuilt with a handler that fails: %v", err)
		}
	case err != nil:
		t.Fatal(err)
	case view == "counts":
		w.parked = false
	}
}

func (w *world) breakHandler(t *rapid.T) {
	if w.parked || w.broken.Load() != 0 {
		t.Skip("it is broken")
	}
	head, _ := w.log.Head(t.Context())
	w.broken.Store(head.Position + 1 + uint64(rapid.IntRange(0, 3).Draw(t, "in")))
	for head.Position < w.broken.Load()-1 {
		head.Position = w.log.addItem(t, ignored, item{})
	}
	w.log.addItem(t, stocked, item{SKU: "1", Owner: "ada"})
	w.append(t)
	statsOf(t, w.e, "counts", func(v ViewStats) bool { return v.Parked != nil })
	w.parked = true
}

func (w *world) repair(t *rapid.T) {
	if !w.parked {
		t.Skip("it is whole")
	}
	var failed *HandlerError
	if w.broken.Load() != 0 {
		if err := w.e.Resume(t.Context(), "counts"); !errors.As(err, &failed) || failed.Position != w.broken.Load() {
			t.Fatalf("resumed with a handler that fails: %v", err)
		}
	}
	w.broken.Store(0)
	if err := w.e.Resume(t.Context(), "counts"); err != nil {
		t.Fatal(err)
	}
	w.parked = false
}

// check compares every view that can be read with a fold over the log, and a
// parked one with a fold up to where it stands.
func (w *world) check(t *rapid.T) {
	head, _ := w.log.Head(t.Context())
	agree(t, w.e, w.log, head.Position, "items")
	if !w.parked {
		agree(t, w.e, w.log, head.Position, "counts")
	} else if v := statsOf(t, w.e, "counts", func(v ViewStats) bool { return v.Parked != nil }); v.Position != v.Parked.Position-1 {
		t.Fatalf("parked at %d, applied %d", v.Parked.Position, v.Position)
	}
	if err := w.e.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestViewsEqualAFoldAfterAnything(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(root, "views")
		if err != nil {
			t.Fatal(err)
		}
		w := &world{t: t, dir: dir, log: newMemory()}
		w.open()
		defer func() {
			if err := w.e.Close(); err != nil {
				t.Error(err)
			}
		}()
		t.Repeat(map[string]func(*rapid.T){
			"append": w.append, "restart": w.restart, "crash": w.crashAndRestart,
			"rebuild": w.rebuild, "break": w.breakHandler, "repair": w.repair, "": w.check,
		})
	})
}
