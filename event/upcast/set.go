package upcast

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/verbatim-es/verbatim/event"
)

// Rule turns events of one type into what took its place.
type Rule struct {
	// Type is the full name of the events' type.
	Type string
	// Schemas are the fingerprints of the schemas they were written with. None
	// means every schema that no other rule of the type names.
	Schemas []uint64
	// Into are the types of the events that Upcast may return. It may be the
	// rule's own type, with Schemas: those of the older versions.
	Into []string
	// Upcast returns what the event is read as, in order; nothing, when it means
	// nothing any more. Generated constructors make what it returns: only Type,
	// Data and Schema may be set. It must depend on nothing but the event, and
	// is called again for every reading. An error, or a panic, stops whoever
	// reads.
	Upcast func(e event.Event) ([]event.Proposed, error)
}

// Set is rules that work together. It is immutable and safe for concurrent use.
// A nil Set leaves every event as it is.
type Set struct {
	rules map[key]*rule
}

// key finds a rule; schema 0 stands for every version that has none.
type key struct {
	typ    string
	schema uint64
}

type rule struct {
	Rule
	types []string // that its events may have, here or further on
}

// New returns a set of rules. It fails when two rules are for the same events,
// and when events of a type could become events of that type again: a type that
// only changed names the Schemas of its older versions.
func New(rules ...Rule) (*Set, error) {
	s := &Set{rules: make(map[key]*rule)}
	for _, declared := range rules {
		if err := s.add(declared); err != nil {
			return nil, fmt.Errorf("upcast %q: %w", declared.Type, err)
		}
	}
	into := make(map[string][]string)
	for _, r := range rules {
		into[r.Type] = append(into[r.Type], r.Into...)
	}
	for _, r := range rules {
		if path := cycle(into, []string{r.Type}); path != nil {
			return nil, fmt.Errorf("upcast %q: its events could become events of the type again: %s", r.Type, strings.Join(path, " → "))
		}
	}
	for _, r := range s.rules {
		r.types = reach(into, r.Into)
	}
	return s, nil
}

// cycle returns a way from a path's last type back to its first, nil when there
// is none. Steps from a type to itself do not count: they are from one version
// to another, and Events watches that they end.
func cycle(into map[string][]string, path []string) []string {
	last := path[len(path)-1]
	for _, next := range into[last] {
		switch {
		case next == last:
		case next == path[0]:
			return append(path, next)
		case slices.Contains(path, next): // found from there
		default:
			if found := cycle(into, append(slices.Clip(path), next)); found != nil {
				return found
			}
		}
	}
	return nil
}

// reach returns the types, and all that their events may become.
func reach(into map[string][]string, types []string) []string {
	reached := slices.Clone(types)
	for i := 0; i < len(reached); i++ {
		for _, next := range into[reached[i]] {
			if !slices.Contains(reached, next) {
				reached = append(reached, next)
			}
		}
	}
	return reached
}

func (s *Set) add(declared Rule) error {
	declared.Schemas, declared.Into = slices.Clone(declared.Schemas), slices.Clone(declared.Into)
	switch {
	case declared.Type == "":
		return errors.New("a rule needs the type of the events that it is for")
	case declared.Upcast == nil:
		return errors.New("a rule needs a function Upcast")
	case slices.Contains(declared.Into, ""):
		return errors.New("a type in Into is empty")
	case slices.Contains(declared.Schemas, 0):
		return errors.New("0 is no schema's fingerprint: leave Schemas out to mean all others")
	case len(declared.Schemas) == 0 && slices.Contains(declared.Into, declared.Type):
		return errors.New("events of every version become events of the type again: name the Schemas of the older versions")
	}
	schemas := declared.Schemas
	if len(schemas) == 0 {
		schemas = []uint64{0}
	}
	r := &rule{Rule: declared}
	for _, schema := range schemas {
		k := key{declared.Type, schema}
		if s.rules[k] != nil {
			return fmt.Errorf("two rules are for its events%s", ofSchema(schema))
		}
		s.rules[k] = r
	}
	return nil
}

// find returns the rule for events of a type and schema, nil if there is none.
func (s *Set) find(typ string, schema uint64) *rule {
	if s == nil {
		return nil
	}
	if r := s.rules[key{typ, schema}]; r != nil {
		return r
	}
	return s.rules[key{typ, 0}]
}

// Applies reports whether events of the type, written with that schema, are read
// as something else. Schema 0 stands for one that is not known: then a rule for
// any version of the type counts.
func (s *Set) Applies(typ string, schema uint64) bool {
	if s == nil || schema != 0 {
		return s.find(typ, schema) != nil
	}
	for k := range s.rules {
		if k.typ == typ {
			return true
		}
	}
	return false
}

// MayBecome reports whether one of the types that [Set.Events] may yield for an
// event is wanted: its own, when no rule is for it.
func (s *Set) MayBecome(e event.Event, wanted func(typ string) bool) bool {
	if r := s.find(e.Type(), e.Schema()); r != nil {
		return slices.ContainsFunc(r.types, wanted)
	}
	return wanted(e.Type())
}

// Events yields what an event is read as today: itself, when no rule is for it.
// The events alias e's record and what the rules returned. When a rule fails,
// nothing but the error is yielded, an [*Error].
func (s *Set) Events(e event.Event) iter.Seq2[event.Event, error] {
	return func(yield func(event.Event, error) bool) {
		r := s.find(e.Type(), e.Schema())
		if r == nil {
			yield(e, nil)
			return
		}
		events, err := s.apply(nil, e, []*rule{r})
		if err != nil {
			yield(event.Event{}, err)
			return
		}
		for _, e := range events {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// apply appends what the last rule of the path, and those that follow, make of
// an event.
func (s *Set) apply(dst []event.Event, e event.Event, path []*rule) ([]event.Event, error) {
	last := path[len(path)-1]
	made, err := last.run(e)
	if err != nil {
		return nil, failed(e, err)
	}
	for i := range made {
		p := &made[i]
		if err := last.check(p); err != nil {
			return nil, failed(e, err)
		}
		to := e.Recast(p.Type, p.Schema, p.Data)
		next := s.find(p.Type, p.Schema)
		switch {
		case next == nil:
			dst = append(dst, to)
		case slices.Contains(path, next):
			return nil, failed(e, fmt.Errorf("it becomes %q%s, for which a rule was applied already", p.Type, ofSchema(p.Schema)))
		default:
			if dst, err = s.apply(dst, to, append(slices.Clip(path), next)); err != nil {
				return nil, err
			}
		}
	}
	return dst, nil
}

func (r *rule) run(e event.Event) (made []event.Proposed, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return r.Upcast(e)
}

// check refuses what a rule may not do.
func (r *rule) check(p *event.Proposed) error {
	switch {
	case !slices.Contains(r.Into, p.Type):
		return fmt.Errorf("it became %q, which the rule does not have in Into", p.Type)
	case len(p.Data) == 0:
		return fmt.Errorf("it became %q without data: an event without fields has some, too", p.Type)
	case p.Stream != "" || p.Tags != nil || p.Metadata != nil || !p.Causation.IsZero() || !p.Correlation.IsZero():
		return fmt.Errorf("it became %q with more than a type, a schema and data: what else an event has is as stored", p.Type)
	}
	return nil
}

func ofSchema(schema uint64) string {
	if schema == 0 {
		return ""
	}
	return fmt.Sprintf(" of schema %016x", schema)
}
