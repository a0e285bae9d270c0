package projection

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/schema/flat"
)

// kindsRow is a row of the view "kinds", as its columns' values in the order of
// the fields. Column 0 is the primary key.
type kindsRow [13]Value

const (
	columnText  = 9
	columnMaybe = 10
	columnStart = 11
)

// pack writes what the columns' types can hold. Fields that have their default
// are left out, as by every FlatBuffers builder.
func (r kindsRow) pack() []byte {
	b := flat.Get()
	text := b.CreateString(r[columnText].Text())
	b.StartObject(13)
	b.PrependUint64Slot(0, r[0].Uint(), 0)
	b.PrependBoolSlot(1, r[1].Bool(), false)
	b.PrependInt8Slot(2, int8(r[2].Int()), 0)
	b.PrependUint16Slot(3, uint16(r[3].Uint()), 0)
	b.PrependInt32Slot(4, int32(r[4].Int()), 0)
	b.PrependInt64Slot(5, r[5].Int(), 0)
	b.PrependUint64Slot(6, r[6].Uint(), 0)
	b.PrependFloat32Slot(7, float32(r[7].Float()), 0)
	b.PrependFloat64Slot(8, r[8].Float(), 0)
	if r[columnText].Kind() != Absent {
		b.PrependUOffsetTSlot(columnText, text, 0)
	}
	if r[columnMaybe].Kind() != Absent {
		b.PrependInt32(int32(r[columnMaybe].Int()))
		b.Slot(columnMaybe)
	}
	b.PrependInt16Slot(columnStart, int16(r[columnStart].Int()), -5)
	b.PrependByteSlot(12, byte(r[12].Uint()), 0)
	return flat.FinishSizePrefixed(b, b.EndObject())
}

func ints(low, high int64) *rapid.Generator[Value] {
	return rapid.Map(rapid.OneOf(rapid.Int64Range(low, high), rapid.Int64Range(-2, 2), rapid.SampledFrom([]int64{low, high})), IntValue)
}

func uints(high uint64) *rapid.Generator[Value] {
	return rapid.Map(rapid.OneOf(rapid.Uint64Range(0, high), rapid.Uint64Range(0, 2), rapid.Just(high)), UintValue)
}

func orAbsent(g *rapid.Generator[Value]) *rapid.Generator[Value] {
	return rapid.OneOf(g, g, rapid.Just(Value{}))
}

func anyKindsRow(t *rapid.T) kindsRow {
	columns := []*rapid.Generator[Value]{
		uints(math.MaxUint64), rapid.Map(rapid.Bool(), BoolValue), ints(math.MinInt8, math.MaxInt8), uints(math.MaxUint16),
		ints(math.MinInt32, math.MaxInt32), ints(math.MinInt64, math.MaxInt64), uints(math.MaxUint64),
		rapid.Map(anyFloat(), func(f float64) Value { return FloatValue(float64(float32(f))) }), rapid.Map(anyFloat(), FloatValue),
		orAbsent(rapid.Map(anyText(), func(s string) Value { return StringValue(strings.ToValidUTF8(s, "?")) })),
		orAbsent(ints(math.MinInt32, math.MaxInt32)), ints(math.MinInt16, math.MaxInt16), uints(math.MaxUint8),
	}
	var row kindsRow
	for i, g := range columns {
		row[i] = g.Draw(t, fmt.Sprint("column ", i))
	}
	return row
}

// kindsIndexes are the columns of each index of the view "kinds".
var kindsIndexes = map[string][]int{
	"": {0}, "flag": {1}, "tiny": {2}, "small": {3}, "medium": {4}, "number": {5}, "huge": {6}, "narrow": {7}, "real": {8},
	"text": {9}, "maybe": {10}, "start": {11}, "grade": {12}, "text_number": {9, 5}, "flag_real": {1, 8},
}

// kinds is a definition whose events are rows, put as they are.
func kinds() Definition {
	return Definition{
		Table: "shop.Kinds", Schema: shop(shopBFBS), Types: []string{stocked},
		Apply: func(tx *Tx, e event.Event) error { return tx.Put(e.Data()) },
	}
}

// Rows are read through every index, as ranges, in both directions and in
// pieces by cursor, and compared with a sorted slice.
func TestIndexOrderIsValueOrder(t *testing.T) {
	t.Parallel()
	m := newMemory()
	e := open(t, t.TempDir(), m, kinds())
	var last uint64
	stored := make(map[uint64]kindsRow)
	rapid.Check(t, func(t *rapid.T) {
		for range rapid.IntRange(1, 8).Draw(t, "rows") {
			row := anyKindsRow(t)
			stored[row[0].Uint()] = row
			last = m.add(t, "kinds-1", stocked, row.pack())
		}
		if err := e.At(t.Context(), last, func(s *Snapshot) error {
			v, err := s.View("kinds")
			if err != nil {
				return err
			}
			for range 5 {
				checkRange(t, v, stored)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	})
}

func checkRange(t *rapid.T, v *View, stored map[uint64]kindsRow) {
	r := Range{
		Index:    rapid.SampledFrom(slices.Sorted(maps.Keys(kindsIndexes))).Draw(t, "index"),
		Backward: rapid.Bool().Draw(t, "backward"),
	}
	columns := kindsIndexes[r.Index]
	// The bounds come from stored rows, so that they are hit exactly.
	some := func() []Value {
		keys := slices.Sorted(maps.Keys(stored))
		row := stored[rapid.SampledFrom(keys).Draw(t, "bound")]
		n := rapid.IntRange(0, len(columns)).Draw(t, "columns")
		var values []Value
		for _, c := range columns[:n] {
			values = append(values, row[c])
		}
		return values
	}
	if rapid.Bool().Draw(t, "equal") {
		r.Equal = some()
	} else {
		r.From, r.To = some(), some()
	}
	want := wantRange(r, columns, stored)
	piece := rapid.IntRange(1, 10).Draw(t, "piece")
	var got []uint64
	for r.Limit = piece; ; {
		n := 0
		for row, err := range v.Rows(r) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, v.of.key.value(row.Bytes()).Uint())
			r.Cursor = row.Cursor()
			n++
		}
		if n < piece {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%+v: got %v, want %v", r, got, want)
	}
}

func wantRange(r Range, columns []int, stored map[uint64]kindsRow) (keys []uint64) {
	compare := func(row kindsRow, values []Value) int {
		for i, value := range values {
			if c := compareValues(row[columns[i]], value); c != 0 {
				return c
			}
		}
		return 0
	}
	for key, row := range stored {
		if len(r.Equal) > 0 && compare(row, r.Equal) != 0 ||
			len(r.From) > 0 && compare(row, r.From) < 0 || len(r.To) > 0 && compare(row, r.To) >= 0 {
			continue
		}
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b uint64) int {
		for _, c := range append(slices.Clone(columns), 0) {
			if order := compareValues(stored[a][c], stored[b][c]); order != 0 {
				return order
			}
		}
		return 0
	})
	if r.Backward {
		slices.Reverse(keys)
	}
	return keys
}

// viewOf runs fn on a view as of position.
func viewOf(t testing.TB, e *Engine, position uint64, name string, fn func(*View)) {
	t.Helper()
	if err := e.At(t.Context(), position, func(s *Snapshot) error {
		v, err := s.View(name)
		if err == nil {
			fn(v)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func TestCursorSurvivesChangesAndRestarts(t *testing.T) {
	t.Parallel()
	m, dir := newMemory(), t.TempDir()
	var last uint64
	for i := range 6 {
		last = m.addItem(t, stocked, item{SKU: fmt.Sprint(i), Owner: "ada", Amount: int64(i)})
	}
	e := open(t, dir, m, items(nil), counts(nil))
	byAmount := Range{Index: "amount", From: []Value{IntValue(1)}}
	viewOf(t, e, last, "items", func(v *View) {
		for row, err := range v.Rows(byAmount) {
			if err != nil {
				t.Fatal(err)
			}
			if unpackItem(row.Bytes()).Amount == 3 {
				byAmount.Cursor = row.Cursor()
			}
		}
	})
	// The row that the cursor stands on goes, its neighbours move past it.
	m.addItem(t, removed, item{SKU: "3"})
	m.addItem(t, stocked, item{SKU: "2", Owner: "ada", Amount: 9})
	last = m.addItem(t, stocked, item{SKU: "4", Owner: "ada", Amount: -1})
	closeEngine(t, e)
	e = open(t, dir, m, items(nil), counts(nil))
	viewOf(t, e, last, "items", func(v *View) {
		if got := amounts(t, v, byAmount); fmt.Sprint(got) != "[5 9]" {
			t.Errorf("forward: %v", got)
		}
		byAmount.Backward = true
		if got := amounts(t, v, byAmount); fmt.Sprint(got) != "[1]" {
			t.Errorf("backward: %v", got)
		}
	})
}

func amounts(t testing.TB, v *View, r Range) (amounts []int64) {
	t.Helper()
	for row, err := range v.Scan(r) {
		if err != nil {
			t.Fatal(err)
		}
		amounts = append(amounts, unpackItem(row).Amount)
	}
	return amounts
}

func TestRangesThatMakeNoSense(t *testing.T) {
	t.Parallel()
	m := newMemory()
	e := open(t, t.TempDir(), m, items(nil))
	last := m.addItem(t, stocked, item{SKU: "1", Owner: "ada"})
	viewOf(t, e, last, "items", func(v *View) {
		var cursor []byte
		for row, err := range v.Rows(Range{}) {
			if err != nil {
				t.Fatal(err)
			}
			cursor = row.Cursor()
		}
		ada := []Value{StringValue("ada")}
		for want, r := range map[string]Range{
			`unknown index "items.nothing"`:                          {Index: "nothing"},
			"exclude each other":                                     {Index: "owner", Equal: ada, From: ada},
			"must not be negative":                                   {Limit: -1},
			"2 values for 1 columns":                                 {Index: "owner", Equal: []Value{ada[0], ada[0]}},
			`column "amount" holds int values, got string "ada"`:     {Index: "amount", To: ada},
			`column "sku" holds string values, got absent absent`:    {From: []Value{{}}},
			"it is not one that a scan returned":                     {Cursor: []byte("hello")},
			"it belongs to another view, version or index":           {Index: "owner", Cursor: cursor},
			`argument "cursor": it is not one that a scan returned`:  {Cursor: append(cursor, make([]byte, maxKey)...)},
			`argument "value": column "owner" holds string values, `: {Index: "owner", Equal: []Value{IntValue(1)}},
		} {
			var err error
			for _, err = range v.Scan(r) {
			}
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: got %v, want %q", r, err, want)
			}
		}
		if _, _, err := v.Get(IntValue(1)); err == nil {
			t.Error("a key of another kind")
		}
		long := strings.Repeat("x", 2*maxKey)
		if _, found, err := v.Get(StringValue(long)); found || err != nil {
			t.Errorf("a key that can't exist: %v, %v", found, err)
		}
		for _, backward := range []bool{false, true} {
			r := Range{Index: "owner", From: []Value{StringValue(strings.Repeat("a", 2*maxKey))}, To: []Value{StringValue(long)}, Backward: backward}
			if got := amounts(t, v, r); len(got) != 1 {
				t.Errorf("between keys that can't exist, backward=%v: %v", backward, got)
			}
		}
	})
}

func TestScanStopsWithItsSnapshot(t *testing.T) {
	t.Parallel()
	m := newMemory()
	e := open(t, t.TempDir(), m, items(nil))
	last := m.addItem(t, stocked, item{SKU: "1"})
	var late func(func([]byte, error) bool)
	viewOf(t, e, last, "items", func(v *View) { late = v.Scan(Range{}) })
	for _, err := range late {
		if !errors.Is(err, errExpired) {
			t.Errorf("after the snapshot: %v", err)
		}
	}
}

func TestPointLookupDoesNotAllocate(t *testing.T) {
	m := newMemory()
	e := open(t, t.TempDir(), m, items(nil))
	last := m.addItem(t, stocked, item{SKU: "1", Note: "n"})
	viewOf(t, e, last, "items", func(v *View) {
		got := testing.AllocsPerRun(100, func() {
			if row, found, err := v.Get(StringValue("1")); err != nil || !found || !bytes.Contains(row, []byte("n")) {
				t.Error("not found")
			}
		})
		if got != 0 {
			t.Errorf("%v allocations", got)
		}
	})
}
