package projection

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/verbatim-es/verbatim/event"
)

// scripted is a view "items" that runs a function for each event.
func scripted(apply func(*Tx, event.Event) error) Definition {
	d := items(nil)
	d.Apply = apply
	return d
}

func TestUniqueNamesBothRows(t *testing.T) {
	t.Parallel()
	m := newMemory()
	var refused error
	e := open(t, t.TempDir(), m, scripted(func(tx *Tx, at event.Event) error {
		refused = tx.Put(itemOf(at).pack())
		return nil // the handler may go on: nothing was changed
	}))
	m.addItem(t, stocked, item{SKU: "1", Owner: "ada", Code: "x"})
	m.addItem(t, stocked, item{SKU: "1", Owner: "bob", Code: "x"}) // its own entry is no duplicate
	m.addItem(t, stocked, item{SKU: "2"})                          // no code,
	m.addItem(t, stocked, item{SKU: "3"})                          // and again
	last := m.addItem(t, stocked, item{SKU: "2", Owner: "cleo", Code: "x"})
	viewOf(t, e, last, "items", func(v *View) {
		if got := len(amounts(t, v, Range{Index: "owner", Equal: []Value{StringValue("cleo")}})); got != 0 {
			t.Error("a refused row is in an index")
		}
		if n, err := v.Len(); n != 3 || err != nil {
			t.Errorf("%d rows, %v", n, err)
		}
	})
	var unique *UniqueError
	if !errors.As(refused, &unique) || refused.Error() != `view "items": unique index "code": row "2" has the same "x" as row "1"` {
		t.Errorf("got %v", refused)
	}
	// The value is free again when its row lets go of it.
	m.addItem(t, stocked, item{SKU: "1", Code: "y"})
	last = m.addItem(t, stocked, item{SKU: "2", Code: "x"})
	viewOf(t, e, last, "items", func(v *View) {
		if got := len(amounts(t, v, Range{Index: "code", Equal: []Value{StringValue("x")}})); got != 1 || refused != nil {
			t.Errorf("%d rows, %v", got, refused)
		}
	})
}

func TestKeysOverTheLimit(t *testing.T) {
	t.Parallel()
	// A string takes 3 bytes more than it has: its kind and its end.
	const room = maxKey - 3
	for want, i := range map[string]item{
		"": {SKU: strings.Repeat("k", 100), Owner: strings.Repeat("o", room-100-3-9)},
		"entry in index \"owner\" takes 512 bytes":        {SKU: "k", Owner: strings.Repeat("o", room-3)},
		"entry in index \"owner_amount\" takes 512 bytes": {SKU: "k", Owner: strings.Repeat("o", room-3-9)},
		"primary key takes 512 bytes":                     {SKU: strings.Repeat("k", room+1)},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			m := newMemory()
			var got error
			e := open(t, t.TempDir(), m, scripted(func(tx *Tx, _ event.Event) error {
				row := i.pack()
				got = tx.Put(row)
				clear(row) // the caller's again, whatever came of it
				return nil
			}))
			last := m.add(t, "item-1", stocked, []byte("{}"))
			viewOf(t, e, last, "items", func(v *View) {
				if n := len(amounts(t, v, Range{})); n == 0 != (want != "") {
					t.Errorf("%d rows", n)
				}
			})
			var long *KeyTooLongError
			if want == "" {
				if got != nil {
					t.Error(got)
				}
			} else if !errors.As(got, &long) || !strings.Contains(got.Error(), want) || len(got.Error()) > 200 || long.Row != StringValue(i.SKU) {
				t.Errorf("got %v, want %q", got, want)
			}
		})
	}
}

func TestTxRefusesWhatIsNoRow(t *testing.T) {
	t.Parallel()
	m := newMemory()
	whole := item{SKU: "1", Owner: "ada"}.pack()
	var errs []error
	var leaked *Tx
	e := open(t, t.TempDir(), m, scripted(func(tx *Tx, _ event.Event) error {
		leaked = tx
		_, _, kind := tx.Get(IntValue(1))
		errs = []error{
			tx.Put(nil), tx.Put(whole[4:]), tx.Put(whole[:len(whole)-1]), tx.Put(item{Owner: "no key"}.pack()), tx.Put(packCount("ada", 1)[:20]),
			kind, tx.Delete(Value{}),
		}
		return tx.Delete(StringValue("never there"))
	}))
	last := m.add(t, "item-1", stocked, nil)
	viewOf(t, e, last, "items", func(v *View) {
		if n, err := v.Len(); n != 0 || err != nil {
			t.Errorf("%d rows, %v", n, err)
		}
	})
	for i, err := range errs {
		if err == nil {
			t.Errorf("%d was accepted", i)
		}
	}
	var invalid *event.InvalidDataError
	if !errors.As(errs[3], &invalid) || invalid.Type != "shop.Item" {
		t.Errorf("a row without its key: %v", errs[3])
	}
	closeEngine(t, e)
	if err := leaked.Put(whole); !errors.Is(err, errExpired) {
		t.Errorf("a transaction that was kept: %v", err)
	}
}

func TestFullDiskIsNotTheHandlersFault(t *testing.T) {
	t.Parallel()
	m := newMemory()
	e, err := Open(t.TempDir(), m, Options{Logger: quiet(), MapSize: 1 << 18}, scripted(func(tx *Tx, at event.Event) error {
		i := itemOf(at)
		i.Note = strings.Repeat("n", 1<<20)
		_ = tx.Put(i.pack()) // a handler that drops the error
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer closeEngine(t, e)
	m.addItem(t, stocked, item{SKU: "1"})
	for _, changed, _ := e.reached(0, nil); e.Stats().Err == nil; _, changed, _ = e.reached(0, nil) {
		<-changed
	}
	if s := e.Stats(); s.Position != 0 || s.Views[0].Parked != nil {
		t.Errorf("stats: %+v", s)
	}
}

func ExampleValue() {
	fmt.Println(IntValue(-3), StringValue("ada"), Value{})
	// Output: -3 "ada" absent
}

// A row that is too long is refused, with what and how much; one that is just
// as long as it may be is stored.
func TestRowsOverTheLimit(t *testing.T) {
	t.Parallel()
	m := newMemory()
	spare := maxRow - len(item{SKU: "1", Note: "n"}.pack()) - 64
	var fits, over error
	e := open(t, t.TempDir(), m, scripted(func(tx *Tx, _ event.Event) error {
		over = tx.Put(item{SKU: "2", Note: strings.Repeat("n", maxRow)}.pack())
		fits = tx.Put(item{SKU: "1", Note: strings.Repeat("n", spare)}.pack())
		return nil
	}))
	last := m.addItem(t, stocked, item{SKU: "1"})
	viewOf(t, e, last, "items", func(v *View) {
		if n, err := v.Len(); n != 1 || err != nil {
			t.Errorf("%d rows, %v", n, err)
		}
		row, found, err := v.Get(StringValue("1"))
		if err != nil || !found || len(unpackItem(row).Note) != spare {
			t.Errorf("the long row: %v, %v", found, err)
		}
	})
	var large *event.TooLargeError
	if !errors.As(over, &large) || large.Limit != maxRow || large.Actual <= maxRow || !strings.Contains(over.Error(), `view "items"`) {
		t.Errorf("a row that is too long: %v", over)
	}
	if fits != nil {
		t.Error(fits)
	}
}
