package projection

import (
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// What was taken is what is stored, rows and entries, whatever events do to the
// overlay before it is; and events that are taken back did nothing.
func TestTakenIsStoredAsItWas(t *testing.T) {
	t.Parallel()
	e := open(t, t.TempDir(), newMemory(), items(nil))
	b := e.views["items"][0].main
	rapid.Check(t, func(t *rapid.T) {
		if err := e.env.Update(b.clear); err != nil {
			t.Fatal(err)
		}
		w := &overlayWorld{e: e, o: newOverlay(b), now: make(map[string]item)}
		w.begin(t)
		t.Repeat(map[string]func(*rapid.T){"events": w.events, "take": w.take, "reset": w.reset})
		w.store(t)
	})
}

// overlayWorld is an overlay, what is in it, and what was taken from it.
type overlayWorld struct {
	e         *Engine
	o         *overlay
	pending   *pending
	taken     map[string]item
	now, then map[string]item // then is before the event at hand
}

func (w *overlayWorld) begin(t *rapid.T) {
	if err := w.e.env.View(w.o.begin); err != nil {
		t.Fatal(err)
	}
}

func (w *overlayWorld) events(t *rapid.T) {
	for range rapid.IntRange(1, 5).Draw(t, "events") {
		w.event(t)
	}
}

func (w *overlayWorld) event(t *rapid.T) {
	w.then = maps.Clone(w.now)
	for range rapid.SampledFrom([]int{1, 1, 2, 40}).Draw(t, "writes") {
		w.write(t)
	}
	if rapid.Bool().Draw(t, "fails") {
		w.o.revert()
		w.now = w.then
	} else {
		w.o.keep()
	}
	for key, i := range w.now {
		if got := fmt.Sprint(unpackItem(w.o.row(w.find(t, key)))); got != fmt.Sprint(i) {
			t.Fatalf("row %s is %v, want %v", key, got, i)
		}
	}
}

func (w *overlayWorld) write(t *rapid.T) {
	key := fmt.Sprint(rapid.IntRange(1, 40).Draw(t, "sku"))
	at := w.find(t, key)
	if rapid.IntRange(0, 3).Draw(t, "remove") == 0 {
		if _, found := w.now[key]; found {
			w.o.set(at, nil)
			delete(w.now, key)
		}
		return
	}
	i := item{
		SKU: key, Owner: rapid.SampledFrom([]string{"", "ada", "a longer name than ada's"}).Draw(t, "owner"),
		Amount: rapid.Int64Range(0, 2).Draw(t, "amount"),
	}
	w.o.set(at, i.pack())
	w.now[key] = i
}

func (w *overlayWorld) find(t *rapid.T, key string) (at int32) {
	err := w.e.env.View(func(txn *lmdbenv.Txn) (err error) {
		at, err = w.o.find(&lookup{engine: w.e, txn: txn, build: w.o.build}, encode([]Value{StringValue(key)}))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func (w *overlayWorld) take(t *rapid.T) {
	w.store(t)
	w.pending, w.taken = w.o.take(), maps.Clone(w.now)
}

// store stores what was taken the last time.
func (w *overlayWorld) store(t *rapid.T) {
	if w.pending == nil {
		return
	}
	err := w.e.env.Update(func(txn *lmdbenv.Txn) error {
		return w.pending.flush(txn, func(failpoint) error { return nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	w.pending = nil
	err = w.e.View(func(s *Snapshot) error {
		if got, want := dumpView(t, s, "items"), wantView("items", w.taken, nil); !maps.Equal(got, want) {
			t.Fatalf("stored %v, want %v", got, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.e.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// reset goes on with nothing in memory.
func (w *overlayWorld) reset(t *rapid.T) {
	w.take(t)
	w.store(t)
	w.o.reset()
	w.begin(t)
}

// What a large batch needed is not kept by small ones.
func TestOverlayGivesMemoryBack(t *testing.T) {
	t.Parallel()
	e := open(t, t.TempDir(), newMemory(), items(nil))
	o := newOverlay(e.views["items"][0].main)
	o.whole = true
	batch := func(rows int) {
		for i := range rows {
			row := item{SKU: fmt.Sprint(i)}.pack()
			at, err := o.find(nil, encode([]Value{StringValue(fmt.Sprint(i))}))
			if err != nil {
				t.Fatal(err)
			}
			o.set(at, row)
			o.set(at, row)
			o.keep()
		}
		o.take()
		o.reset()
		o.whole = true
	}
	batch(50_000)
	for range 10 {
		batch(1)
	}
	kept := 8*o.byKey.Room() + 32*cap(o.rows) + 4*cap(o.changed) + 32*cap(o.pending.rows) + 8*cap(o.held) +
		arenaChunk*(len(o.memory.chunks)+len(o.left.keys.chunks)+len(o.pending.entries.keys.chunks))
	for _, list := range o.memory.free {
		kept += 8 * cap(list)
	}
	if most := (3*keptChunks + 1) * arenaChunk; kept > most {
		t.Errorf("%d bytes are kept, want %d at most", kept, most)
	}
	if o.byKey.Room() > 64 || cap(o.rows)+cap(o.changed)+cap(o.pending.rows) > 3<<10 {
		t.Errorf("room is kept for %d keys and %d rows", o.byKey.Room(), cap(o.rows))
	}
}
