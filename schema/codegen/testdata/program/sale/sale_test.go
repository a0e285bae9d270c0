// This file is copied into a module of its own, beside the code that is
// generated there from ../features/sale.fbs.
package shop

import (
	"slices"
	"testing"

	"example.test/shop/sale"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/schema"
)

// What is built of other namespaces' types is accepted by the verifier, and
// read as it was built.
func TestTypesOfOtherNamespaces(t *testing.T) {
	price := sale.Price{Cents: 5, Unit: sale.UnitCHF}
	p := sale.NewSold(price, sale.Party{Name: "ada", Limit: &price}, sale.SoldFields{
		Rate:   &sale.Rate{Unit: sale.UnitCHF, Rate: 1.5, By: &sale.Party{Name: "bob"}},
		Rates:  []sale.Rate{{Rate: 2}, {Rate: 3}},
		Parts:  []sale.Price{price, price},
		Paid:   &sale.Card{Number: "4711"},
		Either: &sale.Voucher{Code: "v"},
		Units:  []sale.Unit{sale.UnitEUR, sale.UnitCHF},
		Card:   &sale.Card{Number: "inner"},
	})
	set, err := schema.Load(sale.Schema)
	if err != nil {
		t.Fatal(err)
	}
	if err := set.Verify(p.Type, p.Schema, p.Data); err != nil {
		t.Fatal(err)
	}
	a := event.Append{Stream: "sale-1", Events: []event.Proposed{p}}
	record, err := event.BuildRecord(&a, 0, p.Schema, nil)
	if err != nil {
		t.Fatal(err)
	}
	event.Seal(record, event.ID{1}, 1, 1)
	e, ok := sale.AsSold(event.Trusted(record))
	if !ok {
		t.Fatal("not a Sold")
	}
	rate, _ := e.Rate()
	by, _ := rate.By()
	limit, _ := e.By().Limit()
	paid, _ := e.PaidCard()
	voucher, _ := e.EitherVoucher()
	card, _ := e.Card()
	for name, pair := range map[string][2]any{
		"struct":            {e.Total(), price},
		"table":             {rate.Rate(), 1.5},
		"its table":         {by.Name(), "bob"},
		"required table":    {e.By().Name(), "ada"},
		"its struct":        {limit, price},
		"vector of tables":  {e.RatesAt(1).Rate(), 3.0},
		"vector of structs": {e.PartsAt(1), price},
		"union":             {paid.Number(), "4711"},
		"union of both":     {voucher.Code(), "v"},
		"kind":              {e.PaidKind().String(), "Card"},
		"enum":              {slices.Collect(e.Units())[1].String(), "CHF"},
		"nested":            {card.Number(), "inner"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %v, want %v", name, pair[0], pair[1])
		}
	}
}
