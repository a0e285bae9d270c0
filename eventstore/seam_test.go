package eventstore

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstoretest"
	"github.com/verbatim-es/verbatim/internal/commit"
)

// TestSlowFactsAreNotStale has the log take up what was appended while proposals
// looked for their facts. A fold comes five times a second: if that made them
// look again, one that takes longer would never be decided.
func TestSlowFactsAreNotStale(t *testing.T) {
	t.Parallel()
	s := openFaulty(t, t.TempDir(), Options{hooks: hooks{interval: time.Hour, chunk: 2}})
	propose := func(a event.Append) *commit.Proposal {
		p, err := commit.Propose(s.Schemas(), &a, s.limits)
		if err == nil {
			err = s.facts(t.Context(), p)
		}
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	with := func(key string, conditions ...event.Condition) event.Append {
		a := struck("ledger-2")
		a.Key, a.Conditions = key, conditions
		return a
	}
	noNote := event.NoneMatch{Query: event.Query{{Tags: []string{"text:a"}}}}
	noOther := event.NoneMatch{Query: event.Query{{Tags: []string{"text:b"}}}}
	proposals := []*commit.Proposal{
		propose(with("", event.StreamAbsent{Stream: "ledger-1"})),
		propose(with("", noNote)),
		propose(with("taken")),
		propose(with("free", noOther, event.StreamPresent{Stream: "ledger-1"})),
		propose(with("")),
	}
	for n := range 9 {
		a := struck("ledger-1")
		if n == 4 {
			a.Events, a.Key = []event.Proposed{eventstoretest.Noted("a", 1)}, "taken"
		}
		mustAppend(t, s, a)
	}
	if err := s.folder.await(t.Context(), 9); err != nil {
		t.Fatal(err)
	}
	for s.recent.snapshot().held < 9 {
		runtime.Gosched() // the test's deadline bounds it
	}
	if now := s.recent.snapshot(); now.base != 0 {
		t.Fatalf("the tail lists what is behind %d", now.base)
	}
	var outcomes []commit.Outcome
	for _, p := range proposals {
		outcome, err := s.committer.submit(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		outcomes = append(outcomes, outcome)
	}
	var conflict *event.ConflictError
	if !errors.As(outcomes[0].Err, &conflict) || conflict.Actual != 9 {
		t.Errorf("a stream that is not absent any more: %+v", outcomes[0])
	}
	if !errors.As(outcomes[1].Err, &conflict) || conflict.Position != 5 {
		t.Errorf("a query that has a match by now: %+v", outcomes[1])
	}
	if !outcomes[2].Stale {
		t.Errorf("a key that was used meanwhile, by records that are gone: %+v", outcomes[2])
	}
	for i, version := range []uint64{1, 2} {
		if o := outcomes[3+i]; o.Stale || o.Err != nil || o.Receipt.Version != version {
			t.Errorf("nothing stands against it: %+v", o)
		}
	}
	if receipt, err := s.Append(t.Context(), with("free", noOther)); err != nil || !receipt.Repeated || receipt.First != 10 {
		t.Errorf("the key again: %+v, %v", receipt, err)
	}
}
