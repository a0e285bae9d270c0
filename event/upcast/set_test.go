package upcast_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/event/upcast"
	"github.com/verbatim-es/verbatim/examples/bank/account"
)

// stored returns an event as a log has it.
func stored(t testing.TB, typ string, schema uint64, data string) event.Event {
	t.Helper()
	a := event.Append{Stream: "account-1", Key: "k", Events: []event.Proposed{{
		Type: typ, Data: []byte(data), Metadata: []event.Meta{{Key: "by", Value: "me"}}, Correlation: event.ID{9},
	}}}
	record, err := event.BuildRecord(&a, 0, schema, []string{"owner:ada"})
	if err != nil {
		t.Fatal(err)
	}
	event.Seal(record, event.ID{1, 2, 3}, 7, 3)
	return event.Trusted(record)
}

// to returns a function that makes events of the types, their data the old one's
// with the type behind it.
func to(schema uint64, types ...string) func(event.Event) ([]event.Proposed, error) {
	return func(e event.Event) (made []event.Proposed, err error) {
		for _, typ := range types {
			made = append(made, event.Proposed{Type: typ, Schema: schema, Data: []byte(string(e.Data()) + ">" + typ)})
		}
		return made, nil
	}
}

func set(t testing.TB, rules ...upcast.Rule) *upcast.Set {
	t.Helper()
	s, err := upcast.New(rules...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// read returns what an event is read as: "type@schema data".
func read(t testing.TB, s *upcast.Set, e event.Event) (got []string) {
	t.Helper()
	for u, err := range s.Events(e) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s@%d %s", u.Type(), u.Schema(), u.Data()))
	}
	return got
}

func TestEvents(t *testing.T) {
	t.Parallel()
	s := set(t,
		upcast.Rule{Type: "a.Old", Into: []string{"a.Newer"}, Upcast: to(0, "a.Newer")},
		upcast.Rule{Type: "a.Newer", Into: []string{"a.Newest", "a.Other"}, Upcast: to(5, "a.Newest", "a.Other", "a.Newest")},
		upcast.Rule{Type: "a.Gone", Upcast: to(0)},
		// Versions of one type, each one's step to the next.
		upcast.Rule{Type: "a.T", Schemas: []uint64{1, 2}, Into: []string{"a.T"}, Upcast: to(3, "a.T")},
		upcast.Rule{Type: "a.T", Schemas: []uint64{3}, Into: []string{"a.T", "a.Old"}, Upcast: to(4, "a.T", "a.Old")},
		upcast.Rule{Type: "a.U", Schemas: []uint64{1}, Into: []string{"a.First"}, Upcast: to(0, "a.First")},
		upcast.Rule{Type: "a.U", Into: []string{"a.Rest"}, Upcast: to(0, "a.Rest")},
	)
	for _, c := range []struct {
		typ    string
		schema uint64
		want   []string
	}{
		{"a.Fine", 1, []string{"a.Fine@1 d"}},
		{"a.Newest", 1, []string{"a.Newest@1 d"}},
		{"a.Newer", 1, []string{"a.Newest@5 d>a.Newest", "a.Other@5 d>a.Other", "a.Newest@5 d>a.Newest"}},
		{"a.Old", 1, []string{"a.Newest@5 d>a.Newer>a.Newest", "a.Other@5 d>a.Newer>a.Other", "a.Newest@5 d>a.Newer>a.Newest"}},
		{"a.Gone", 1, nil},
		{"a.T", 4, []string{"a.T@4 d"}},
		{"a.T", 3, []string{"a.T@4 d>a.T", "a.Newest@5 d>a.Old>a.Newer>a.Newest", "a.Other@5 d>a.Old>a.Newer>a.Other", "a.Newest@5 d>a.Old>a.Newer>a.Newest"}},
		{"a.T", 2, []string{"a.T@4 d>a.T>a.T", "a.Newest@5 d>a.T>a.Old>a.Newer>a.Newest", "a.Other@5 d>a.T>a.Old>a.Newer>a.Other", "a.Newest@5 d>a.T>a.Old>a.Newer>a.Newest"}},
		{"a.U", 1, []string{"a.First@0 d>a.First"}},
		{"a.U", 2, []string{"a.Rest@0 d>a.Rest"}},
	} {
		e := stored(t, c.typ, c.schema, "d")
		if got := read(t, s, e); !slices.Equal(got, c.want) {
			t.Errorf("%s of schema %d: %q, want %q", c.typ, c.schema, got, c.want)
		}
		for u := range s.Events(e) {
			if !s.MayBecome(e, func(typ string) bool { return typ == u.Type() }) {
				t.Errorf("%s of schema %d became %s, which MayBecome denies", c.typ, c.schema, u.Type())
			}
		}
		if s.MayBecome(e, func(typ string) bool { return typ == "a.Never" }) {
			t.Errorf("%s may become anything", c.typ)
		}
	}
	if s.MayBecome(stored(t, "a.U", 1, "d"), func(typ string) bool { return typ == "a.Rest" || typ == "a.U" }) {
		t.Error("MayBecome knows nothing of schemas")
	}
	var none *upcast.Set
	if got := read(t, none, stored(t, "a.Old", 1, "d")); !slices.Equal(got, []string{"a.Old@1 d"}) {
		t.Errorf("without a set: %q", got)
	}
	for range s.Events(stored(t, "a.Newer", 1, "d")) {
		break // which must be possible
	}
}

// What is not the rule's business stays as stored, the bytes first of all.
func TestTheRestIsAsStored(t *testing.T) {
	t.Parallel()
	s := set(t, upcast.Rule{Type: "a.Old", Into: []string{"a.New"}, Upcast: to(9, "a.New", "a.New")})
	e := stored(t, "a.Old", 1, "d")
	before := bytes.Clone(e.Record())
	for u, err := range s.Events(e) {
		if err != nil {
			t.Fatal(err)
		}
		by, _ := u.MetadataValue("by")
		if !bytes.Equal(u.Record(), before) || u.ID() != e.ID() || u.Position() != 7 || u.Version() != 3 || u.Stream() != "account-1" ||
			!u.HasTag("owner:ada") || by != "me" || u.Correlation() != e.Correlation() || u.BatchKey() != "k" || u.Checksum() != e.Checksum() {
			t.Errorf("%v is not the event that was stored", u)
		}
		if event.CheckRecord(u.Record()) != nil {
			t.Error("its record is damaged")
		}
	}
	if e.Type() != "a.Old" || !bytes.Equal(e.Record(), before) {
		t.Error("the event itself has changed")
	}
}

func TestCloneOfAnUpcastEvent(t *testing.T) {
	t.Parallel()
	data := []byte("data")
	e := stored(t, "a.Old", 1, "old").Recast("a.New", 2, data)
	e.Live = true
	c := e.Clone()
	clear(data)
	clear(e.Record())
	if c.Type() != "a.New" || c.Schema() != 2 || string(c.Data()) != "data" || c.Position() != 7 || !c.Live {
		t.Errorf("the clone is %v with %q", c, c.Data())
	}
}

// Generated constructors and accessors are what rules are written with.
func TestGeneratedCode(t *testing.T) {
	t.Parallel()
	s := set(t, upcast.Rule{
		Type: account.SentType, Into: []string{account.DebitedType},
		Upcast: func(e event.Event) ([]event.Proposed, error) {
			sent, ok := account.AsSent(e)
			if !ok {
				return nil, errors.New("not a Sent")
			}
			return []event.Proposed{account.NewDebited(account.DebitedFields{Amount: sent.Amount()})}, nil
		},
	})
	sent := account.NewSent("2", account.SentFields{Amount: 12})
	for e, err := range s.Events(stored(t, sent.Type, sent.Schema, string(sent.Data))) {
		if debited, ok := account.AsDebited(e); err != nil || !ok || debited.Amount() != 12 {
			t.Errorf("%v, %v", e, err)
		}
	}
}

func TestRefusedRules(t *testing.T) {
	t.Parallel()
	a, b := to(0, "a"), to(0, "b")
	for name, c := range map[string]struct {
		rules []upcast.Rule
		says  string
	}{
		"no type":       {[]upcast.Rule{{Upcast: a}}, "needs the type"},
		"no function":   {[]upcast.Rule{{Type: "a"}}, `"a": a rule needs a function`},
		"empty target":  {[]upcast.Rule{{Type: "a", Into: []string{""}, Upcast: a}}, "Into is empty"},
		"schema 0":      {[]upcast.Rule{{Type: "a", Schemas: []uint64{0}, Upcast: b}}, "0 is no schema"},
		"twice":         {[]upcast.Rule{{Type: "a", Upcast: b}, {Type: "a", Upcast: b}}, "two rules"},
		"twice, schema": {[]upcast.Rule{{Type: "a", Schemas: []uint64{1, 2}, Upcast: b}, {Type: "a", Schemas: []uint64{2}, Upcast: b}}, "two rules are for its events of schema 0000000000000002"},
		"itself":        {[]upcast.Rule{{Type: "a", Into: []string{"a"}, Upcast: a}}, "name the Schemas"},
		"two types":     {[]upcast.Rule{{Type: "a", Into: []string{"b"}, Upcast: b}, {Type: "b", Schemas: []uint64{1}, Into: []string{"a"}, Upcast: a}}, "a → b → a"},
		"a long way":    {[]upcast.Rule{{Type: "x", Into: []string{"a"}, Upcast: a}, {Type: "a", Into: []string{"z", "b"}, Upcast: b}, {Type: "b", Into: []string{"c"}, Upcast: b}, {Type: "c", Into: []string{"b", "a"}, Upcast: a}}, " → "},
	} {
		if s, err := upcast.New(c.rules...); s != nil || err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want an error that says %q", name, err, c.says)
		}
	}
}

func TestFailingRules(t *testing.T) {
	t.Parallel()
	broken := errors.New("no rate for that day")
	rule := func(made ...event.Proposed) func(event.Event) ([]event.Proposed, error) {
		return func(event.Event) ([]event.Proposed, error) { return made, nil }
	}
	for name, c := range map[string]struct {
		upcast func(event.Event) ([]event.Proposed, error)
		says   string
	}{
		"error":      {func(event.Event) ([]event.Proposed, error) { return nil, broken }, broken.Error()},
		"panic":      {func(event.Event) ([]event.Proposed, error) { panic("ouch") }, "panic: ouch"},
		"other type": {to(0, "a.Else"), `"a.Else", which the rule does not have in Into`},
		"no data":    {rule(event.Proposed{Type: "a.New"}), "without data"},
		"tags":       {rule(event.Proposed{Type: "a.New", Data: []byte("d"), Tags: []string{"a:b"}}), "more than"},
		"stream":     {rule(event.Proposed{Type: "a.New", Data: []byte("d"), Stream: "x-1"}), "more than"},
		"metadata":   {rule(event.Proposed{Type: "a.New", Data: []byte("d"), Metadata: []event.Meta{{}}}), "more than"},
		"cause":      {rule(event.Proposed{Type: "a.New", Data: []byte("d"), Causation: event.ID{1}}), "more than"},
		"again":      {to(1, "a.New", "a.Old"), `becomes "a.Old" of schema 0000000000000001, for which a rule was applied already`},
	} {
		s := set(t,
			upcast.Rule{Type: "a.Oldest", Into: []string{"a.New", "a.Old"}, Upcast: to(1, "a.New", "a.Old")},
			upcast.Rule{Type: "a.Old", Schemas: []uint64{1}, Into: []string{"a.New", "a.Old"}, Upcast: c.upcast})
		var errs []error
		for e, err := range s.Events(stored(t, "a.Oldest", 6, "d")) {
			if err == nil {
				t.Errorf("%s: %v is yielded before the error", name, e)
			}
			errs = append(errs, err)
		}
		var failed *upcast.Error
		if len(errs) != 1 || !errors.As(errs[0], &failed) || failed.Position != 7 || failed.Type != "a.Old" || failed.Schema != 1 {
			t.Errorf("%s: %v", name, errs)
			continue
		}
		if message := errs[0].Error(); !strings.Contains(message, c.says) || !strings.Contains(message, `"a.Old" of schema 0000000000000001 at position 7`) {
			t.Errorf("%s: %q does not say %q", name, message, c.says)
		}
		if name == "error" && !errors.Is(errs[0], broken) {
			t.Error("the rule's own error is lost")
		}
	}
}

func TestEventsWithoutARuleCostNothing(t *testing.T) {
	s := set(t, upcast.Rule{Type: "a.Old", Into: []string{"a.New"}, Upcast: to(0, "a.New")})
	e := stored(t, "a.New", 1, "d")
	for _, s := range []*upcast.Set{s, nil} {
		allocs := testing.AllocsPerRun(100, func() {
			for u, err := range s.Events(e) {
				if err != nil || u.Position() != 7 {
					t.Fail()
				}
			}
		})
		if allocs > 0 {
			t.Errorf("%v allocations", allocs)
		}
	}
}

func TestApplies(t *testing.T) {
	t.Parallel()
	into := func(event.Event) ([]event.Proposed, error) { return nil, nil }
	s, err := upcast.New(
		upcast.Rule{Type: "a.Every", Into: []string{"a.Other"}, Upcast: into},
		upcast.Rule{Type: "a.Old", Schemas: []uint64{7}, Into: []string{"a.Other"}, Upcast: into},
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		set    *upcast.Set
		typ    string
		schema uint64
		want   bool
	}{
		{s, "a.Every", 1, true}, {s, "a.Every", 0, true}, {s, "a.Old", 7, true}, {s, "a.Old", 8, false},
		{s, "a.Old", 0, true}, {s, "a.Other", 0, false}, {nil, "a.Every", 0, false}, {nil, "a.Every", 1, false},
	} {
		if got := c.set.Applies(c.typ, c.schema); got != c.want {
			t.Errorf("%q of schema %d: %v, want %v", c.typ, c.schema, got, c.want)
		}
	}
}
