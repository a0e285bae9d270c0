package aggregatetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/event/memstore"
)

// ID is the id of the aggregate that a scenario is about.
const ID = "1"

// Scenario is an aggregate with a past.
type Scenario[S any] struct {
	t       testing.TB
	def     aggregate.Definition[S]
	log     *memstore.Store
	handler *aggregate.Handler[S]
	show    *renderer
}

// Given begins a scenario with what has happened, in that order. Events without
// a stream are of the aggregate with id [ID]; [In] puts others elsewhere.
func Given[S any](t testing.TB, def aggregate.Definition[S], events ...event.Proposed) *Scenario[S] {
	t.Helper()
	log, err := memstore.New(def.Schema)
	if err != nil {
		t.Fatalf("given: the definition's schema: %v", err)
	}
	s := &Scenario[S]{t: t, def: def, log: log, show: newRenderer(log.Schemas(), def.Category)}
	s.handler = aggregate.New(log, s.watched(), aggregate.Options{})
	if len(events) > 0 {
		if _, err := log.Append(context.Background(), event.Append{Stream: s.stream(), Events: events}); err != nil {
			t.Fatalf("given: %v", err)
		}
	}
	return s
}

// In puts an event into another stream than that of the scenario's aggregate:
// "account-2".
func In(stream string, e event.Proposed) event.Proposed {
	e.Stream = stream
	return e
}

func (s *Scenario[S]) stream() string { return event.StreamName(s.def.Category, ID) }

// watched is the definition with deciders that must leave the state alone.
func (s *Scenario[S]) watched() aggregate.Definition[S] {
	def := s.def
	if def.Pack == nil {
		return def
	}
	def.Commands = make(map[string]func(*S, []byte, *aggregate.Decision[S]) error)
	for command, decide := range s.def.Commands {
		def.Commands[command] = func(state *S, data []byte, out *aggregate.Decision[S]) error {
			s.t.Helper()
			was := *state
			if def.Copy != nil {
				was = def.Copy(state)
			}
			err := decide(state, data, out)
			if before, after := s.states(&was, state); before.exact != after.exact {
				s.t.Errorf("deciding %s changed the state, which only Evolve methods may do (- before, + after):\n%s",
					command, difference(before, after))
			}
			return err
		}
	}
	return def
}

// When gives the commands to the aggregate, several in one append.
func (s *Scenario[S]) When(commands ...aggregate.Command) *Outcome[S] {
	s.t.Helper()
	ctx := context.Background()
	head, err := s.log.Head(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	o := &Outcome[S]{Scenario: s}
	if len(commands) == 1 {
		_, o.err = s.handler.Handle(ctx, ID, commands[0].Type, commands[0].Data)
	} else {
		_, o.err = s.handler.HandleAll(ctx, ID, commands)
	}
	for e, err := range event.Read(ctx, s.log, event.Selection{After: head.Position}) {
		if err != nil {
			s.t.Fatal(err)
		}
		o.events = append(o.events, e)
	}
	for _, c := range commands {
		o.asked += "when " + s.show.command(c)
	}
	return o
}

// Outcome is what became of commands. More can be given: When goes on from it.
type Outcome[S any] struct {
	*Scenario[S]
	asked  string
	events []event.Event
	err    error
}

// Then expects exactly these events, in this order; none is an accepted command
// that changes nothing. Stream, type and data are compared.
func (o *Outcome[S]) Then(events ...event.Proposed) *Outcome[S] {
	o.t.Helper()
	if o.err != nil {
		o.t.Errorf("%sgot the error %v, want %d events", o.asked, o.err, len(events))
		return o
	}
	want, got := o.expected(events), o.stored()
	if want.exact != got.exact {
		o.t.Errorf("%sthe events differ (- want, + got):\n%s", o.asked, difference(want, got))
	}
	return o
}

// Rejected expects that a decider refuses, with that code, and that nothing is
// stored.
func (o *Outcome[S]) Rejected(code string) *Outcome[S] {
	o.t.Helper()
	switch rejected, is := rejection(o.err); {
	case o.err == nil:
		o.t.Errorf("%sgot these events, want the rejection %q:\n%s", o.asked, code, o.stored().shown)
	case !is:
		o.t.Errorf("%sgot the error %v, want the rejection %q", o.asked, o.err, code)
	case rejected.Code != code:
		o.t.Errorf("%sgot the rejection %q (%s), want %q", o.asked, rejected.Code, rejected.Message, code)
	}
	return o
}

// State expects the aggregate's state. Empty and nil slices are the same, where
// the definition packs states.
func (o *Outcome[S]) State(want S) *Outcome[S] {
	o.t.Helper()
	got, _, err := o.handler.Load(context.Background(), ID)
	if err != nil {
		o.t.Errorf("%sthe state: %v", o.asked, err)
		return o
	}
	if w, g := o.states(&want, got); w.exact != g.exact {
		o.t.Errorf("%sthe state differs (- want, + got):\n%s", o.asked, difference(w, g))
	}
	return o
}

// states renders two states to be compared; equal ones may be rendered as
// nothing. Where one can't be packed, both are shown as Go does.
func (s *Scenario[S]) states(a, b *S) (first, second rendering) {
	packedA, errA := s.pack(a)
	packedB, errB := s.pack(b)
	packed := errA == nil && errB == nil
	switch {
	case packed && bytes.Equal(packedA, packedB), !packed && reflect.DeepEqual(a, b):
		return rendering{}, rendering{}
	case packed:
		return s.show.state(packedA), s.show.state(packedB)
	}
	return asGo(a, errA), asGo(b, errB)
}

var errNoPack = errors.New("the definition has no Pack")

// pack is the definition's, but for a state that can't be packed: one without a
// union that its schema requires.
func (s *Scenario[S]) pack(state *S) (data []byte, err error) {
	if s.def.Pack == nil {
		return nil, errNoPack
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it can't be packed: %v", p)
		}
	}()
	return s.def.Pack(state), nil
}

func asGo[S any](state *S, err error) rendering {
	text := fmt.Sprintf("%+v", *state)
	if err != nil && !errors.Is(err, errNoPack) {
		text += "\n" + err.Error()
	}
	return plain(text)
}

func (o *Outcome[S]) expected(events []event.Proposed) (r rendering) {
	for _, p := range events {
		if p.Stream == "" {
			p.Stream = o.stream()
		}
		r.add(o.show.event(p.Stream, p.Type, p.Schema, p.Data))
	}
	return r
}

func (o *Outcome[S]) stored() (r rendering) {
	for _, e := range o.events {
		r.add(o.show.event(e.Stream(), e.Type(), e.Schema(), e.Data()))
	}
	return r
}
