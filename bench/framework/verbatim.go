package framework

import (
	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/bench/framework/tally"
	"github.com/verbatim-es/verbatim/bench/framework/tally/tallyview"
	"github.com/verbatim-es/verbatim/event"
)

// keeper decides about tallies.
type keeper struct{}

func (keeper) DecideOpen(s *tally.Tally, c tally.Open, out *tally.Decision) error {
	if s.Owner != "" {
		return aggregate.Reject("open", "the tally is open")
	}
	return out.Opened(c.Owner())
}

func (keeper) DecideAdd(s *tally.Tally, c tally.Add, out *tally.Decision) error {
	if s.Owner == "" {
		return aggregate.Reject("not_open", "the tally is not open")
	}
	return out.Added(tally.AddedFields{Amount: c.Amount()})
}

func (keeper) EvolveOpened(s *tally.Tally, e tally.Opened) { s.Owner = e.Owner() }
func (keeper) EvolveAdded(s *tally.Tally, e tally.Added)   { s.Sum += e.Amount() }

type owned struct{}

func (owned) OnOpened(tx tallyview.ByOwnerTx, at event.Event, e tally.Opened) error {
	return tx.Put(tallyview.Owned{Tally: at.StreamID(), Owner: e.Owner()})
}

func (owned) OnAdded(tx tallyview.ByOwnerTx, at event.Event, e tally.Added) error {
	return tx.Update(at.StreamID(), func(r *tallyview.Owned) { r.Sum += e.Amount() })
}

type ranked struct{}

func (ranked) OnOpened(tx tallyview.BySumTx, at event.Event, e tally.Opened) error {
	return tx.Put(tallyview.Ranked{Tally: at.StreamID(), Owner: e.Owner()})
}

func (ranked) OnAdded(tx tallyview.BySumTx, at event.Event, e tally.Added) error {
	return tx.Update(at.StreamID(), func(r *tallyview.Ranked) { r.Sum += e.Amount() })
}
