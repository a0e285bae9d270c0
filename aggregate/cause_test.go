package aggregate_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/examples/bank/account"
)

// last returns the newest event.
func last(t *testing.T, log event.Log) event.Event {
	t.Helper()
	for e, err := range event.Read(t.Context(), log, event.Selection{Backward: true, Limit: 1}) {
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	t.Fatal("no event")
	return event.Event{}
}

func TestCauseAndConversation(t *testing.T) {
	t.Parallel()
	log, ctx := newLog(t), t.Context()
	accounts := newBank(log)
	must(t)(accounts.Open(ctx, "1", "ada"))
	first := last(t, log)
	if !first.Causation().IsZero() || !first.Correlation().IsZero() {
		t.Errorf("nothing caused %v, but %v did, in %v", first, first.Causation(), first.Correlation())
	}
	want := func(causation, correlation event.ID) event.Event {
		t.Helper()
		e := last(t, log)
		if e.Causation() != causation || e.Correlation() != correlation {
			t.Errorf("%v is caused by %v in %v, want %v in %v", e, e.Causation(), e.Correlation(), causation, correlation)
		}
		return e
	}
	credit := func(opts ...aggregate.Option) {
		t.Helper()
		must(t)(accounts.Credit(ctx, "1", account.CreditFields{Amount: 1}, opts...))
	}
	credit(aggregate.CausedBy(first))
	second := want(first.ID(), first.ID())
	credit(aggregate.CausedBy(second))
	want(second.ID(), first.ID())
	other := event.ID{1}
	credit(aggregate.CausedBy(second), aggregate.Correlation(other))
	third := want(second.ID(), other)
	credit(aggregate.Causation(other))
	want(other, event.ID{})
	// The context says it for every command, and over several streams.
	ctx = event.WithCause(ctx, third)
	must(t)(accounts.Open(ctx, "2", "bob"))
	want(third.ID(), other)
	must(t)(accounts.Transfer(ctx, "1", "2", account.TransferFields{Amount: 1}))
	want(third.ID(), other)
	credit(aggregate.CausedBy(first))
	want(first.ID(), first.ID())
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	log, ctx := newLog(t), t.Context()
	accounts := newBank(log)
	must(t)(accounts.Open(ctx, "1", "ada", aggregate.Metadata("trace", "t"), aggregate.Metadata("trace", "u"), aggregate.Key("k")))
	var got []string
	for key, value := range last(t, log).Metadata() {
		got = append(got, key+"="+value)
	}
	if len(got) != 3 || !slices.Equal(got[:2], []string{"trace=t", "trace=u"}) {
		t.Errorf("metadata %q", got)
	}
	for _, key := range []string{"", "es.command"} {
		if _, err := accounts.Open(ctx, "2", "ada", aggregate.Metadata(key, "x")); !errors.As(err, new(*event.ArgumentError)) {
			t.Errorf("key %q: %v", key, err)
		}
	}
	wantHead(t, log, 1)
}
