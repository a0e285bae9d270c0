package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
)

// tally is what came of one client's commands.
type tally struct {
	commands, refused int
	inflow            int64
	surprises         []string
}

// playClient sends a player's commands, one at a time, on a connection of its
// own, and compares each answer with the prediction.
func (d *demo) playClient(ctx context.Context, p *player, commands int) (t tally, err error) {
	c, err := dial(ctx, d.url)
	if err != nil {
		return t, err
	}
	defer c.Close()
	for range commands {
		s := p.next()
		if d.tamper.predicted != nil {
			s.predicted = d.tamper.predicted(s.predicted)
		}
		receipt, err := c.Command(ctx, "account", s.id, s.command, s.data, s.options)
		actual, err := outcomeOf(receipt, err)
		if err != nil {
			return t, fmt.Errorf("%s %s: %w", s.command, s.id, err)
		}
		t.commands++
		d.sent()
		if actual.refused() {
			t.refused++
		}
		if actual != s.predicted {
			t.surprises = append(t.surprises, fmt.Sprintf("%s of %s: predicted %s, was %s", s.command, s.id, s.predicted, actual))
		}
	}
	t.inflow = p.inflow
	return t, nil
}

// outcomeOf tells the refusals that can be predicted from failures.
func outcomeOf(r aggregate.Receipt, err error) (outcome, error) {
	var rejected *aggregate.RejectedError
	switch {
	case err == nil && r.Repeated:
		return repeated, nil
	case err == nil:
		return accepted, nil
	case errors.As(err, &rejected):
		return outcome(rejected.Code), nil
	case errors.Is(err, event.ErrConflict):
		return wrongVersion, nil
	}
	return "", err
}

// sent shows how far the load is, ten times over all clients.
func (d *demo) sent() {
	n := int(d.done.Add(1))
	if tenth := max(d.Commands/10, 1); n%tenth == 0 {
		d.step("%d of %d", n, d.Commands)
	}
}
