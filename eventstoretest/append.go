package eventstoretest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/verbatim-es/verbatim/event"
)

func testReceipt(t *testing.T, b *bench) {
	one := b.append(t, event.Append{Stream: "ledger-1", Events: []event.Proposed{Noted("a", 1)}})
	if one.First != 1 || one.Last != 1 || one.Version != 1 || len(one.IDs) != 1 || one.Repeated {
		t.Errorf("first append: %+v", one)
	}
	three := b.append(t, event.Append{Stream: "ledger-1", Events: []event.Proposed{Noted("a", 1), Struck(2), Noted("b", 3)}})
	if three.First != 2 || three.Last != 4 || three.Version != 4 || len(three.IDs) != 3 {
		t.Errorf("second append: %+v", three)
	}
	head := b.head(t)
	if head.Position != 4 || head.ID != three.IDs[2] || head.First != 1 || head.Store.IsZero() {
		t.Errorf("head: %+v", head)
	}
	for i, e := range b.read(t, event.Selection{After: 1}) {
		if e.ID() != three.IDs[i] || e.BatchSeq() != i || e.BatchSize() != 3 {
			t.Errorf("event %d: id %v, place %d of %d", i, e.ID(), e.BatchSeq(), e.BatchSize())
		}
	}
}

func testSeveralStreams(t *testing.T, b *bench) {
	b.append(t, event.Append{Stream: "ledger-1", Events: []event.Proposed{Struck(1)}})
	in := func(stream string, p event.Proposed) event.Proposed { p.Stream = stream; return p }
	receipt := b.append(t, event.Append{Stream: "ledger-1", Events: []event.Proposed{
		Struck(2), in("ledger-2", Struck(3)), Struck(4), in("ledger-2", Struck(5)),
	}})
	if receipt.Version != 0 || receipt.First != 2 || receipt.Last != 5 {
		t.Errorf("an append to two streams: %+v", receipt)
	}
	want := []string{"ledger-1@2", "ledger-2@1", "ledger-1@3", "ledger-2@2"}
	var got []string
	for _, e := range b.read(t, event.Selection{After: 1}) {
		got = append(got, e.Stream()+"@"+string(rune('0'+e.Version())))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func testRecord(t *testing.T, b *bench) {
	p := Noted("hello", 7)
	p.Tags = []string{"who:ada", "text:hello", "who:ada"}
	p.Metadata = []event.Meta{{Key: "k", Value: "v"}, {Key: "empty"}, {Key: "k", Value: "again"}}
	p.Causation, p.Correlation = ulid.Make(), ulid.Make()
	before := time.Now().Add(-time.Hour)
	b.append(t, event.Append{Stream: "ledger-a-b", Events: []event.Proposed{p}, Key: "key-1"})
	events := b.read(t, event.Selection{})
	if len(events) != 1 {
		t.Fatalf("%d events", len(events))
	}
	e := events[0]
	if _, err := event.Decode(e.Record()); err != nil {
		t.Errorf("the record: %v", err)
	}
	if string(e.Data()) != string(p.Data) || e.Type() != p.Type || e.Schema() == 0 || e.BatchKey() != "key-1" {
		t.Errorf("event: %v, schema %x, key %q, data %x", e, e.Schema(), e.BatchKey(), e.Data())
	}
	if e.Stream() != "ledger-a-b" || e.Category() != "ledger" || e.StreamID() != "a-b" || e.Version() != 1 || e.Position() != 1 {
		t.Errorf("its place: %v", e)
	}
	tags := slices.Sorted(e.Tags())
	if !slices.Equal(tags, []string{"text:hello", "who:ada"}) {
		t.Errorf("tags: %v", tags)
	}
	if e.Causation() != p.Causation || e.Correlation() != p.Correlation {
		t.Error("causation or correlation got lost")
	}
	var metadata []event.Meta
	for k, v := range e.Metadata() {
		metadata = append(metadata, event.Meta{Key: k, Value: v})
	}
	if !slices.Equal(metadata, p.Metadata) {
		t.Errorf("metadata: %v", metadata)
	}
	if e.Time().Before(before) || e.Time().After(time.Now().Add(time.Hour)) {
		t.Errorf("time: %v", e.Time())
	}
}

func testBadInput(t *testing.T, b *bench) {
	b.append(t, event.Append{Stream: "ledger-1", Events: []event.Proposed{Struck(1)}})
	good := Struck(1)
	with := func(change func(*event.Proposed)) event.Append {
		p := good
		change(&p)
		// A good event before the bad one must not be stored either.
		return event.Append{Stream: "ledger-1", Events: []event.Proposed{good, p}}
	}
	argument, unknown, invalid, large := new(*event.ArgumentError), new(*event.UnknownError), new(*event.InvalidDataError), new(*event.TooLargeError)
	cases := map[string]struct {
		a    event.Append
		want any
	}{
		"no events":          {event.Append{Stream: "ledger-1"}, argument},
		"no stream":          {event.Append{Events: []event.Proposed{good}}, argument},
		"control in stream":  {event.Append{Stream: "a\x00b", Events: []event.Proposed{good}}, argument},
		"long stream":        {event.Append{Stream: strings.Repeat("s", event.MaxStreamName+1), Events: []event.Proposed{good}}, large},
		"long key":           {event.Append{Stream: "ledger-1", Events: []event.Proposed{good}, Key: strings.Repeat("k", event.MaxKey+1)}, large},
		"no type":            {with(func(p *event.Proposed) { p.Type = "" }), argument},
		"unknown type":       {with(func(p *event.Proposed) { p.Type = "contract.ledger.Nothing" }), unknown},
		"a command":          {with(func(p *event.Proposed) { p.Type = NoteType }), unknown},
		"unknown schema":     {with(func(p *event.Proposed) { p.Schema = 12345 }), unknown},
		"no data":            {with(func(p *event.Proposed) { p.Data = nil }), invalid},
		"garbage":            {with(func(p *event.Proposed) { p.Data = []byte("this is not a FlatBuffer") }), invalid},
		"data of other type": {with(func(p *event.Proposed) { p.Type = NotedType }), invalid},
		"truncated":          {with(func(p *event.Proposed) { p.Data = p.Data[:len(p.Data)-9] }), invalid},
		"tag without value":  {with(func(p *event.Proposed) { p.Tags = []string{"alone"} }), argument},
		"empty tag":          {with(func(p *event.Proposed) { p.Tags = []string{""} }), argument},
		"metadata not UTF-8": {with(func(p *event.Proposed) { p.Metadata = []event.Meta{{Key: "\xff"}} }), argument},
		"condition unnamed":  {event.Append{Stream: "ledger-1", Events: []event.Proposed{good}, Conditions: []event.Condition{event.StreamAbsent{}}}, argument},
		"condition no query": {event.Append{Stream: "ledger-1", Events: []event.Proposed{good}, Conditions: []event.Condition{event.NoneMatch{}}}, argument},
	}
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		c := cases[name]
		_, err := b.log.Append(b.ctx, c.a)
		if !errors.As(err, c.want) {
			t.Errorf("%s: got %v (%T), want a %T", name, err, err, c.want)
		}
	}
	b.nothingNew(t, 1)
}

func testCancelledBefore(t *testing.T, b *bench) {
	ctx, cancel := context.WithCancel(b.ctx)
	cancel()
	if _, err := b.log.Append(ctx, event.Append{Stream: "ledger-1", Events: []event.Proposed{Struck(1)}}); !errors.Is(err, context.Canceled) {
		t.Errorf("append: %v", err)
	}
	if _, err := b.log.ReadPage(ctx, event.Selection{}, event.PageOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("read: %v", err)
	}
	b.nothingNew(t, 0)
}

func testCallerMayReuse(t *testing.T, b *bench) {
	p := Noted("mine", 1)
	data := slices.Clone(p.Data)
	a := event.Append{Stream: "ledger-1", Events: []event.Proposed{p}}
	b.append(t, a)
	clear(p.Data)
	a.Events[0] = event.Proposed{}
	if got := b.read(t, event.Selection{})[0]; string(got.Data()) != string(data) {
		t.Errorf("the stored data follows the caller's: %x", got.Data())
	}
}
