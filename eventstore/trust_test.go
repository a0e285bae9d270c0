package eventstore

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstoretest"
)

// Data that the caller vouches for is not verified. All that the store's own
// order stands on is: types, schemas, names and tags.
func TestTrustData(t *testing.T) {
	t.Parallel()
	s, err := Open(t.TempDir(), Options{Schemas: eventstoretest.Schema, MapSize: 1 << 30, MaxJournal: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	with := func(p event.Proposed, trust bool) event.Append {
		return event.Append{Stream: "ledger-1", Events: []event.Proposed{p}, TrustData: trust}
	}
	wrong := event.Proposed{Type: eventstoretest.StruckType, Data: []byte("no FlatBuffer")}
	if _, err := s.Append(t.Context(), with(wrong, false)); !errors.As(err, new(*event.InvalidDataError)) {
		t.Fatalf("not trusted: %v", err)
	}
	mustAppend(t, s, with(wrong, true))
	mustAppend(t, s, with(eventstoretest.Noted("x", 1), true))

	for name, c := range map[string]struct {
		p    event.Proposed
		want any
	}{
		"unknown type":            {event.Proposed{Type: "contract.ledger.Nothing", Data: wrong.Data}, new(*event.UnknownError)},
		"a command":               {event.Proposed{Type: eventstoretest.NoteType, Data: wrong.Data}, new(*event.UnknownError)},
		"unknown schema":          {event.Proposed{Type: wrong.Type, Data: wrong.Data, Schema: 12345}, new(*event.UnknownError)},
		"unknown schema, tagged":  {event.Proposed{Type: eventstoretest.NotedType, Data: wrong.Data, Schema: 12345}, new(*event.UnknownError)},
		"tags out of its bytes":   {event.Proposed{Type: eventstoretest.NotedType, Data: []byte{0xf0, 0xff, 0xff, 0x7f}}, new(*event.InvalidDataError)},
		"a tag that is not legal": {eventstoretest.Noted("a\nb", 1), new(*event.InvalidDataError)},
	} {
		if _, err := s.Append(t.Context(), with(c.p, true)); !errors.As(err, c.want) {
			t.Errorf("%s: %v, want a %T", name, err, c.want)
		}
	}

	// Verifying the store finds it, for ever.
	report, err := s.Verify(t.Context())
	if err != nil || len(report.Problems) != 1 || !strings.Contains(fmt.Sprint(report.Problems[0]), "position 1: data: not a valid buffer") {
		t.Errorf("verify: %v, %v", report.Problems, err)
	}
	var events []event.Event
	for e, err := range s.Read(t.Context(), event.Selection{}) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	if len(events) != 2 || string(events[0].Data()) != string(wrong.Data) {
		t.Fatalf("%d events", len(events))
	}
	if tags := slices.Collect(events[1].Tags()); !slices.Contains(tags, "text:x") {
		t.Errorf("tags %q", tags)
	}
}
