package codegen

import "github.com/verbatim-es/verbatim/schema"

// aggregate is one kind of aggregate of the namespace, and what belongs to it.
type aggregate struct {
	state            *schema.Table
	events, commands []*schema.Table
	// prefix of its Go names: "" where it is the only one of the package.
	prefix string
}

// sortAggregates gives events and commands to their aggregates.
func (u *unit) sortAggregates() {
	for _, a := range u.aggregates {
		for _, t := range u.events {
			if t.State == a.state.Name {
				a.events = append(a.events, t)
			}
		}
		for _, t := range u.commands {
			if t.State == a.state.Name {
				a.commands = append(a.commands, t)
			}
		}
		if len(u.aggregates) > 1 {
			a.prefix = base(a.state.Name)
		}
	}
}

func (e *emitter) declareState(a *aggregate) {
	e.doc(nil, "%sCategory is the category of the aggregate's streams: \"%s-\" and the id.", a.prefix, a.state.Aggregate)
	e.p("const %sCategory = %q\n", a.prefix, a.state.Aggregate)
	name := base(a.state.Name)
	e.doc(a.state.Doc, "%s is the state of one %s.", name, a.state.Aggregate)
	e.plainStruct(name, a.state.Fields)
}

func (e *emitter) declareDecision(a *aggregate) {
	state := base(a.state.Name)
	e.doc(nil, "%sDecision takes the events that a command leads to. It is valid while the %sDecider's method runs.", a.prefix, a.prefix)
	e.p("type %sDecision struct{ *aggregate.Decision[%s] }\n", a.prefix, state)
	for _, t := range a.events {
		name := base(t.Name)
		e.doc(nil, "%s decides that the event happens.", name)
		e.p("func (d *%sDecision) %s(%s) error {", a.prefix, name, e.signature(t))
		e.p("return d.Emit(New%s(%s))", name, arguments(t))
		e.p("}\n")
	}
	e.doc(nil, "Other brings another %s into the decision: its state, and a %sDecision for its events. "+
		"All events are stored together or not at all, and only if none of the aggregates has changed meanwhile.",
		a.state.Aggregate, a.prefix)
	e.p("func (d *%sDecision) Other(id string) (*%s, *%sDecision, error) {", a.prefix, state, a.prefix)
	e.p("state, other, err := d.Decision.Other(id)")
	e.p("if err != nil {")
	e.p("return nil, nil, err")
	e.p("}")
	e.p("return state, &%sDecision{other}, nil", a.prefix)
	e.p("}\n")
}

func (e *emitter) declareDecider(a *aggregate) {
	state := base(a.state.Name)
	e.doc(nil, "%sDecider is what makes %s behave: which events a command leads to, and what an event changes. "+
		"The methods must be pure functions of their arguments: a command is decided again when another writer was faster. "+
		"A Decide method refuses with [aggregate.Reject] and must not change the state; "+
		"an Evolve method must accept every event that was ever stored. "+
		"The state may keep strings and bytes of an event: what they are part of never changes.",
		a.prefix, article(a.state.Aggregate))
	e.p("type %sDecider interface {", a.prefix)
	for _, t := range a.commands {
		e.p("Decide%s(s *%s, c %s, out *%sDecision) error", base(t.Name), state, base(t.Name), a.prefix)
	}
	if len(a.commands) > 0 && len(a.events) > 0 {
		e.p("")
	}
	for _, t := range a.events {
		e.p("Evolve%s(s *%s, e %s)", base(t.Name), state, base(t.Name))
	}
	e.p("}\n")
}

func (e *emitter) declareHandler(a *aggregate) {
	state := base(a.state.Name)
	e.doc(nil, "Define%s returns what makes %s behave by d, for a handler, or for tests with package aggregatetest.", a.prefix, article(a.state.Aggregate))
	e.p("func Define%s(d %sDecider) aggregate.Definition[%s] {", a.prefix, a.prefix, state)
	e.p("return aggregate.Definition[%s]{", state)
	e.p("Category: %sCategory,", a.prefix)
	e.p("Commands: map[string]func(*%s, []byte, *aggregate.Decision[%s]) error{", state, state)
	for _, t := range a.commands {
		name := base(t.Name)
		e.p("%sType: func(s *%s, data []byte, out *aggregate.Decision[%s]) error {", name, state, state)
		e.p("return d.Decide%s(s, root%s(data), &%sDecision{out})", name, name, a.prefix)
		e.p("},")
	}
	e.p("},")
	e.p("Evolve: func(s *%s, typ string, data []byte) error {", state)
	if len(a.events) > 0 {
		e.p("switch typ {")
		for _, t := range a.events {
			name := base(t.Name)
			e.p("case %sType:", name)
			e.p("d.Evolve%s(s, root%s(data))", name, name)
			e.p("return nil")
		}
		e.p("}")
	}
	e.p("return &event.UnknownError{Kind: \"event\", Name: typ}")
	e.p("},")
	if e.shares(a.state, nil) {
		e.p("Copy: copy%s,", state)
	}
	e.p("Pack: pack%s, Unpack: unpack%s,", state, state)
	e.p("Schema: Schema, Fingerprint: fingerprint,")
	e.p("}")
	e.p("}\n")
	e.doc(nil, "%sHandler handles the aggregate's commands, with one method for each. It is safe for concurrent use.", a.prefix)
	e.p("type %sHandler struct{ *aggregate.Handler[%s] }\n", a.prefix, state)
	e.doc(nil, "New%sHandler returns a handler that decides by d and stores in log.", a.prefix)
	e.p("func New%sHandler(log event.Log, d %sDecider, o aggregate.Options) *%sHandler {", a.prefix, a.prefix, a.prefix)
	e.p("return &%sHandler{aggregate.New(log, Define%s(d), o)}", a.prefix, a.prefix)
	e.p("}\n")
	for _, t := range a.commands {
		name := base(t.Name)
		e.doc(t.Doc, "%s handles %s for the %s of that id. See [aggregate.Handler.Handle] for what it returns.", name, article(name), a.state.Aggregate)
		e.p("func (h *%sHandler) %s(ctx context.Context, id string%s, opts ...aggregate.Option) (aggregate.Receipt, error) {", a.prefix, name, prefixed(e.signature(t)))
		e.p("return h.Handle(ctx, id, %sType, New%s(%s), opts...)", name, name, arguments(t))
		e.p("}\n")
	}
}
