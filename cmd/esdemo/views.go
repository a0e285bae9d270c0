package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/bank"
	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/examples/bank/account/accountview"
	"github.com/verbatim-es/verbatim/projection"
	"github.com/verbatim-es/verbatim/wampbus/client"
)

type projectionDigest = projection.Digest

// fold is the balances view, folded a second time by other code: a map.
type fold map[string]accountview.Balance

func (f fold) apply(e event.Event) error {
	if e.Category() != account.Category {
		return nil
	}
	id := e.StreamID()
	row := f[id]
	if opened, ok := account.AsOpened(e); ok {
		f[id] = accountview.Balance{Account: id, Owner: opened.Owner()}
		return nil
	}
	if _, ok := account.AsClosed(e); ok {
		delete(f, id)
		return nil
	}
	if in, ok := account.AsCredited(e); ok {
		row.Balance += in.Amount()
	} else if out, ok := account.AsDebited(e); ok {
		row.Balance -= out.Amount()
	} else if sent, ok := account.AsSent(e); ok {
		row.Balance -= sent.Amount()
	} else if received, ok := account.AsReceived(e); ok {
		row.Balance += received.Amount()
	} else {
		return fmt.Errorf("unexpected %v", e)
	}
	f[id] = row
	return nil
}

// sorted returns the rows in an order, rows that are equal in it by account.
func (f fold) sorted(by func(a, b accountview.Balance) int) []accountview.Balance {
	return slices.SortedFunc(maps.Values(f), func(a, b accountview.Balance) int {
		return cmp.Or(by(a, b), cmp.Compare(a.Account, b.Account))
	})
}

// orders are the view's primary key and its indexes.
var orders = []struct {
	index string
	by    func(a, b accountview.Balance) int
}{
	{"", func(a, b accountview.Balance) int { return 0 }},
	{"owner", func(a, b accountview.Balance) int { return cmp.Compare(a.Owner, b.Owner) }},
	{"balance", func(a, b accountview.Balance) int { return cmp.Compare(a.Balance, b.Balance) }},
}

// compareViews compares the view that followed the log live with one rebuilt
// from scratch, entry by entry, and with the replay's fold.
func (d *demo) compareViews(ctx context.Context, s *server, c *client.Client, folded fold) error {
	if d.tamper.fold != nil {
		d.tamper.fold(folded)
	}
	before := len(d.disagreements)
	if err := d.compareRebuild(ctx, s); err != nil {
		return err
	}
	if err := d.compareOrders(ctx, c, folded); err != nil {
		return err
	}
	d.ViewEqual = len(d.disagreements) == before
	return nil
}

// compareOrders compares the view with a fold, over the bus, in every order and
// both directions.
func (d *demo) compareOrders(ctx context.Context, c *client.Client, folded fold) error {
	for _, order := range orders {
		want := folded.sorted(order.by)
		for _, backward := range []bool{false, true} {
			if backward {
				slices.Reverse(want)
			}
			got, err := d.rows(ctx, c, order.index, backward)
			if err != nil {
				return err
			}
			if !slices.Equal(got, want) {
				d.disagree("balances in the order of %q, backward %t, differ from the fold: %d rows, want %d", order.index, backward, len(got), len(want))
			}
		}
	}
	return nil
}

// rows reads a whole order of the view over the bus, in pages.
func (d *demo) rows(ctx context.Context, c *client.Client, index string, backward bool) (rows []accountview.Balance, err error) {
	r := client.Range{Index: index, Backward: backward, Limit: 50}
	for {
		page, err := c.ViewList(ctx, "balances", r, client.ViewOptions{AtLeast: d.Events, Wait: patience})
		if err != nil {
			return nil, err
		}
		for bytes, err := range page.All() {
			if err != nil {
				return nil, err
			}
			row, err := account.AsBalance(bytes)
			if err != nil {
				return nil, err
			}
			rows = append(rows, accountview.Balance{Account: row.Account(), Owner: row.Owner(), Balance: row.Balance()})
		}
		if page.Cursor == "" {
			return rows, nil
		}
		r.Cursor = page.Cursor
	}
}

func (d *demo) compareRebuild(ctx context.Context, s *server) error {
	live, err := digestAt(ctx, s.views, d.Events)
	if err != nil {
		return err
	}
	if err := s.views.Check(ctx); err != nil {
		d.disagree("rows and index entries of the view: %v", err)
	}
	second, err := projection.Open(filepath.Join(d.dir, "rebuilt"), s.store, projection.Options{Logger: d.log}, accountview.Balances(bank.Balances{}))
	if err != nil {
		return err
	}
	defer second.Close()
	rebuilt, err := digestAt(ctx, second, d.Events)
	if err != nil {
		return err
	}
	if d.tamper.rebuilt != nil {
		d.tamper.rebuilt(&rebuilt)
	}
	if live != rebuilt {
		d.disagree("the view and its rebuild differ: %d rows and %d index entries, rebuilt %d and %d", live.Rows, live.Entries, rebuilt.Rows, rebuilt.Entries)
	}
	return nil
}

// digestAt digests the balances as of a position.
func digestAt(ctx context.Context, views *projection.Engine, position uint64) (digest projection.Digest, err error) {
	err = views.At(ctx, position, func(s *projection.Snapshot) error {
		view, err := s.View("balances")
		if err != nil {
			return err
		}
		digest, err = view.Digest(ctx)
		return err
	}, "balances")
	return digest, err
}

// compareSum checks that no money was made or lost.
func (d *demo) compareSum(folded fold, inflow int64) {
	if d.tamper.inflow != nil {
		inflow = d.tamper.inflow(inflow)
	}
	var sum int64
	for _, row := range folded {
		sum += row.Balance
	}
	if d.SumOK = sum == inflow; !d.SumOK {
		d.disagree("the balances add up to %d, the clients paid in %d", sum, inflow)
	}
}
