// This file is copied into a module of its own, beside the code that is
// generated there from the schemas in ../features.
package states

import (
	"reflect"
	"slices"
	"testing"

	"example.test/shop/ledger"
	"example.test/shop/order"
	"example.test/shop/sale"
	"github.com/verbatim-es/verbatim/aggregate"
)

func pointer[T any](v T) *T { return &v }

func money(amount int64) order.Money {
	return order.Money{Amount: amount, Currency: 978, At: order.Point{X: 1.5, Y: -2.25}, Speed: order.SpeedInstant, Ok: true}
}

func anOrder() order.Order {
	return order.Order{
		Lines: []order.Line{
			{Sku: "a", Count: 2, Price: pointer(money(10)), Parts: []order.Line{{Sku: "a1", Parts: []order.Line{{Sku: "a11"}}}, {}}},
			{Sku: "b", Count: 1},
		},
		Speed:   order.SpeedFast,
		Total:   pointer(money(30)),
		Paid:    pointer(int64(0)),
		Notes:   []string{"first", "", "third"},
		First:   &order.Line{Sku: "first", Price: pointer(money(5))},
		Blob:    []byte{1, 2, 3},
		Weights: []float64{0.5, -1},
	}
}

func anInvoice() ledger.Invoice {
	return ledger.Invoice{Total: 9, Paid: &ledger.Split{
		First:  &ledger.Card{Number: "4711", Expires: 1230},
		Second: &ledger.Split{First: &ledger.Cash{Currency: "CHF"}},
	}}
}

// A state of types from other namespaces.
func aSale() sale.Sale {
	return sale.Sale{
		Total: &sale.Price{Cents: 5, Unit: sale.UnitCHF},
		Unit:  sale.UnitCHF,
		Rate:  &sale.Rate{Rate: 1.5, By: &sale.Party{Name: "bank", Limit: &sale.Price{Cents: 7}}},
		Means: &sale.Card{Number: "4711"},
	}
}

func TestStates(t *testing.T) {
	states(t, order.Define(nil), anOrder)
	states(t, order.Define(nil), func() order.Order { return order.Order{} })
	states(t, ledger.DefineInvoice(nil), anInvoice)
	states(t, ledger.DefineInvoice(nil), func() ledger.Invoice { return ledger.Invoice{} })
	states(t, ledger.DefineTill(nil), func() ledger.Till { return ledger.Till{Content: -7} })
	states(t, sale.Define(nil), aSale)
	states(t, sale.Define(nil), func() sale.Sale { return sale.Sale{} })
}

// states packs and unpacks a state, and copies it.
func states[S any](t *testing.T, def aggregate.Definition[S], made func() S) {
	t.Helper()
	s := made()
	packed := def.Pack(&s)
	if got, err := def.Unpack(packed); err != nil || !reflect.DeepEqual(got, s) {
		t.Errorf("unpacked %+v (%v), want %+v", got, err, s)
	}
	for n := range packed {
		// Up to three bytes are padding.
		if _, err := def.Unpack(slices.Clone(packed[:n])); err == nil && n < len(packed)-3 {
			t.Errorf("%T: unpacked %d of %d bytes", s, n, len(packed))
		}
		flipped := slices.Clone(packed)
		flipped[n] ^= 0x81
		def.Unpack(flipped) // refused or not, it must not panic
	}
	if def.Copy == nil {
		return
	}
	c := def.Copy(&s)
	if !reflect.DeepEqual(c, s) {
		t.Errorf("copied %+v, want %+v", c, s)
	}
	wipe(reflect.ValueOf(&c))
	if !reflect.DeepEqual(s, made()) {
		t.Errorf("changing a copy made %+v", s)
	}
}

// wipe empties everything that a value refers to.
func wipe(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			wipe(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			wipe(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			wipe(v.Field(i))
		}
	}
	if v.CanSet() {
		v.SetZero()
	}
}
