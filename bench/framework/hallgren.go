package framework

import (
	"context"
	"fmt"

	"github.com/hallgren/eventsourcing"
	ha "github.com/hallgren/eventsourcing/aggregate"
	"github.com/hallgren/eventsourcing/core"
	"github.com/hallgren/eventsourcing/eventstore/memory"
)

// hallgrenTally is the same aggregate in hallgren/eventsourcing.
type hallgrenTally struct {
	ha.Root
	Owner string
	Sum   int64
}

type (
	hallgrenOpened struct{ Owner string }
	hallgrenAdded  struct{ Amount int64 }
)

func (t *hallgrenTally) Transition(e eventsourcing.Event) {
	switch d := e.Data().(type) {
	case *hallgrenOpened:
		t.Owner = d.Owner
	case *hallgrenAdded:
		t.Sum += d.Amount
	}
}

func (t *hallgrenTally) Register(r ha.RegisterFunc) { r(&hallgrenOpened{}, &hallgrenAdded{}) }

// hallgren is its framework over its store in memory.
type hallgren struct{ store *memory.Memory }

func newHallgren() hallgren {
	ha.Register(&hallgrenTally{})
	return hallgren{memory.Create()}
}

func (s hallgren) open(id, owner string) error {
	var t hallgrenTally
	if err := t.SetID(id); err != nil {
		return err
	}
	ha.TrackChange(&t, &hallgrenOpened{Owner: owner})
	return ha.Save(s.store, &t)
}

func (s hallgren) load(ctx context.Context, id string) (*hallgrenTally, error) {
	var t hallgrenTally
	return &t, ha.Load(ctx, s.store, id, &t)
}

func (s hallgren) add(ctx context.Context, id string, amount int64) error {
	t, err := s.load(ctx, id)
	if err != nil {
		return err
	}
	ha.TrackChange(t, &hallgrenAdded{Amount: amount})
	return ha.Save(s.store, t)
}

// rebuild folds all events into a map.
func (s hallgren) rebuild(ctx context.Context, want int) error {
	sums := map[string]int64{}
	n := 0
	start := core.Version(0)
	p := eventsourcing.NewProjection(func() (core.Iterator, error) {
		it, err := s.store.All(start, 10_000)()
		return it, err
	}, func(e eventsourcing.Event) error {
		if added, ok := e.Data().(*hallgrenAdded); ok {
			sums[e.AggregateID()] += added.Amount
		}
		n++
		start = core.Version(e.GlobalVersion() + 1)
		return nil
	})
	if r := p.RunToEnd(ctx); r.Error != nil {
		return r.Error
	}
	if n != want {
		return fmt.Errorf("%d events instead of %d", n, want)
	}
	return nil
}
