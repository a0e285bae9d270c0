package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/eventstoretest"
)

// fact is an event as the model knows it: no record, no index, no disk.
type fact struct {
	stream, category, typ string
	tags                  []string
	version               uint64
	id                    event.ID
}

// model is a log by a slice and two maps.
type model struct {
	facts    []fact
	versions map[string]uint64
	keys     map[string]keyed
}

type keyed struct {
	content string
	first   uint64
}

func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(eventstore.MemoryDir(), "model")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		m := &machine{dir: dir, disk: eventstore.NewPowerDisk(rapid.Uint64().Draw(rt, "seed of the disk")), model: model{versions: map[string]uint64{}, keys: map[string]keyed{}}}
		m.open(rt)
		defer func() { _ = m.store.Close() }()
		rt.Repeat(map[string]func(*rapid.T){
			"append": m.append,
			"read":   m.read,
			"reopen": m.reopen,
			"crash":  m.crash,
			"index":  m.verify,
			"rebuild": func(rt *rapid.T) {
				m.close(rt)
				if err := os.RemoveAll(dir + "/index"); err != nil {
					rt.Fatal(err)
				}
				m.open(rt)
			},
		})
		m.verify(rt)
	})
}

// machine drives store and model side by side.
type machine struct {
	dir   string
	disk  eventstore.PowerDisk
	store *eventstore.Store
	model model
}

func (m *machine) open(t *rapid.T) {
	store, err := m.disk.Open(m.dir)
	if err != nil {
		t.Fatal(err)
	}
	m.store = store
}

func (m *machine) close(t *rapid.T) {
	if err := m.store.Close(); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) reopen(t *rapid.T) {
	m.close(t)
	m.open(t)
}

func (m *machine) verify(t *rapid.T) {
	report, err := m.store.Verify(context.Background())
	if err != nil || !report.OK() || report.Head != uint64(len(m.model.facts)) {
		t.Fatalf("verify: %+v, %v, want %d events", report, err, len(m.model.facts))
	}
}

var (
	streams = rapid.SampledFrom([]string{"ledger-1", "ledger-2", "ledger-11", "other-1", "alone"})
	tags    = rapid.SampledFrom([]string{"a:1", "a:2", "b:1", "text:x", "text:y"})
	types   = rapid.SampledFrom([]string{eventstoretest.NotedType, eventstoretest.StruckType, "contract.", "contract.ledger.", "none.", "none.None"})
	items   = rapid.Custom(func(t *rapid.T) event.Item {
		return event.Item{Types: rapid.SliceOfN(types, 0, 2).Draw(t, "types"), Tags: rapid.SliceOfN(tags, 0, 2).Draw(t, "tags")}
	})
	queries = rapid.Custom(func(t *rapid.T) event.Query { return rapid.SliceOfN(items, 1, 3).Draw(t, "items") })
)

func (m *machine) append(t *rapid.T) {
	a, facts := m.draw(t)
	receipt, err := m.store.Append(context.Background(), a)
	m.model.append(t, a, facts, receipt, err)
}

// crash appends until the power goes, at any change of journal, log or index, and
// perhaps once more while what it left behind is recovered.
func (m *machine) crash(t *rapid.T) {
	changes := rapid.IntRange(1, 25)
	m.disk.Arm(changes.Draw(t, "changes until the power goes"))
	var unknown event.Append
	var facts []fact
	for range 30 {
		a, f := m.draw(t)
		receipt, err := m.store.Append(context.Background(), a)
		if errors.Is(err, event.ErrUnavailable) {
			if errors.Is(err, event.ErrOutcomeUnknown) {
				unknown, facts = a, f
			}
			break
		}
		m.model.append(t, a, f, receipt, err)
	}
	_ = m.store.Close() // fails, if the power went
	m.disk.Crash(rapid.Bool().Draw(t, "power"))
	if rapid.Bool().Draw(t, "again") {
		m.disk.Arm(changes.Draw(t, "changes until the power goes again"))
		if store, err := m.disk.Open(m.dir); err == nil {
			_ = store.Close() // fails, if the power went
		}
		m.disk.Crash(rapid.Bool().Draw(t, "power again"))
	}
	m.open(t)
	m.settle(t, unknown, facts)
	m.verify(t)
}

// settle finds out what became of an append of unknown outcome: all of it is
// there, where it had to be, or nothing.
func (m *machine) settle(t *rapid.T, a event.Append, facts []fact) {
	head := uint64(len(m.model.facts))
	receipt := event.Receipt{First: head + 1}
	for e, err := range m.store.Read(context.Background(), event.Selection{After: head}) {
		if err != nil {
			t.Fatal(err)
		}
		if n := len(receipt.IDs); n >= len(facts) || e.Stream() != facts[n].stream || e.Type() != facts[n].typ || e.BatchKey() != a.Key {
			t.Fatalf("after a crash there is %v, want no more than the last append", e)
		}
		receipt.IDs = append(receipt.IDs, e.ID())
	}
	if len(receipt.IDs) > 0 {
		m.model.append(t, a, facts, receipt, nil)
	}
}

// draw draws an append.
func (m *machine) draw(t *rapid.T) (event.Append, []fact) {
	a := event.Append{Stream: streams.Draw(t, "stream")}
	var facts []fact
	for range rapid.IntRange(1, 4).Draw(t, "events") {
		text := rapid.SampledFrom([]string{"x", "y"}).Draw(t, "text")
		p := eventstoretest.Struck(int64(len(text)))
		f := fact{stream: a.Stream, typ: eventstoretest.StruckType}
		if rapid.Bool().Draw(t, "noted") {
			p = eventstoretest.Noted(text, 1)
			f.typ, f.tags = eventstoretest.NotedType, []string{"text:" + text}
		}
		p.Tags = rapid.SliceOfNDistinct(tags, 0, 2, rapid.ID[string]).Draw(t, "tags")
		for _, tag := range p.Tags { // the store keeps each once, too
			if !slices.Contains(f.tags, tag) {
				f.tags = append(f.tags, tag)
			}
		}
		if rapid.IntRange(0, 3).Draw(t, "elsewhere") == 0 {
			p.Stream = streams.Draw(t, "other stream")
			f.stream = p.Stream
		}
		f.category, _ = event.SplitStream(f.stream)
		a.Events, facts = append(a.Events, p), append(facts, f)
	}
	if rapid.IntRange(0, 2).Draw(t, "keyed") == 0 {
		a.Key = rapid.SampledFrom([]string{"k1", "k2", "k3", "k4"}).Draw(t, "key")
	}
	for range rapid.IntRange(0, 2).Draw(t, "conditions") {
		a.Conditions = append(a.Conditions, m.condition(t))
	}
	return a, facts
}

func (m *machine) condition(t *rapid.T) event.Condition {
	stream := streams.Draw(t, "condition on")
	switch rapid.IntRange(0, 3).Draw(t, "condition") {
	case 0:
		return event.StreamAbsent{Stream: stream}
	case 1:
		return event.StreamPresent{Stream: stream}
	case 2:
		off := rapid.SampledFrom([]uint64{0, 0, 0, 1}).Draw(t, "off by")
		return event.StreamAt{Stream: stream, Version: m.model.versions[stream] + off}
	default:
		return event.NoneMatch{Query: queries.Draw(t, "query"), After: rapid.Uint64Range(0, uint64(len(m.model.facts))+2).Draw(t, "after")}
	}
}

// append judges what the store did, and does it too.
func (m *model) append(t *rapid.T, a event.Append, facts []fact, receipt event.Receipt, err error) {
	content := fmt.Sprintf("%+v", facts)
	if earlier, ok := m.keys[a.Key]; ok && a.Key != "" {
		var reused *event.KeyReusedError
		switch {
		case earlier.content == content && (err != nil || !receipt.Repeated || receipt.First != earlier.first):
			t.Fatalf("a repeated append: %+v, %v, want position %d", receipt, err, earlier.first)
		case earlier.content != content && (!errors.As(err, &reused) || reused.Position != earlier.first):
			t.Fatalf("a reused key: %+v, %v", receipt, err)
		}
		return
	}
	for i, c := range a.Conditions {
		if m.holds(c) {
			continue
		}
		var conflict *event.ConflictError
		if !errors.As(err, &conflict) || conflict.Index != i {
			t.Fatalf("condition %d, %v, does not hold: %+v, %v", i, c, receipt, err)
		}
		if none, ok := c.(event.NoneMatch); ok && conflict.Position != m.first(none) {
			t.Fatalf("%v: position %d, want %d", c, conflict.Position, m.first(none))
		}
		return
	}
	if err != nil || receipt.Repeated || receipt.First != uint64(len(m.facts))+1 || len(receipt.IDs) != len(facts) {
		t.Fatalf("append: %+v, %v", receipt, err)
	}
	if a.Key != "" {
		m.keys[a.Key] = keyed{content, receipt.First}
	}
	for i, f := range facts {
		m.versions[f.stream]++
		f.version, f.id = m.versions[f.stream], receipt.IDs[i]
		if n := len(m.facts); n > 0 && f.id.Compare(m.facts[n-1].id) <= 0 {
			t.Fatalf("id %v does not follow %v", f.id, m.facts[n-1].id)
		}
		m.facts = append(m.facts, f)
	}
}

func (m *model) holds(c event.Condition) bool {
	switch c := c.(type) {
	case event.StreamAt:
		return m.versions[c.Stream] == c.Version
	case event.StreamAbsent:
		return m.versions[c.Stream] == 0
	case event.StreamPresent:
		return m.versions[c.Stream] > 0
	case event.NoneMatch:
		return m.first(c) == 0
	}
	panic("no such condition")
}

func (m *model) first(c event.NoneMatch) uint64 {
	for i := c.After; i < uint64(len(m.facts)); i++ {
		if m.facts[i].in(c.Query) {
			return i + 1
		}
	}
	return 0
}

func (f fact) in(q event.Query) bool {
	return slices.ContainsFunc(q, func(i event.Item) bool {
		return (len(i.Types) == 0 || f.isA(i.Types)) && f.has(i.Tags)
	})
}

func (f fact) isA(types []string) bool {
	return slices.ContainsFunc(types, func(t string) bool {
		return f.typ == t || t == "contract." || t == "contract.ledger."
	})
}

func (f fact) has(tags []string) bool {
	return !slices.ContainsFunc(tags, func(tag string) bool { return !slices.Contains(f.tags, tag) })
}

func (m *machine) read(t *rapid.T) {
	s := event.Selection{Backward: rapid.Bool().Draw(t, "backward"), Limit: rapid.SampledFrom([]int{0, 0, 1, 3}).Draw(t, "limit")}
	head := uint64(len(m.model.facts))
	var match func(fact) bool
	switch rapid.IntRange(0, 5).Draw(t, "filter") {
	case 0:
		match = func(fact) bool { return true }
	case 1:
		s.Stream = streams.Draw(t, "stream")
		match = func(f fact) bool { return f.stream == s.Stream }
	case 2:
		s.Category = rapid.SampledFrom([]string{"ledger", "other", "alone", "led"}).Draw(t, "category")
		match = func(f fact) bool { return f.category == s.Category }
	case 3:
		s.Types = rapid.SliceOfN(types, 1, 3).Draw(t, "types")
		match = func(f fact) bool { return f.isA(s.Types) }
	case 4:
		s.Tags = rapid.SliceOfN(tags, 1, 3).Draw(t, "tags")
		match = func(f fact) bool { return f.has(s.Tags) }
	case 5:
		s.Query = queries.Draw(t, "query")
		match = func(f fact) bool { return f.in(s.Query) }
	}
	if rapid.Bool().Draw(t, "start") {
		s.After = rapid.Uint64Range(0, head).Draw(t, "after")
	} else if !s.Backward && head > 0 && rapid.Bool().Draw(t, "since") {
		s.Since = m.model.facts[rapid.IntRange(0, int(head)-1).Draw(t, "event")].id.Timestamp()
	} else if head > 0 && rapid.Bool().Draw(t, "after id") {
		s.AfterID = m.model.id(t)
	} else if s.Stream != "" && !s.Backward {
		s.FromVersion = rapid.Uint64Range(0, 6).Draw(t, "version")
	}
	var want []uint64
	for i, f := range m.model.facts {
		at := uint64(i) + 1
		in := at > s.After && f.version >= s.FromVersion && !f.id.Timestamp().Before(s.Since)
		if s.Backward {
			in = s.After == 0 || at < s.After
		}
		if c := f.id.Compare(s.AfterID); !s.AfterID.IsZero() {
			in = c > 0 && !s.Backward || c < 0 && s.Backward
		}
		if in && match(f) {
			want = append(want, at)
		}
	}
	if s.Backward {
		slices.Reverse(want)
	}
	if s.Limit > 0 && len(want) > s.Limit {
		want = want[:s.Limit]
	}
	m.compare(t, s, want)
}

// id draws the id of an event, or one beside it, which may be no event's.
func (m *model) id(t *rapid.T) event.ID {
	id := m.facts[rapid.IntRange(0, len(m.facts)-1).Draw(t, "event with the id")].id
	id[len(id)-1] += rapid.SampledFrom([]byte{0, 0, 1, 255}).Draw(t, "off by")
	return id
}

// compare reads a view, and by pages of random sizes.
func (m *machine) compare(t *rapid.T, s event.Selection, want []uint64) {
	m.view(t, s, want)
	maxBytes := rapid.SampledFrom([]int{0, 1, 500}).Draw(t, "max bytes")
	var got []uint64
	for limit := s.Limit; ; {
		page, err := m.store.ReadPage(context.Background(), s, event.PageOptions{MaxBytes: maxBytes})
		if err != nil {
			t.Fatalf("read %+v: %v", s, err)
		}
		for e, err := range page.Events() {
			if err != nil {
				t.Fatal(err)
			}
			f := m.model.facts[e.Position()-1]
			if e.Stream() != f.stream || e.Type() != f.typ || e.Version() != f.version || e.ID() != f.id {
				t.Fatalf("read %v, want %+v", e, f)
			}
			got = append(got, e.Position())
		}
		if !page.More || limit > 0 && len(got) >= limit {
			break
		}
		s.After, s.AfterID, s.FromVersion, s.Since = page.Last, event.ID{}, 0, time.Time{}
		if limit > 0 {
			s.Limit = limit - len(got)
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("read %+v: got %v, want %v", s, got, want)
	}
}

func (m *machine) view(t *rapid.T, s event.Selection, want []uint64) {
	var got []uint64
	if err := m.store.View(context.Background(), func(snap *eventstore.Snapshot) error {
		for e, err := range snap.Read(s) {
			if err != nil {
				return err
			}
			if f := m.model.facts[e.Position()-1]; e.ID() != f.id || e.Stream() != f.stream || e.Version() != f.version {
				t.Fatalf("viewed %v, want %+v", e, f)
			}
			got = append(got, e.Position())
		}
		return nil
	}); err != nil || !slices.Equal(got, want) {
		t.Fatalf("view %+v: got %v, %v, want %v", s, got, err, want)
	}
}
