package eventstoretest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/verbatim-es/verbatim/event"
)

// patience bounds every wait of the suite; it is met only by a log that hangs.
const patience = 30 * time.Second

// Run runs the suite. open returns an empty log that knows [Schema]; it is
// called once for each test, and cleans up by t.Cleanup. A log that is an
// [event.KeyReader] is tested as one.
func Run(t *testing.T, open func(t *testing.T) event.Log) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *bench)
	}{
		{"Append/Receipt", testReceipt},
		{"Append/SeveralStreams", testSeveralStreams},
		{"Append/RecordHoldsEverything", testRecord},
		{"Append/BadInput", testBadInput},
		{"Append/CancelledBefore", testCancelledBefore},
		{"Append/CallerMayReuse", testCallerMayReuse},
		{"Conditions/Streams", testStreamConditions},
		{"Conditions/NoneMatch", testNoneMatch},
		{"Conditions/AllOrNothing", testAllOrNothing},
		{"Conditions/Store", testStoreCondition},
		{"Keys/Repeated", testKeyRepeated},
		{"Keys/Reused", testKeyReused},
		{"Keys/BeforeConditions", testKeyBeforeConditions},
		{"Keys/Racing", testKeyRacing},
		{"Keys/AppendByKey", testAppendByKey},
		{"Read/Empty", testReadEmpty},
		{"Read/EverySelection", testEverySelection},
		{"Read/Starts", testStarts},
		{"Read/Paging", testPaging},
		{"Read/MaxBytes", testMaxBytes},
		{"Read/KeptPages", testKeptPages},
		{"Read/Buffer", testBuffer},
		{"Read/BadSelection", testBadSelection},
		{"Wait/Woken", testWaitWoken},
		{"Wait/NeverMissed", testWaitNeverMissed},
		{"Wait/Expires", testWaitExpires},
		{"Wait/Cancelled", testWaitCancelled},
		{"Subscribe/HistoryThenLive", testSubscribe},
		{"Subscribe/Filtered", testSubscribeFiltered},
		{"Concurrent/OneWins", testOneWins},
		{"Concurrent/Dense", testDense},
		{"Concurrent/ReadersSeeNoHoles", testNoHoles},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			t.Cleanup(cancel)
			test.run(t, &bench{log: open(t), ctx: ctx})
		})
	}
}

// bench is a log under test.
type bench struct {
	log event.Log
	ctx context.Context
}

func (b *bench) append(t *testing.T, a event.Append) event.Receipt {
	t.Helper()
	receipt, err := b.log.Append(b.ctx, a)
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	return receipt
}

func (b *bench) read(t *testing.T, s event.Selection) []event.Event {
	t.Helper()
	var events []event.Event
	for e, err := range event.Read(b.ctx, b.log, s) {
		if err != nil {
			t.Fatalf("read %+v: %v", s, err)
		}
		events = append(events, e)
	}
	return events
}

func (b *bench) page(t *testing.T, s event.Selection, o event.PageOptions) event.Page {
	t.Helper()
	page, err := b.log.ReadPage(b.ctx, s, o)
	if err != nil {
		t.Fatalf("page %+v: %v", s, err)
	}
	return page
}

func (b *bench) head(t *testing.T) event.Head {
	t.Helper()
	head, err := b.log.Head(b.ctx)
	if err != nil {
		t.Fatalf("head: %v", err)
	}
	return head
}

// nothingNew fails if the log has grown beyond a position.
func (b *bench) nothingNew(t *testing.T, position uint64) {
	t.Helper()
	if head := b.head(t); head.Position != position {
		t.Errorf("the head is %d, want %d: something was stored", head.Position, position)
	}
}

// fill appends n single events over three streams, with tags.
func (b *bench) fill(t *testing.T, n int) []event.Event {
	t.Helper()
	for i := range n {
		p := Noted(fmt.Sprintf("n%d", i%5), int64(i))
		if i%3 == 1 {
			p = Struck(int64(i))
		}
		p.Tags = []string{fmt.Sprintf("mod:%d", i%4), "all:yes"}
		stream := fmt.Sprintf("ledger-%d", i%2)
		if i%7 == 0 {
			stream = "other-1"
		}
		b.append(t, event.Append{Stream: stream, Events: []event.Proposed{p}})
	}
	events := b.read(t, event.Selection{})
	if len(events) != n {
		t.Fatalf("read %d events of %d", len(events), n)
	}
	return events
}

func positions(events []event.Event) []uint64 {
	var out []uint64
	for _, e := range events {
		out = append(out, e.Position())
	}
	return out
}

func equal(t *testing.T, what string, got, want []event.Event) {
	t.Helper()
	if !slices.EqualFunc(got, want, func(a, b event.Event) bool { return string(a.Record()) == string(b.Record()) }) {
		t.Errorf("%s: got positions %v, want %v", what, positions(got), positions(want))
	}
}

// selected is what a selection must give, by the simplest means.
func selected(all []event.Event, s event.Selection) []event.Event {
	var out []event.Event
	for _, e := range all {
		if s.Matches(e) {
			out = append(out, e)
		}
	}
	if s.Backward {
		slices.Reverse(out)
	}
	if s.Limit > 0 && len(out) > s.Limit {
		out = out[:s.Limit]
	}
	return out
}
