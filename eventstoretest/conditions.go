package eventstoretest

import (
	"errors"
	"testing"

	"github.com/oklog/ulid/v2"

	"github.com/verbatim-es/verbatim/event"
)

func (b *bench) under(conditions ...event.Condition) (event.Receipt, error) {
	return b.log.Append(b.ctx, event.Append{Stream: "ledger-w", Events: []event.Proposed{Struck(1)}, Conditions: conditions})
}

func testStreamConditions(t *testing.T, b *bench) {
	b.append(t, event.Append{Stream: "ledger-1", Events: []event.Proposed{Struck(1), Struck(2)}})
	written := uint64(2)
	for _, c := range []struct {
		condition event.Condition
		holds     bool
		actual    uint64
	}{
		{event.StreamAt{Stream: "ledger-1", Version: 2}, true, 0},
		{event.StreamAt{Stream: "ledger-1", Version: 1}, false, 2},
		{event.StreamAt{Stream: "ledger-1", Version: 3}, false, 2},
		{event.StreamAt{Stream: "ledger-1", Version: 0}, false, 2},
		{event.StreamAt{Stream: "ledger-none", Version: 0}, true, 0},
		{event.StreamAt{Stream: "ledger-none", Version: 1}, false, 0},
		{event.StreamAbsent{Stream: "ledger-none"}, true, 0},
		{event.StreamAbsent{Stream: "ledger-1"}, false, 2},
		{event.StreamAbsent{Stream: "ledger-"}, true, 0},
		{event.StreamAbsent{Stream: "ledger-11"}, true, 0},
		{event.StreamPresent{Stream: "ledger-1"}, true, 0},
		{event.StreamPresent{Stream: "ledger-none"}, false, 0},
	} {
		_, err := b.under(c.condition)
		if c.holds {
			written++
			if err != nil {
				t.Errorf("%v: %v", c.condition, err)
			}
			continue
		}
		var conflict *event.ConflictError
		if !errors.As(err, &conflict) || !errors.Is(err, event.ErrConflict) {
			t.Errorf("%v: %v, want a conflict", c.condition, err)
		} else if conflict.Index != 0 || conflict.Actual != c.actual {
			t.Errorf("%v: conflict %+v, want actual %d", c.condition, conflict, c.actual)
		}
	}
	b.nothingNew(t, written)
}

func testNoneMatch(t *testing.T, b *bench) {
	b.fill(t, 20) // 3 is Noted n2, mod:2; 20 is the head
	query := func(types []string, tags ...string) event.Query { return event.Query{{Types: types, Tags: tags}} }
	head := uint64(20)
	for _, c := range []struct {
		query event.Query
		after uint64
		match uint64
	}{
		{event.Query{{}}, 20, 0},
		{query(nil, "mod:9"), 0, 0},
		{query(nil, "mod:2"), 0, 3},
		{query(nil, "mod:2"), 2, 3},
		{query(nil, "mod:2"), 3, 7},
		{query(nil, "mod:2", "text:n2"), 0, 3},
		{query(nil, "mod:2", "text:n2"), 3, 0},
		{query([]string{StruckType}, "mod:3"), 0, 8},
		{query([]string{"contract."}, "mod:3"), 4, 8},
		{query([]string{"contract.ledger.Not"}), 0, 0},
		{query([]string{"absent."}), 0, 0},
		{append(query([]string{"absent."}), event.Item{Tags: []string{"text:n4"}}), 0, 10},
		{event.Query{{}}, 4, 5},
		{query(nil, "all:yes"), 1000, 0},
	} {
		// Only an event that no query above selects is written.
		condition := event.NoneMatch{Query: c.query, After: c.after}
		receipt, err := b.log.Append(b.ctx, event.Append{Stream: "zero", Events: []event.Proposed{Noted("none", 0)}, Conditions: []event.Condition{condition}})
		if c.match == 0 {
			if err != nil {
				t.Errorf("%v: %v", condition, err)
			}
			head = max(head, receipt.Last)
			continue
		}
		var conflict *event.ConflictError
		if !errors.As(err, &conflict) || conflict.Position != c.match {
			t.Errorf("%v: %v, want a match at %d", condition, err, c.match)
		}
	}
	b.nothingNew(t, head)
}

func testAllOrNothing(t *testing.T, b *bench) {
	b.append(t, event.Append{Stream: "ledger-1", Events: []event.Proposed{Struck(1)}})
	b.append(t, event.Append{Stream: "ledger-2", Events: []event.Proposed{Struck(1)}})
	holds := []event.Condition{
		event.StreamAt{Stream: "ledger-1", Version: 1},
		event.StreamPresent{Stream: "ledger-2"},
		event.StreamAbsent{Stream: "ledger-w"},
		event.NoneMatch{Query: event.Query{{Types: []string{NotedType}}}},
	}
	_, err := b.under(append(holds, event.StreamAbsent{Stream: "ledger-2"})...)
	var conflict *event.ConflictError
	if !errors.As(err, &conflict) || conflict.Index != 4 || conflict.Actual != 1 {
		t.Errorf("the last of five does not hold: %v", err)
	}
	b.nothingNew(t, 2)
	if _, err := b.under(holds...); err != nil {
		t.Errorf("all hold: %v", err)
	}
	if _, err := b.under(holds...); !errors.As(err, &conflict) || conflict.Index != 2 {
		t.Errorf("the same again: %v", err)
	}
	b.nothingNew(t, 3)
}

// An append that was decided on another store is not looked at.
func testStoreCondition(t *testing.T, b *bench) {
	a := event.Append{Stream: "ledger-1", Events: []event.Proposed{Struck(1)}, Key: "k"}
	b.append(t, a)
	own, other := b.head(t).Store, ulid.Make()
	for name, change := range map[string]func(*event.Append){
		"conditions that hold": func(a *event.Append) {
			a.Conditions = []event.Condition{event.StreamAt{Stream: "ledger-1", Version: 1}}
		},
		"conditions that do not": func(a *event.Append) { a.Conditions = []event.Condition{event.StreamAbsent{Stream: "ledger-1"}} },
		"a key that was used":    func(a *event.Append) { a.Key = "k" },
		"an unknown type":        func(a *event.Append) { a.Events[0].Type = "no.Such" },
	} {
		a := event.Append{Stream: "ledger-1", Events: []event.Proposed{Struck(2)}, Store: other}
		change(&a)
		var changed *event.StoreChangedError
		if _, err := b.log.Append(b.ctx, a); !errors.As(err, &changed) || changed.Store != own {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.nothingNew(t, 1)
	a = event.Append{Stream: "ledger-1", Events: []event.Proposed{Struck(2)}, Store: own}
	a.Conditions = []event.Condition{event.StreamAt{Stream: "ledger-1", Version: 1}}
	b.append(t, a)
	b.nothingNew(t, 2)
}
