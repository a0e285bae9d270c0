package event_test

import (
	"context"
	"testing"

	"github.com/verbatim-es/verbatim/event"
)

func built(t *testing.T, id event.ID, p event.Proposed) event.Event {
	t.Helper()
	p.Type, p.Data = "t.T", []byte{4, 0, 0, 0, 4, 0, 4, 0, 4, 0, 0, 0}
	record, err := event.BuildRecord(&event.Append{Stream: "a-1", Events: []event.Proposed{p}}, 0, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	event.Seal(record, id, 1, 1)
	return event.Trusted(record)
}

func TestCause(t *testing.T) {
	t.Parallel()
	first, second := event.ID{1}, event.ID{2}
	begins := built(t, first, event.Proposed{})
	if causation, correlation := event.CauseOf(begins); causation != first || correlation != first {
		t.Errorf("what %v causes has %v and %v", begins, causation, correlation)
	}
	goesOn := built(t, second, event.Proposed{Causation: first, Correlation: first})
	ctx := event.WithCause(t.Context(), goesOn)
	if causation, correlation := event.Cause(ctx); causation != second || correlation != first {
		t.Errorf("the context says %v and %v", causation, correlation)
	}
	if causation, correlation := event.Cause(event.WithCauseIDs(ctx, first, second)); causation != first || correlation != second {
		t.Errorf("the inner context says %v and %v", causation, correlation)
	}
	if causation, correlation := event.Cause(context.Background()); !causation.IsZero() || !correlation.IsZero() {
		t.Errorf("nothing says %v and %v", causation, correlation)
	}
}
