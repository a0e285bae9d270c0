// This file is copied into a module of its own, beside the code that is
// generated there from ../features.
package mutants

import (
	"reflect"
	"strings"
	"testing"

	"example.test/shop/ledger"
	"example.test/shop/order"
	"example.test/shop/sale"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/schema"
)

func pointer[T any](v T) *T { return &v }

// events use every shape of field that there is.
func events() map[string]event.Proposed {
	money := order.Money{Amount: 7, Currency: 978, At: order.Point{X: 1.5, Y: 2}, Speed: order.SpeedFast, Ok: true}
	line := order.Line{Sku: "a", Count: 2, Price: &money, Parts: []order.Line{{Sku: ""}}}
	card := ledger.Card{Number: "4711", Expires: 1227}
	price := sale.Price{Cents: 5, Unit: sale.UnitCHF}
	return map[string]event.Proposed{
		"placed": order.NewPlaced([]order.Line{line, {Sku: "c"}}, money, order.Line{Sku: "b"}, "ada", []byte{1}, order.PlacedFields{
			Speed: order.SpeedSlow, Paid: pointer(int64(3)), Notes: []string{"x", "", "y"}, First: &order.Line{Sku: "d"}, Blob: []byte{1, 2},
			Weights: []float64{0.5}, Points: []order.Point{{X: 1}, {Y: 2}}, Speeds: []order.Speed{order.SpeedFast}, Checks: []bool{true},
			At: &order.Point{X: 9}, Small: -5, Port: 1, Ratio: 2, Maybe: pointer(true), MaybeSpeed: pointer(order.SpeedSlow),
			Signed: []int8{-1}, Flags: order.FlagsGift, Sure: true, Short: 1, Uint: 2, Ulong: 3, Double: 4,
		}),
		"paid": ledger.NewPaid(&ledger.Split{First: &card, Second: &ledger.Split{First: &ledger.Cash{Currency: "EUR"}}}, card, ledger.PaidFields{
			Tip: &ledger.Cash{Currency: "CHF"}, Receipt: &ledger.Split{First: &card, Second: &card}, Only: &ledger.Cash{},
		}),
		"filled": ledger.NewFilled(ledger.FilledFields{Amount: 3, Coins: []ledger.Coin{{}, {}}}),
		"sold": sale.NewSold(price, sale.Party{Name: "ada", Limit: &price}, sale.SoldFields{
			Rate: &sale.Rate{Unit: sale.UnitCHF, Rate: 1.5, By: &sale.Party{Name: "bob"}}, Rates: []sale.Rate{{Rate: 2}},
			Parts: []sale.Price{price}, Paid: &sale.Card{Number: "4711"}, Either: &sale.Voucher{Code: "v"},
			Units: []sale.Unit{sale.UnitEUR}, Card: &sale.Card{Number: "inner"},
		}),
	}
}

// typed returns an event through its generated accessors.
func typed(e event.Event) any {
	switch e.Type() {
	case order.PlacedType:
		v, _ := order.AsPlaced(e)
		return v
	case ledger.PaidType:
		v, _ := ledger.AsPaid(e)
		return v
	case ledger.FilledType:
		v, _ := ledger.AsFilled(e)
		return v
	}
	v, _ := sale.AsSold(e)
	return v
}

// reader calls all methods of values that there are, and of what they return.
type reader struct {
	methods map[reflect.Type][]reflect.Method // of the types there were: looking takes as long as calling
	sum     int                               // of the bytes of strings and slices
}

func (r *reader) read(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		r.look([]byte(v.String()))
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			r.look(v.Bytes())
		}
		for i := range v.Len() {
			r.read(v.Index(i))
		}
	case reflect.Func: // an iterator
		for element := range v.Seq() {
			r.read(element)
		}
	case reflect.Struct:
		r.call(v)
	}
}

func (r *reader) look(b []byte) {
	for _, c := range b {
		r.sum += int(c)
	}
}

func (r *reader) call(v reflect.Value) {
	for i, method := range r.methodsOf(v.Type()) {
		switch method.Type.NumIn() {
		case 1:
			results := v.Method(i).Call(nil)
			if len(results) == 2 && !results[1].Bool() {
				continue // not there: the value must not be used
			}
			r.read(results[0])
		case 2: // NameAt(i), beside which there is NameLen()
			length := v.MethodByName(strings.TrimSuffix(method.Name, "At") + "Len").Call(nil)[0].Int()
			for j := range length {
				r.read(v.Method(i).Call([]reflect.Value{reflect.ValueOf(int(j))})[0])
			}
		}
	}
}

func (r *reader) methodsOf(typ reflect.Type) []reflect.Method {
	methods, known := r.methods[typ]
	if !known {
		for i := range typ.NumMethod() {
			methods = append(methods, typ.Method(i))
		}
		r.methods[typ] = methods
	}
	return methods
}

// Whatever the verifier accepts, no generated accessor panics, loops or reads
// outside: over every buffer that differs in one byte from one of each shape.
func TestMutantsAreRefusedOrReadable(t *testing.T) {
	set, err := schema.Load(order.Schema, ledger.Schema, sale.Schema)
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range events() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			record, err := event.BuildRecord(&event.Append{Stream: "x-1", Events: []event.Proposed{p}}, 0, p.Schema, nil)
			if err != nil {
				t.Fatal(err)
			}
			event.Seal(record, event.ID{1}, 1, 1)
			e := event.Trusted(record)
			data := e.Data() // inside the record
			r := reader{methods: map[reflect.Type][]reflect.Method{}}
			accepted, refused := 0, 0
			read := func() {
				defer func() {
					if reason := recover(); reason != nil {
						t.Fatalf("accepted, but reading panics: %v\n% x", reason, data)
					}
				}()
				r.read(reflect.ValueOf(typed(e)))
			}
			for i, original := range data {
				for other := range 256 {
					data[i] = byte(other)
					if set.Verify(p.Type, p.Schema, data) != nil {
						refused++
						continue
					}
					accepted++
					read()
				}
				data[i] = original
			}
			methods := 0
			for _, of := range r.methods {
				methods += len(of)
			}
			if accepted < len(data) || refused == 0 || methods < 5 {
				t.Errorf("%d accepted, %d refused, %d methods: one kind is missing", accepted, refused, methods)
			}
			t.Logf("%d bytes: %d accepted, %d refused, %d methods", len(data), accepted, refused, methods)
		})
	}
}
