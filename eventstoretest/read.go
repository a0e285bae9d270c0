package eventstoretest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/verbatim-es/verbatim/event"
)

func testReadEmpty(t *testing.T, b *bench) {
	head := b.head(t)
	if head.Position != 0 || !head.ID.IsZero() || head.First != 0 || head.Store.IsZero() {
		t.Errorf("head of an empty log: %+v", head)
	}
	for _, s := range selections() {
		for _, s.Backward = range []bool{false, true} {
			page := b.page(t, s, event.PageOptions{})
			if page.Count != 0 || len(page.Records) != 0 || page.Last != 0 || page.Head != 0 || page.More || page.Store != head.Store {
				t.Errorf("%+v: %+v", s, page)
			}
		}
	}
}

// selections are filters for what fill appends.
func selections() []event.Selection {
	return []event.Selection{
		{},
		{Stream: "ledger-0"},
		{Stream: "other-1"},
		{Stream: "ledger"},
		{Stream: "ledger-none"},
		{Category: "ledger"},
		{Category: "other"},
		{Category: "ledg"},
		{Types: []string{NotedType}},
		{Types: []string{StruckType, NotedType}},
		{Types: []string{"contract."}},
		{Types: []string{"contract.ledger.", NotedType}},
		{Types: []string{"contract.ledger"}},
		{Types: []string{"none."}},
		{Tags: []string{"all:yes"}},
		{Tags: []string{"mod:1"}},
		{Tags: []string{"mod:1", "text:n3"}},
		{Tags: []string{"text:n3", "mod:1", "all:yes"}},
		{Tags: []string{"mod:1", "mod:2"}},
		{Query: event.Query{{Types: []string{StruckType}, Tags: []string{"mod:2"}}}},
		{Query: event.Query{{Types: []string{StruckType}, Tags: []string{"mod:2"}}, {Tags: []string{"text:n0"}}, {Tags: []string{"mod:2"}}}},
		{Query: event.Query{{Types: []string{"none."}}, {}}},
	}
}

func testEverySelection(t *testing.T, b *bench) {
	all := b.fill(t, 60)
	for _, s := range selections() {
		for _, s.Backward = range []bool{false, true} {
			for _, s.Limit = range []int{0, 1, 4, 1000} {
				equal(t, fmt.Sprintf("%+v", s), b.read(t, s), selected(all, s))
			}
		}
	}
}

func testStarts(t *testing.T, b *bench) {
	all := b.fill(t, 30)
	for _, s := range selections() {
		for after := range uint64(31) {
			s.After, s.Backward = after, false
			equal(t, fmt.Sprintf("%+v", s), b.read(t, s), selected(all[after:], s))
			if s.Backward = true; after > 0 {
				equal(t, fmt.Sprintf("%+v", s), b.read(t, s), selected(all[:after-1], s))
			}
		}
	}
	past := ulid.ULID{}
	future := all[29].ID()
	future[0] = 0x7f
	for _, s := range selections() {
		for _, e := range []event.Event{all[0], all[13], all[29]} {
			s.Backward, s.AfterID = false, e.ID()
			equal(t, fmt.Sprintf("%+v", s), b.read(t, s), selected(all[e.Position():], s))
			s.Backward = true
			equal(t, fmt.Sprintf("%+v", s), b.read(t, s), selected(all[:e.Position()-1], s))
		}
		past[15] = 1
		s.Backward, s.AfterID = false, past
		equal(t, "behind the first possible id", b.read(t, s), selected(all, s))
		s.AfterID = future
		equal(t, "behind an id to come", b.read(t, s), nil)
		s.Backward = true
		equal(t, "below an id to come", b.read(t, s), selected(all, s))

		s.Backward, s.AfterID = false, ulid.ULID{}
		for _, since := range []time.Time{all[0].Time().Add(-time.Hour), all[17].Time(), all[29].Time().Add(time.Nanosecond), all[29].Time().Add(time.Hour)} {
			var later []event.Event
			for _, e := range all {
				if !e.Time().Before(since) {
					later = append(later, e)
				}
			}
			s.Since = since
			equal(t, fmt.Sprintf("%+v", s), b.read(t, s), selected(later, s))
		}
	}
	for version := uint64(1); version < 20; version++ {
		s := event.Selection{Stream: "ledger-1", FromVersion: version}
		var want []event.Event
		for _, e := range all {
			if e.Stream() == s.Stream && e.Version() >= version {
				want = append(want, e)
			}
		}
		equal(t, fmt.Sprintf("%+v", s), b.read(t, s), want)
	}
}

func testPaging(t *testing.T, b *bench) {
	all := b.fill(t, 40)
	for _, s := range selections() {
		for _, s.Limit = range []int{1, 3} {
			s.After = 0
			rest := selected(all, event.Selection{Stream: s.Stream, Category: s.Category, Types: s.Types, Tags: s.Tags, Query: s.Query})
			for {
				page := b.page(t, s, event.PageOptions{})
				if page.Count > s.Limit || page.Count > len(rest) || page.Head != 40 {
					t.Fatalf("%+v: %d events, head %d, with %d events left", s, page.Count, page.Head, len(rest))
				}
				if page.Count > 0 && page.Last < rest[page.Count-1].Position() {
					t.Fatalf("%+v: last %d is before the page's last event", s, page.Last)
				}
				rest = rest[page.Count:]
				if len(rest) > 0 && page.Last >= rest[0].Position() {
					t.Fatalf("%+v: last %d leaves out position %d", s, page.Last, rest[0].Position())
				}
				if !page.More {
					if page.Last != page.Head || len(rest) > 0 {
						t.Errorf("%+v: the end at %d of %d, with %d events left", s, page.Last, page.Head, len(rest))
					}
					break
				}
				if page.Last <= s.After {
					t.Fatalf("%+v: no progress", s)
				}
				s.After = page.Last
			}
		}
	}
}

func eventsOf(t *testing.T, page event.Page) (events []event.Event) {
	t.Helper()
	for e, err := range page.Events() {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

func testMaxBytes(t *testing.T, b *bench) {
	all := b.fill(t, 10)
	size := len(all[0].Record())
	for _, maxBytes := range []int{1, size, size + 1, 3 * size, 1 << 20} {
		for _, s := range []event.Selection{{}, {Backward: true}, {Tags: []string{"all:yes"}}, {Tags: []string{"all:yes"}, Backward: true}} {
			want := selected(all, s)
			for pages := 0; ; pages++ {
				page := b.page(t, s, event.PageOptions{MaxBytes: maxBytes})
				if len(page.Records) > maxBytes && page.Count != 1 || pages > len(all) {
					t.Fatalf("%+v by %d bytes: %d events of %d bytes", s, maxBytes, page.Count, len(page.Records))
				}
				equal(t, fmt.Sprintf("%+v by %d bytes", s, maxBytes), eventsOf(t, page), want[:min(page.Count, len(want))])
				want = want[min(page.Count, len(want)):]
				if !page.More {
					break
				}
				s.After = page.Last
			}
			if len(want) > 0 {
				t.Errorf("%+v by %d bytes: %d events are missing", s, maxBytes, len(want))
			}
		}
	}
}

// testKeptPages reads all, page by page, and looks at the pages when the last is
// there: one that came without a buffer is the reader's own, whatever is read
// after it.
func testKeptPages(t *testing.T, b *bench) {
	all := b.fill(t, 40)
	size := len(all[0].Record())
	for _, s := range []event.Selection{{}, {Backward: true}, {Tags: []string{"all:yes"}}} {
		var kept []event.Page
		for page := (event.Page{More: true}); page.More; s.After = page.Last {
			page = b.page(t, s, event.PageOptions{MaxBytes: 3 * size})
			kept = append(kept, page)
		}
		s.After = 0
		var got []event.Event
		for _, page := range kept {
			got = append(got, eventsOf(t, page)...)
		}
		equal(t, fmt.Sprintf("%+v", s), got, selected(all, s))
	}
}

// testBuffer reads into buffers that are too small, that fit, and that are used
// again.
func testBuffer(t *testing.T, b *bench) {
	all := b.fill(t, 40)
	size := len(all[0].Record())
	for _, buffer := range [][]byte{{}, make([]byte, size+1), make([]byte, 3, 1<<20)} {
		for _, s := range []event.Selection{{}, {Backward: true}, {Tags: []string{"all:yes"}}} {
			want := selected(all, s)
			for page := (event.Page{More: true}); page.More; s.After = page.Last {
				page = b.page(t, s, event.PageOptions{MaxBytes: 3 * size, Buffer: buffer})
				equal(t, fmt.Sprintf("%+v after %d", s, s.After), eventsOf(t, page), want[:min(page.Count, len(want))])
				want = want[min(page.Count, len(want)):]
				buffer = page.Records
			}
			if len(want) > 0 {
				t.Errorf("%+v: %d events are missing", s, len(want))
			}
		}
	}
}

func testBadSelection(t *testing.T, b *bench) {
	b.fill(t, 3)
	for name, s := range map[string]event.Selection{
		"two starts":             {After: 1, Since: time.Now()},
		"two filters":            {Stream: "a", Category: "b"},
		"version without stream": {FromVersion: 1},
		"backward since":         {Backward: true, Since: time.Now()},
		"negative limit":         {Limit: -1},
		"empty type":             {Types: []string{""}},
		"bad tag":                {Tags: []string{"x"}},
		"beyond the head":        {After: 4},
	} {
		var argument *event.ArgumentError
		if _, err := b.log.ReadPage(b.ctx, s, event.PageOptions{}); !errors.As(err, &argument) {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := ulid.Make()
	var changed *event.StoreChangedError
	if _, err := b.log.ReadPage(b.ctx, event.Selection{}, event.PageOptions{Store: other}); !errors.As(err, &changed) || changed.Store != b.head(t).Store {
		t.Errorf("another store: %v", err)
	}
	var argument *event.ArgumentError
	if _, err := b.log.ReadPage(b.ctx, event.Selection{Backward: true}, event.PageOptions{Wait: time.Second}); !errors.As(err, &argument) {
		t.Errorf("waiting backward: %v", err)
	}
}
