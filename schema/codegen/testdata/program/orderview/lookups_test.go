// This file is copied beside the views that are generated from
// ../../features/shop.fbs.
package orderview

import (
	"fmt"
	"iter"
	"slices"
	"testing"

	"example.test/shop/order"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/event/memstore"
	"github.com/verbatim-es/verbatim/projection"
)

// fill makes the rows of a view out of one event.
type fill struct {
	OpenOrdersProjector
	rows []Row
}

func (f fill) OnPlacedT(tx OpenOrdersTx, at event.Event, e order.PlacedT) error {
	for _, row := range f.rows {
		if err := tx.Put(row); err != nil {
			return err
		}
	}
	return nil
}

func TestTypedLookups(t *testing.T) {
	log, err := memstore.New(order.Schema)
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := log.Append(t.Context(), event.Append{Stream: "order-1", Events: []event.Proposed{order.NewPlacedT()}})
	if err != nil {
		t.Fatal(err)
	}
	paid := func(n int64) *int64 { return &n }
	views, err := projection.Open(t.TempDir(), log, projection.Options{}, OpenOrders(fill{rows: []Row{
		{Number: 1, Customer: "ada", Paid: paid(-5), Code: "a", Small: 3},
		{Number: 2, Customer: "ada", Paid: paid(7), Code: "b", Small: -3},
		{Number: 3, Customer: "ada", Paid: paid(9), Small: 3},
		{Number: 4, Customer: "bob", Paid: paid(8), Code: "d"},
		{Number: 5, Customer: "cleo", Code: "e", Small: 100},
	}}))
	if err != nil {
		t.Fatal(err)
	}
	defer views.Close()
	err = views.At(t.Context(), receipt.Last, func(s *projection.Snapshot) error {
		orders := OpenOrdersIn(s)
		for what, c := range map[string]struct {
			rows iter.Seq2[order.RowRow, error]
			want []uint64
		}{
			"all":                {orders.All(), []uint64{1, 2, 3, 4, 5}},
			"all, backward":      {orders.All(projection.Backward, projection.Limit(2)), []uint64{5, 4}},
			"equal":              {orders.ByCustomer("ada"), []uint64{1, 2, 3}},
			"equal, backward":    {orders.ByCustomer("ada", projection.Backward), []uint64{3, 2, 1}},
			"range":              {orders.BySmallRange(-3, 4), []uint64{2, 4, 1, 3}},
			"range, backward":    {orders.BySmallRange(-3, 4, projection.Backward, projection.Limit(3)), []uint64{3, 1, 4}},
			"two columns":        {orders.ByCustomerPaid("ada", 7), []uint64{2}},
			"range of a column":  {orders.ByCustomerPaidRange("ada", -5, 9), []uint64{1, 2}},
			"the same, backward": {orders.ByCustomerPaidRange("ada", -4, 10, projection.Backward), []uint64{3, 2}},
			"nothing":            {orders.ByCustomerPaidRange("bob", 9, 100), nil},
		} {
			var got []uint64
			for row, err := range c.rows {
				if err != nil {
					return fmt.Errorf("%s: %w", what, err)
				}
				got = append(got, row.Number())
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s: %v, want %v", what, got, c.want)
			}
		}
		for code, want := range map[string]uint64{"a": 1, "e": 5, "z": 0} {
			row, ok, err := orders.OneByCode(code)
			if err != nil || ok != (want != 0) || ok && row.Number() != want {
				t.Errorf("code %q: found %v, %v", code, ok, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
