package eventstoretest

import (
	"errors"
	"reflect"
	"testing"

	"github.com/verbatim-es/verbatim/event"
)

func testKeyRepeated(t *testing.T, b *bench) {
	a := event.Append{Stream: "ledger-1", Events: []event.Proposed{Noted("a", 1), Struck(2)}, Key: "pay-7"}
	first := b.append(t, a)
	b.append(t, event.Append{Stream: "ledger-1", Events: []event.Proposed{Struck(3)}})
	for range 2 {
		again := b.append(t, a)
		if !again.Repeated {
			t.Error("the repeated append does not say so")
		}
		if again.Repeated = false; !reflect.DeepEqual(again, first) {
			t.Errorf("repeated: %+v, first: %+v", again, first)
		}
	}
	b.nothingNew(t, 3)
}

func testKeyReused(t *testing.T, b *bench) {
	base := func() event.Append {
		return event.Append{Stream: "ledger-1", Events: []event.Proposed{Noted("a", 1)}, Key: "pay-7"}
	}
	b.append(t, event.Append{Stream: "ledger-0", Events: []event.Proposed{Struck(1)}})
	b.append(t, base())
	for name, change := range map[string]func(*event.Append){
		"stream":      func(a *event.Append) { a.Stream = "ledger-2" },
		"data":        func(a *event.Append) { a.Events[0] = Noted("a", 2) },
		"type":        func(a *event.Append) { a.Events[0] = Struck(1) },
		"more events": func(a *event.Append) { a.Events = append(a.Events, Struck(1)) },
		"tag":         func(a *event.Append) { a.Events[0].Tags = []string{"a:b"} },
		"metadata":    func(a *event.Append) { a.Events[0].Metadata = []event.Meta{{Key: "a", Value: "b"}} },
		"causation":   func(a *event.Append) { a.Events[0].Causation = event.ID{1} },
	} {
		a := base()
		change(&a)
		var reused *event.KeyReusedError
		if _, err := b.log.Append(b.ctx, a); !errors.As(err, &reused) || reused.Key != "pay-7" || reused.Position != 2 {
			t.Errorf("other %s: %v", name, err)
		}
	}
	b.nothingNew(t, 2)
}

func testKeyBeforeConditions(t *testing.T, b *bench) {
	a := event.Append{
		Stream: "ledger-1", Events: []event.Proposed{Struck(1)}, Key: "once",
		Conditions: []event.Condition{event.StreamAbsent{Stream: "ledger-1"}},
	}
	b.append(t, a)
	if again := b.append(t, a); !again.Repeated {
		t.Errorf("a repeated append whose condition no longer holds: %+v", again)
	}
	// A conflict does not use the key up.
	a = event.Append{
		Stream: "ledger-1", Events: []event.Proposed{Struck(2)}, Key: "later",
		Conditions: []event.Condition{event.StreamAbsent{Stream: "ledger-1"}},
	}
	if _, err := b.log.Append(b.ctx, a); !errors.Is(err, event.ErrConflict) {
		t.Errorf("conflict: %v", err)
	}
	a.Conditions = nil
	if receipt := b.append(t, a); receipt.Repeated {
		t.Error("an append that was refused counts as the first")
	}
	b.nothingNew(t, 2)
}

func testKeyRacing(t *testing.T, b *bench) {
	const n = 16
	receipts := make(chan event.Receipt, n)
	for range n {
		go func() {
			receipt, err := b.log.Append(b.ctx, event.Append{Stream: "ledger-1", Events: []event.Proposed{Struck(1)}, Key: "k"})
			if err != nil {
				t.Errorf("append: %v", err)
			}
			receipts <- receipt
		}()
	}
	firsts := 0
	for range n {
		receipt := <-receipts
		if receipt.First != 1 || receipt.Version != 1 {
			t.Errorf("receipt: %+v", receipt)
		}
		if !receipt.Repeated {
			firsts++
		}
	}
	if firsts != 1 {
		t.Errorf("%d appends were the first", firsts)
	}
	b.nothingNew(t, 1)
}

func testAppendByKey(t *testing.T, b *bench) {
	keys, ok := b.log.(event.KeyReader)
	if !ok {
		t.Skip("this log is no KeyReader")
	}
	for key, streams := range map[string][]string{"one stream": {"", ""}, "two streams": {"", "ledger-2"}} {
		a := event.Append{Stream: "ledger-1", Events: []event.Proposed{Struck(1), Struck(2)}, Key: key}
		a.Events[0].Stream, a.Events[1].Stream = streams[0], streams[1]
		want := b.append(t, a)
		want.Repeated = true
		if got, ok, err := keys.AppendByKey(b.ctx, key); err != nil || !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("by the key of %s: %+v, %v, %v; want %+v", key, got, ok, err, want)
		}
	}
	if _, ok, err := keys.AppendByKey(b.ctx, "none"); ok || err != nil {
		t.Errorf("by a key that was not used: %v, %v", ok, err)
	}
	b.nothingNew(t, 4)
}
