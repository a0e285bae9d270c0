package projection

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

func TestCheckFindsDamage(t *testing.T) {
	t.Parallel()
	const amount = 1 // the place of the index in the view
	for want, harm := range map[string]func(txn *lmdbenv.Txn, b *build) error{
		"has no right entry": func(txn *lmdbenv.Txn, b *build) error {
			entry, _ := b.view.entry(nil, amount, item{SKU: "1", Amount: 5}.pack(), encode([]Value{StringValue("1")}))
			return txn.Del(b.indexes[amount], entry, nil)
		},
		"is not the one of its row": func(txn *lmdbenv.Txn, b *build) error {
			entry, columns := b.view.entry(nil, amount, item{SKU: "1", Amount: 6}.pack(), encode([]Value{StringValue("1")}))
			return txn.Put(b.indexes[amount], entry, []byte{byte(columns), 0}, 0)
		},
		"has no row": func(txn *lmdbenv.Txn, b *build) error {
			entry, columns := b.view.entry(nil, amount, item{SKU: "2", Amount: 5}.pack(), encode([]Value{StringValue("2")}))
			return txn.Put(b.indexes[amount], entry, []byte{byte(columns), 0}, 0)
		},
		"has the value": func(txn *lmdbenv.Txn, b *build) error {
			return txn.Put(b.indexes[amount], []byte("entry"), []byte{9, 9}, 0)
		},
		"stands under": func(txn *lmdbenv.Txn, b *build) error {
			return txn.Put(b.rows, []byte("key"), item{SKU: "1"}.pack(), 0)
		},
		"size prefix": func(txn *lmdbenv.Txn, b *build) error {
			return txn.Put(b.rows, []byte("key"), []byte("not a row"), 0)
		},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			m := newMemory()
			e, err := Open(t.TempDir(), m, Options{Logger: quiet(), MapSize: 1 << 30}, items(nil))
			if err != nil {
				t.Fatal(err)
			}
			last := m.addItem(t, stocked, item{SKU: "1", Amount: 5})
			agree(t, e, m, last, "items")
			if err := e.Check(t.Context()); err != nil {
				t.Errorf("a whole view: %v", err)
			}
			if err := e.env.Update(func(txn *lmdbenv.Txn) error { return harm(txn, e.views["items"][0].main) }); err != nil {
				t.Fatal(err)
			}
			var damage *DamageError
			if err := e.Check(t.Context()); !errors.As(err, &damage) || damage.View != "items" || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
			if err := e.Rebuild(t.Context(), "items"); err != nil {
				t.Fatal(err)
			}
			closeEngine(t, e) // which checks it again
		})
	}
}

// A view that meets damage in the middle of a page is parked alone: the others
// begin their batch again, and miss nothing of it.
func TestDamageHidesNoEventsFromOthers(t *testing.T) {
	t.Parallel()
	m, dir := newMemory(), t.TempDir()
	e := open(t, dir, m, items(nil), counts(nil))
	last := m.addItem(t, stocked, item{SKU: "1", Owner: "ada", Amount: 5})
	agree(t, e, m, last, "items", "counts")
	loseEntry(t, e, e.views["items"][0].main, item{SKU: "1", Amount: 5})
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	// One page, of more events than are folded at once.
	for i := range 3 * firstChunk {
		last = m.addItem(t, stocked, item{SKU: "1", Owner: "ada", Amount: int64(i)})
	}
	e, err := Open(dir, m, Options{Logger: quiet(), MapSize: 1 << 30, MaxWait: 30 * time.Second, BatchBytes: 1}, items(nil), counts(nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeEngine(t, e) })
	agree(t, e, m, last, "counts")
	if s := statsOf(t, e, "items", func(v ViewStats) bool { return v.Parked != nil }); s.Position != 1 || !strings.Contains(s.Parked.Message, "is gone") {
		t.Errorf("stats: %+v, %+v", s, s.Parked)
	}
	if err := e.Rebuild(t.Context(), "items"); err != nil {
		t.Fatal(err)
	}
	agree(t, e, m, last, "items", "counts")
}

// A rebuild that meets damage is thrown away, and never what is read.
func TestDamagedRebuildLeavesTheViewAlone(t *testing.T) {
	t.Parallel()
	m, dir := newMemory(), t.TempDir()
	var rebuilding atomic.Bool
	inside, release := make(chan struct{}), make(chan struct{})
	def := items(func(e event.Event) error {
		if rebuilding.Load() && e.Position() == 10 {
			close(inside)
			<-release
		}
		return nil
	})
	var last uint64
	for i := range 14 { // two batches of open
		last = m.addItem(t, stocked, item{SKU: fmt.Sprint(i % 7), Owner: "ada", Amount: int64(i)})
	}
	e := open(t, dir, m, def)
	agree(t, e, m, last, "items")
	rebuilding.Store(true)
	done := make(chan error, 1)
	go func() { done <- e.Rebuild(context.Background(), "items") }()
	<-inside // the first batch is stored, the fourth row to be changed
	e.mu.Lock()
	spare := e.views["items"][0].spare()
	e.mu.Unlock()
	loseEntry(t, e, spare, item{SKU: "4", Amount: 4})
	close(release)
	if err := <-done; !errors.As(err, new(*DamageError)) {
		t.Errorf("Rebuild: %v", err)
	}
	agree(t, e, m, last, "items")
	closeEngine(t, e)
	agree(t, open(t, dir, m, items(nil)), m, last, "items")
}

// loseEntry removes the entry that a row has in the index on amount.
func loseEntry(t *testing.T, e *Engine, b *build, i item) {
	t.Helper()
	const amount = 1 // the place of the index in the view
	err := e.env.Update(func(txn *lmdbenv.Txn) error {
		entry, _ := b.view.entry(nil, amount, i.pack(), encode([]Value{StringValue(i.SKU)}))
		return txn.Del(b.indexes[amount], entry, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A row that the disk has changed is not handed out, neither by its key nor by
// an index.
func TestDamagedRowsAreNotRead(t *testing.T) {
	t.Parallel()
	m := newMemory()
	e, err := Open(t.TempDir(), m, Options{Logger: quiet(), MapSize: 1 << 30}, items(nil))
	if err != nil {
		t.Fatal(err)
	}
	last := m.addItem(t, stocked, item{SKU: "1", Amount: 5})
	agree(t, e, m, last, "items")
	row := item{SKU: "1", Amount: 5}.pack()
	row[0]++
	if err := e.env.Update(func(txn *lmdbenv.Txn) error {
		return txn.Put(e.views["items"][0].main.rows, encode([]Value{StringValue("1")}), row, 0)
	}); err != nil {
		t.Fatal(err)
	}
	if err := e.View(func(s *Snapshot) error {
		v, err := s.View("items")
		if err != nil {
			return err
		}
		if row, _, err := v.Get(StringValue("1")); row != nil || !errors.As(err, new(*DamageError)) {
			t.Errorf("by its key: %x, %v", row, err)
		}
		for _, index := range []string{"", v.of.indexes[1].Name} {
			for row, err := range v.Scan(Range{Index: index}) {
				if row != nil || !errors.As(err, new(*DamageError)) {
					t.Errorf("by index %q: %x, %v", index, row, err)
				}
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := e.Rebuild(t.Context(), "items"); err != nil {
		t.Fatal(err)
	}
	closeEngine(t, e)
}

// A database that is gone, whatever made it so, is not an empty one.
func TestLostDatabaseIsBuiltAgain(t *testing.T) {
	t.Parallel()
	for _, index := range []int{0, 1} {
		m, dir := newMemory(), t.TempDir()
		e := open(t, dir, m, items(nil))
		last := m.addItem(t, stocked, item{SKU: "1", Owner: "ada", Amount: 1})
		agree(t, e, m, last, "items")
		name := databases("items", e.views["items"][0].main.slot, e.views["items"][0].indexNames())[index]
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		env, err := lmdbenv.Open(dir, lmdbenv.Options{Kind: environmentKind, Format: environmentFormat, MapSize: 1 << 30})
		if err != nil {
			t.Fatal(err)
		}
		if err := env.Update(func(txn *lmdbenv.Txn) error { return removeDatabase(txn, name) }); err != nil {
			t.Fatal(err)
		}
		if err := env.Close(); err != nil {
			t.Fatal(err)
		}
		agree(t, open(t, dir, m, items(nil)), m, last, "items")
	}
}
