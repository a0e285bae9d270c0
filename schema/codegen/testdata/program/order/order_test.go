// This file is copied into a module of its own, beside the code that is
// generated there from ../features/shop.fbs.
package shop

import (
	"context"
	"reflect"
	"slices"
	"testing"

	"example.test/shop/order"
	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/schema"
)

func pointer[T any](v T) *T { return &v }

func money(amount int64) order.Money {
	return order.Money{Amount: amount, Currency: 978, At: order.Point{X: 1.5, Y: -2.25}, Speed: order.SpeedInstant, Ok: true}
}

func placed() event.Proposed {
	lines := []order.Line{
		{Sku: "a", Count: 2, Price: pointer(money(10)), Parts: []order.Line{{Sku: "a1", Count: 1}, {Sku: ""}}},
		{Sku: "b", Count: 1},
	}
	return order.NewPlaced(lines, money(30), order.Line{Sku: "main", Count: 3}, "ada", []byte{}, order.PlacedFields{
		Speed:      order.SpeedSlow,
		Paid:       pointer(int64(0)),
		Notes:      []string{"first", "", "third"},
		First:      &order.Line{Sku: "first", Price: pointer(money(5))},
		Blob:       []byte{1, 2, 3},
		Weights:    []float64{0.5, -1},
		Points:     []order.Point{{X: 1, Y: 2}, {X: 3, Y: 4}},
		Speeds:     []order.Speed{order.SpeedFast, order.SpeedInstant},
		Checks:     []bool{true, false, true},
		At:         &order.Point{X: 9, Y: 8},
		Small:      -5,
		Port:       0,
		Ratio:      0,
		Maybe:      pointer(false),
		MaybeSpeed: pointer(order.SpeedInstant),
		Signed:     []int8{-1, 1},
		Flags:      order.FlagsFragile | order.FlagsLast,
		Short:      -3, Uint: 4, Ulong: 1 << 63, Double: 2.5,
	})
}

// recorded builds the record that a store would, and reads it.
func recorded(t *testing.T, p event.Proposed) event.Event {
	t.Helper()
	set, err := schema.Load(order.Schema)
	if err != nil {
		t.Fatal(err)
	}
	if err := set.Verify(p.Type, p.Schema, p.Data); err != nil {
		t.Fatalf("the verifier refuses what the constructor built: %v", err)
	}
	if len(p.Data)%4 != 0 || cap(p.Data) != len(p.Data) {
		t.Errorf("data has %d bytes in a slice of %d", len(p.Data), cap(p.Data))
	}
	tags := set.AppendTags(nil, p.Type, p.Schema, p.Data)
	if p.Type == order.PlacedType && !slices.Equal(tags, []string{"customer:ada"}) {
		t.Errorf("tags %q", tags)
	}
	a := event.Append{Stream: "order-1", Events: []event.Proposed{p}}
	record, err := event.BuildRecord(&a, 0, p.Schema, tags)
	if err != nil {
		t.Fatal(err)
	}
	event.Seal(record, event.ID{1}, 1, 1)
	e, err := event.Decode(record)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEventIsReadAsItWasBuilt(t *testing.T) {
	e, ok := order.AsPlaced(recorded(t, placed()))
	if !ok {
		t.Fatal("not a Placed")
	}
	if _, ok := order.AsType(recorded(t, placed())); ok {
		t.Error("a Placed is taken for a Type")
	}
	for name, pair := range map[string][2]any{
		"lines":    {e.LinesLen(), 2},
		"sku":      {e.LinesAt(1).Sku(), "b"},
		"count":    {e.LinesAt(0).Count(), uint32(2)},
		"part":     {e.LinesAt(0).PartsAt(0).Sku(), "a1"},
		"speed":    {e.Speed(), order.SpeedSlow},
		"total":    {e.Total(), money(30)},
		"notes":    {slices.Collect(e.Notes()), []string{"first", "", "third"}},
		"blob":     {e.Blob(), []byte{1, 2, 3}},
		"weights":  {slices.Collect(e.Weights()), []float64{0.5, -1}},
		"points":   {slices.Collect(e.Points()), []order.Point{{X: 1, Y: 2}, {X: 3, Y: 4}}},
		"speeds":   {slices.Collect(e.Speeds()), []order.Speed{order.SpeedFast, order.SpeedInstant}},
		"checks":   {slices.Collect(e.Checks()), []bool{true, false, true}},
		"small":    {e.Small(), int8(-5)},
		"port":     {e.Port(), uint16(0)},
		"ratio":    {e.Ratio(), float32(0)},
		"main":     {e.MainLine().Sku(), "main"},
		"signed":   {slices.Collect(e.Signed()), []int8{-1, 1}},
		"customer": {e.Customer(), "ada"},
		"flags":    {e.Flags(), order.FlagsFragile | order.FlagsLast},
		"sure":     {e.Sure(), false},
		"short":    {e.Short(), int16(-3)},
		"uint":     {e.Uint(), uint32(4)},
		"ulong":    {e.Ulong(), uint64(1 << 63)},
		"double":   {e.Double(), 2.5},
		"raw":      {e.Raw(), []byte{}},
		"name":     {order.SpeedInstant.String(), "Instant"},
		"no name":  {order.Speed(99).String(), "Speed(99)"},
		"topic":    {order.TypeTopic, "es.event.shop.order.retyped"},
		"type":     {order.TypeType, "shop.order.Type"},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s: read %v, wrote %v", name, pair[0], pair[1])
		}
	}
	if v, ok := e.Paid(); !ok || v != 0 {
		t.Errorf("paid: %v %v, wrote 0", v, ok)
	}
	if v, ok := e.Maybe(); !ok || v {
		t.Errorf("maybe: %v %v, wrote false", v, ok)
	}
	if v, ok := e.MaybeSpeed(); !ok || v != order.SpeedInstant {
		t.Errorf("maybe_speed: %v %v", v, ok)
	}
	if v, ok := e.At(); !ok || v != (order.Point{X: 9, Y: 8}) {
		t.Errorf("at: %v %v", v, ok)
	}
	first, ok := e.First()
	if price, priced := first.Price(); !ok || first.Sku() != "first" || !priced || price != money(5) {
		t.Errorf("first: %v %v", first.Sku(), ok)
	}
}

func TestAbsentFields(t *testing.T) {
	e, _ := order.AsPlaced(recorded(t, order.NewPlaced(nil, order.Money{}, order.Line{}, "ada", nil, order.PlacedFields{})))
	_, paid := e.Paid()
	_, maybe := e.Maybe()
	_, speed := e.MaybeSpeed()
	_, at := e.At()
	_, first := e.First()
	if paid || maybe || speed || at || first {
		t.Errorf("present: paid %v maybe %v maybe_speed %v at %v first %v", paid, maybe, speed, at, first)
	}
	if e.LinesLen() != 0 || e.NotesLen() != 0 || len(e.Blob()) != 0 || e.Raw() == nil {
		t.Error("an empty vector is not empty, or a required one is absent")
	}
	for range e.Notes() {
		t.Error("an absent vector has an element")
	}
	defer func() {
		if recover() == nil {
			t.Error("index out of range does not panic")
		}
	}()
	e.NotesAt(0)
}

func TestParametersDoNotHideWhatTheConstructorUses(t *testing.T) {
	e, _ := order.AsType(recorded(t, order.NewType("t", "s", "b", "fb", "off0", "key")))
	got := []string{e.Type(), e.String(), e.B(), e.Fb(), e.Off0(), e.BatchKey()}
	if want := []string{"t", "s", "b", "fb", "off0", "key"}; !slices.Equal(got, want) {
		t.Errorf("read %q, wrote %q", got, want)
	}
}

// decider places what the command says.
type decider struct{ evolved []string }

func (*decider) DecidePlace(s *order.Order, c order.Place, out *order.Decision) error {
	if c.Line().Sku() != "x" || c.Id() != "c1" || c.Ctx() != "c2" || c.OptsLen() != 1 {
		return aggregate.Reject("garbled", "the command is not what was sent")
	}
	_, other, err := out.Other("2")
	if err != nil {
		return err
	}
	if err := other.Type("t", "s", "b", "fb", "off0", "key"); err != nil {
		return err
	}
	return out.Placed(nil, money(1), order.Line{Sku: c.Line().Sku()}, c.Id(), nil, order.PlacedFields{})
}

func (*decider) DecideCancel(*order.Order, order.Cancel, *order.Decision) error {
	return aggregate.Reject("never", "orders stay")
}

func (d *decider) EvolvePlaced(s *order.Order, e order.Placed) {
	s.Notes = append(s.Notes, e.Customer())
}

func (*decider) EvolvePlacedT(*order.Order, order.PlacedT) {}

func (d *decider) EvolveType(*order.Order, order.Type) { d.evolved = append(d.evolved, "type") }

// log is empty and keeps the last append.
type log struct{ appended event.Append }

func (*log) ReadPage(context.Context, event.Selection, event.PageOptions) (event.Page, error) {
	return event.Page{}, nil
}
func (*log) Head(context.Context) (event.Head, error) { return event.Head{}, nil }
func (l *log) Append(_ context.Context, a event.Append) (event.Receipt, error) {
	l.appended = a
	return event.Receipt{First: 1, Last: uint64(len(a.Events))}, nil
}

func TestHandlerDecides(t *testing.T) {
	var l log
	h := order.NewHandler(&l, &decider{}, aggregate.Options{})
	_, err := h.Place(t.Context(), "1", "c1", "c2", []string{"o"}, order.Line{Sku: "x"}, order.PlaceFields{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i, p := range l.appended.Events {
		got = append(got, l.appended.StreamOf(i)+" "+p.Type)
	}
	if want := []string{"order-2 shop.order.Type", "order-1 shop.order.Placed"}; !slices.Equal(got, want) {
		t.Errorf("appended %q, want %q", got, want)
	}
	if len(l.appended.Conditions) != 2 {
		t.Errorf("conditions %v, want one for each stream", l.appended.Conditions)
	}
	if _, err := h.Cancel(t.Context(), "1"); err == nil {
		t.Error("a refusal is not an error")
	}
	if got := h.Commands(); !slices.Equal(got, []string{order.CancelType, order.PlaceType}) {
		t.Errorf("commands %q", got)
	}
}

// Of every shape there is: building allocates the bytes, reading nothing.
func TestAllocations(t *testing.T) {
	lines := []order.Line{{Sku: "a", Count: 2, Parts: []order.Line{{Sku: "a1"}}}}
	mainLine, total, at, price := order.Line{Sku: "main"}, money(30), order.Point{X: 9}, money(5)
	paid, maybe, speed := int64(7), true, order.SpeedInstant
	fields := order.PlacedFields{
		Paid: &paid, Notes: []string{"first", ""}, First: &order.Line{Sku: "first", Price: &price}, Blob: []byte{1, 2},
		Weights: []float64{0.5}, Points: []order.Point{{X: 1}}, Speeds: []order.Speed{order.SpeedFast}, Checks: []bool{true},
		At: &at, Maybe: &maybe, MaybeSpeed: &speed, Signed: []int8{-1}, Ulong: 1 << 63, Double: 2.5,
	}
	var p event.Proposed
	blob := []byte{1}
	if n := testing.AllocsPerRun(200, func() { p = order.NewPlaced(lines, total, mainLine, "ada", blob, fields) }); n > 1 {
		t.Errorf("building takes %v allocations", n)
	}
	stored, sum := recorded(t, p), 0
	if n := testing.AllocsPerRun(200, func() {
		e, ok := order.AsPlaced(stored)
		if !ok {
			return
		}
		for l := range e.Lines() {
			sum += len(l.Sku()) + int(l.Count())
			for part := range l.Parts() {
				sum += len(part.Sku())
			}
		}
		for s := range e.Notes() {
			sum += len(s)
		}
		for w := range e.Weights() {
			sum += int(w)
		}
		for point := range e.Points() {
			sum += int(point.X)
		}
		for s := range e.Speeds() {
			sum += int(s)
		}
		if first, ok := e.First(); ok {
			if price, ok := first.Price(); ok {
				sum += int(price.Amount)
			}
		}
		if v, ok := e.Paid(); ok {
			sum += int(v)
		}
		sum += len(e.Blob()) + len(e.Customer()) + int(e.Total().Amount) + len(e.MainLine().Sku())
	}); n != 0 {
		t.Errorf("reading takes %v allocations", n)
	}
	if sum == 0 {
		t.Error("nothing was read")
	}
}
