package commit

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"pgregory.net/rapid"

	"github.com/verbatim-es/verbatim/event"
)

// proposal builds what Propose would, of events without a schema.
func proposal(t testing.TB, a event.Append) *Proposal {
	t.Helper()
	p := &Proposal{Conditions: a.Conditions, Key: a.Key}
	for i := range a.Events {
		record, err := event.BuildRecord(&a, i, 1, a.Events[i].Tags)
		if err != nil {
			t.Fatal(err)
		}
		p.Events = append(p.Events, event.Trusted(record))
		p.Size += len(record)
	}
	if p.Key != "" {
		p.Content = ContentOf(p.Events)
	}
	return p
}

func to(stream string, n int) event.Append {
	a := event.Append{Stream: stream}
	for i := range n {
		a.Events = append(a.Events, event.Proposed{Type: "t.T", Data: []byte{byte(i), 0, 0, 0, 0, 0, 0, 0}})
	}
	return a
}

// past is a State with a head, and nothing above its base.
type past struct {
	position uint64
	id       event.ID
	base     uint64
}

func (p past) Head() (uint64, event.ID)                { return p.position, p.id }
func (p past) Base() uint64                            { return p.base }
func (p past) Version(string, uint64) (uint64, bool)   { return 0, false }
func (p past) Match(event.Query, uint64) uint64        { return 0 }
func (p past) Earlier(string, uint64) (*Earlier, bool) { return nil, true }

func fixed(b byte) Entropy {
	return func() (e [10]byte) {
		for i := range e {
			e[i] = b
		}
		return e
	}
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestDecideSeesItsOwnBatch(t *testing.T) {
	t.Parallel()
	at := func(a event.Append, c ...event.Condition) event.Append { a.Conditions = c; return a }
	keyed := func(a event.Append, key string) event.Append { a.Key = key; return a }
	tagged := to("b", 1)
	tagged.Events[0].Tags = []string{"k:v"}
	query := event.Query{{Tags: []string{"k:v"}}}
	appends := []event.Append{
		at(to("a", 2), event.StreamAbsent{Stream: "a"}),         // 8, 9
		at(to("a", 1), event.StreamAbsent{Stream: "a"}),         // conflict, 2
		at(to("a", 1), event.StreamAt{Stream: "a", Version: 2}), // 10
		at(to("c", 1), event.NoneMatch{Query: query}),           // 11
		tagged, // 12
		at(to("c", 1), event.NoneMatch{Query: query}),            // conflict at 12
		at(to("c", 1), event.NoneMatch{Query: query, After: 12}), // 13
		keyed(to("d", 1), "k"),                                   // 14
		keyed(to("d", 1), "k"),                                   // repeated, 14
		keyed(to("d", 2), "k"),                                   // reused
	}
	var proposals []*Proposal
	for _, a := range appends {
		proposals = append(proposals, proposal(t, a))
	}
	b := Decide(past{position: 7, id: ulid.ULID{5: 1}}, proposals, noon, fixed(1))
	var got []string
	for _, o := range b.Outcomes {
		var conflict *event.ConflictError
		var reused *event.KeyReusedError
		switch {
		case errors.As(o.Err, &conflict):
			got = append(got, fmt.Sprintf("conflict %d %d", conflict.Actual, conflict.Position))
		case errors.As(o.Err, &reused):
			got = append(got, fmt.Sprintf("reused %d", reused.Position))
		default:
			got = append(got, fmt.Sprintf("%d-%d v%d %v", o.Receipt.First, o.Receipt.Last, o.Receipt.Version, o.Receipt.Repeated))
		}
	}
	want := []string{
		"8-9 v2 false", "conflict 2 0", "10-10 v3 false", "11-11 v1 false", "12-12 v1 false", "conflict 0 12",
		"13-13 v2 false", "14-14 v1 false", "14-14 v1 true", "reused 14",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if len(b.Events) != 7 || b.Conflicts != 2 || b.Repeats != 1 {
		t.Errorf("batch: %d events, %d conflicts, %d repeats", len(b.Events), b.Conflicts, b.Repeats)
	}
	for i, e := range b.Events {
		if err := event.CheckRecord(e.Record()); err != nil || e.Position() != uint64(8+i) {
			t.Errorf("event %d: %v, %v", i, e, err)
		}
	}
}

func TestDecideUsesFacts(t *testing.T) {
	t.Parallel()
	a := to("a", 1)
	a.Conditions = []event.Condition{event.StreamAt{Stream: "a", Version: 4}, event.NoneMatch{Query: event.Query{{}}, After: 7}}
	p := proposal(t, a)
	p.Facts = Facts{At: 7, Versions: []uint64{4}, Matches: []uint64{0, 0}}
	if b := Decide(past{position: 7, base: 7}, []*Proposal{p}, noon, fixed(1)); b.Outcomes[0].Err != nil || b.Outcomes[0].Receipt.Version != 5 {
		t.Errorf("outcome: %+v", b.Outcomes[0])
	}
	p.Facts.Matches[1] = 3
	var conflict *event.ConflictError
	if b := Decide(past{position: 7, base: 7}, []*Proposal{p}, noon, fixed(1)); !errors.As(b.Outcomes[0].Err, &conflict) || conflict.Position != 3 {
		t.Errorf("a match that was found: %+v", b.Outcomes[0])
	}
	// What happened between 7 and 8 is not known any more.
	if b := Decide(past{position: 9, base: 8}, []*Proposal{p}, noon, fixed(1)); !b.Outcomes[0].Stale || len(b.Events) != 0 {
		t.Errorf("stale facts: %+v", b.Outcomes[0])
	}
}

func TestIDsIncrease(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var last event.ID
		clock := rapid.OneOf(rapid.Int64Range(-5, 5), rapid.Int64Range(-1<<45, 1<<45))
		entropy := func() (e [10]byte) {
			copy(e[:], rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 0x7f, 0x80, 0xff}), 10, 10).Draw(t, "entropy"))
			return e
		}
		now := noon.UnixMilli()
		for range 20 {
			now += clock.Draw(t, "clock")
			// As if very many ids had been given out in this millisecond.
			if rapid.IntRange(0, 3).Draw(t, "full") == 0 && last.Time() > 0 {
				for i := 6; i < 16; i++ {
					last[i] = 0xff
				}
			}
			next := nextID(last, time.UnixMilli(now), entropy)
			if next.Compare(last) <= 0 {
				t.Fatalf("%v does not follow %v at %d", next, last, now)
			}
			if ms := uint64(max(now, 0)); next.Time() < ms || next.Time() > max(ms, last.Time()+1) {
				t.Fatalf("%v has time %d, the clock says %d, the last id %d", next, next.Time(), ms, last.Time())
			}
			if next.Time() > last.Time() && next[6]&0x80 != 0 {
				t.Fatalf("%v begins with the top bit of its entropy set", next)
			}
			last = next
		}
	})
}

func TestClockBehindIsReported(t *testing.T) {
	t.Parallel()
	last := freshID(uint64(noon.UnixMilli()), fixed(0xff))
	for offset, want := range map[time.Duration]bool{-time.Millisecond: true, 0: false, time.Millisecond: false} {
		b := Decide(past{position: 1, id: last}, []*Proposal{proposal(t, to("a", 1))}, noon.Add(offset), fixed(1))
		if b.ClockBehind != want || b.Events[0].ID().Compare(last) <= 0 {
			t.Errorf("%v: behind %v, id %v after %v", offset, b.ClockBehind, b.Events[0].ID(), last)
		}
	}
}

func TestContent(t *testing.T) {
	t.Parallel()
	base := func() event.Append {
		a := to("a", 2)
		a.Key = "k"
		a.Events[0].Tags = []string{"a:b", "c:d"}
		a.Events[0].Metadata = []event.Meta{{Key: "m", Value: "v"}}
		return a
	}
	content := func(a event.Append) Content { return proposal(t, a).Content }
	first := proposal(t, base())
	Decide(past{}, []*Proposal{first}, noon, fixed(1))
	if ContentOf(first.Events) != first.Content || EarlierOf(first.Events).Content != first.Content {
		t.Error("sealing a record changes its content")
	}
	for name, change := range map[string]func(*event.Append){
		"stream":             func(a *event.Append) { a.Stream = "b" },
		"type":               func(a *event.Append) { a.Events[1].Type = "t.U" },
		"data":               func(a *event.Append) { a.Events[1].Data = []byte{9, 0, 0, 0, 0, 0, 0, 0} },
		"tag moved":          func(a *event.Append) { a.Events[0].Tags, a.Events[1].Tags = []string{"a:b"}, []string{"c:d"} },
		"tags joined":        func(a *event.Append) { a.Events[0].Tags = []string{"a:bc:d"} },
		"metadata value":     func(a *event.Append) { a.Events[0].Metadata[0].Value = "w" },
		"metadata key moved": func(a *event.Append) { a.Events[0].Metadata[0] = event.Meta{Key: "mv"} },
		"tag for metadata": func(a *event.Append) {
			a.Events[0].Tags, a.Events[0].Metadata = nil, []event.Meta{{Key: "a:b", Value: "c:d"}, {Key: "m", Value: "v"}}
		},
		"causation":           func(a *event.Append) { a.Events[0].Causation = event.ID{1} },
		"correlation instead": func(a *event.Append) { a.Events[0].Correlation = event.ID{1} },
		"event fewer":         func(a *event.Append) { a.Events = a.Events[:1] },
	} {
		a := base()
		change(&a)
		if content(a) == first.Content {
			t.Errorf("%s: same content", name)
		}
	}
	a := base()
	a.Conditions = []event.Condition{event.StreamAbsent{Stream: "a"}}
	if content(a) != first.Content {
		t.Error("conditions are no content")
	}
}
