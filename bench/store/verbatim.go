package main

import (
	"context"
	"time"

	"github.com/verbatim-es/verbatim/bench/store/ledger"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
)

type verbatim struct{ *eventstore.Store }

func openVerbatim(dir string) (store, error) {
	s, err := eventstore.Open(dir, eventstore.Options{Schemas: ledger.Schema})
	return verbatim{s}, err
}

func (v verbatim) append(p post) error {
	_, err := v.Append(context.Background(), event.Append{
		Stream:     p.stream,
		Events:     []event.Proposed{ledger.NewPosted(p.account, ledger.PostedFields{Payload: p.payload})},
		Conditions: []event.Condition{condition(p)},
	})
	return err
}

func condition(p post) event.Condition {
	if p.version == 0 {
		return event.StreamAbsent{Stream: p.stream}
	}
	return event.StreamAt{Stream: p.stream, Version: p.version}
}

func (v verbatim) drain() error {
	for {
		if s := v.Stats(); s.IndexPosition == s.Head {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
}
