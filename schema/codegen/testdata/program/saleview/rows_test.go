// This file is copied beside the views that are generated from
// ../../features/sale.fbs.
package saleview

import (
	"reflect"
	"testing"

	"example.test/shop/sale"
	"github.com/verbatim-es/verbatim/schema/flat"
)

func buildTurnover(row *Turnover) []byte {
	b := flat.Get()
	return flat.FinishSizePrefixed(b, writeTurnover(b, row))
}

// A row with a union, tables and vectors of them is packed, verified, read in
// place, and taken apart for Update as what it was.
func TestRowsOfEveryShape(t *testing.T) {
	price := sale.Price{Cents: 5, Unit: sale.UnitCHF}
	party := sale.Party{Name: "ada", Limit: &price}
	for name, row := range map[string]Turnover{
		"full": {
			Unit: sale.UnitCHF, Total: price, Means: &sale.Cash{Note: "n"}, Either: &sale.Voucher{Code: "v"},
			Rates: []sale.Rate{{Rate: 2}, {Rate: 3, By: &party}}, Parts: []sale.Price{price, {Cents: 1}},
			Best: &sale.Rate{By: &party}, Voucher: &sale.Voucher{Code: "nested"},
		},
		"other members": {Total: price, Means: &sale.Card{Number: "1"}, Either: &sale.Card{Number: "2"}},
		"least":         {Either: &sale.Voucher{}},
	} {
		packed, err := sale.AsTurnover(buildTurnover(&row))
		if err != nil {
			t.Errorf("%s: the verifier refuses it: %v", name, err)
			continue
		}
		if got := plainTurnover(packed); !reflect.DeepEqual(got, row) {
			t.Errorf("%s: %+v, want %+v", name, got, row)
		}
		if voucher, ok := packed.EitherVoucher(); ok != (name != "other members") || name == "full" && voucher.Code() != "v" {
			t.Errorf("%s: read in place it is %v, %v", name, voucher.Code(), ok)
		}
	}
}

func TestRequiredUnionOfARow(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a row without its required union was built")
		}
	}()
	buildTurnover(&Turnover{})
}
