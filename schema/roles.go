package schema

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// noValue is what flatc writes for an attribute without a value.
const noValue = "0"

// given is an attribute's value as messages quote it.
func given(value string) string {
	if value == noValue {
		return "none"
	}
	return strconv.Quote(value)
}

func (r *reader) report(table, field, format string, args ...any) {
	r.findings = append(r.findings, Finding{Table: table, Field: field, Message: fmt.Sprintf(format, args...)})
}

// roles gives every table its role from its attributes, and reports the
// attributes of declared tables that make no sense.
func (r *reader) roles(tables []*attributed) {
	for _, t := range tables {
		before := len(r.findings)
		r.role(t)
		if !r.declared(t) {
			// An included file is judged when it is compiled itself.
			r.findings = r.findings[:before]
		}
	}
	states := make(map[string][]*attributed) // by namespace
	for _, t := range tables {
		if t.Role == RoleAggregate {
			states[t.Namespace] = append(states[t.Namespace], t)
		}
	}
	for _, t := range tables {
		if r.declared(t) && (t.Role == RoleEvent || t.Role == RoleCommand) {
			r.belongs(t, states[t.Namespace])
		}
	}
	r.meetings(tables)
}

func (r *reader) role(t *attributed) {
	var given []string
	for _, role := range []Role{RoleAggregate, RoleEvent, RoleCommand, RoleView} {
		value, ok := t.attributes[role.String()]
		if !ok {
			continue
		}
		given = append(given, role.String())
		t.Role = role
		switch role {
		case RoleAggregate:
			t.Aggregate, t.State = value, t.Name
		case RoleView:
			t.View, t.Version = value, "1"
		default:
			if value != noValue {
				r.report(t.Name, "", "attribute %s takes no value, got %q", role, value)
			}
		}
	}
	if len(given) > 1 {
		r.report(t.Name, "", "is %s at once: choose one", strings.Join(given, " and "))
	}
	r.names(t)
	for _, only := range []string{"tag", "pk", "unique"} {
		if _, ok := t.attributes[only]; ok {
			r.report(t.Name, "", "attribute %s belongs on a field", only)
		}
	}
	for _, f := range t.fields {
		r.field(t, f)
	}
	if t.Role == RoleView {
		r.view(t)
	} else {
		for _, only := range []string{"version", "index"} {
			if _, ok := t.attributes[only]; ok {
				r.report(t.Name, "", "attribute %s is for views only", only)
			}
		}
	}
}

// names checks category, view and wire name, all parts of URIs.
func (r *reader) names(t *attributed) {
	if t.Role == RoleAggregate && !isWire(t.Aggregate) {
		r.report(t.Name, "", "attribute aggregate needs the stream category, in lower snake case, as in (aggregate: \"account\"), got %s", given(t.Aggregate))
	}
	if t.Role == RoleView && !isWire(t.View) {
		r.report(t.Name, "", "attribute view needs the view's name, in lower snake case, got %s", given(t.View))
	}
	if _, ok := t.attributes["of"]; ok && t.Role != RoleEvent && t.Role != RoleCommand {
		r.report(t.Name, "", "attribute of is for events and commands only")
	}
	if name, ok := t.attributes["name"]; ok {
		t.Wire = name
		if t.Namespace != "" && !strings.Contains(name, ".") {
			t.Wire = Snake(t.Namespace) + "." + name
		}
	}
	if t.Role == RoleNone {
		return
	}
	for part := range strings.SplitSeq(t.Wire, ".") {
		if !isWire(part) {
			r.report(t.Name, "", "%q cannot be its wire name: every part needs a letter first, then lower-case letters, digits and underscores: set its attribute name", t.Wire)
			return
		}
	}
}

// field checks the attributes of one field and sets what follows from them
// alone.
func (r *reader) field(t *attributed, f attributedField) {
	for _, only := range []string{"aggregate", "event", "command", "view", "version", "of", "name"} {
		if _, ok := f.attributes[only]; ok {
			r.report(t.Name, f.Name, "attribute %s belongs on a table", only)
		}
	}
	if tag, ok := f.attributes["tag"]; ok {
		f.Tag = tag
		t.tagged = append(t.tagged, f.Field)
		r.tag(t, f)
	}
	for _, only := range []string{"pk", "index", "unique"} {
		value, ok := f.attributes[only]
		switch {
		case !ok:
		case t.Role != RoleView:
			r.report(t.Name, f.Name, "attribute %s is for the fields of views only", only)
		case value != noValue:
			r.report(t.Name, f.Name, "attribute %s takes no value, got %q", only, value)
		}
	}
}

func (r *reader) tag(t *attributed, f attributedField) {
	switch {
	case t.Role != RoleEvent:
		r.report(t.Name, f.Name, "attribute tag is for the fields of events only")
	case f.Tag == noValue || !isTagKey(f.Tag):
		r.report(t.Name, f.Name, "attribute tag needs the tag's key, letters, digits and underscores, got %s", given(f.Tag))
	}
	typ := f.Type
	if typ.Base != String && typ.Base != Bool && !typ.Base.Integer() && (typ.Base != Vector || typ.Element != String) {
		r.report(t.Name, f.Name, "a tag is made from a string, a whole number, a bool or a vector of strings, not from a %s", typ.Base)
	}
}

// isTagKey keeps keys free of the colon that ends them, and short.
func isTagKey(key string) bool {
	if key == "" || len(key) > 64 {
		return false
	}
	for i := range len(key) {
		if c := key[i]; !isLower(c) && !isUpper(c) && !isDigit(c) && c != '_' {
			return false
		}
	}
	return true
}

// view finds a view's primary key and indexes.
func (r *reader) view(t *attributed) {
	if version, ok := t.attributes["version"]; ok {
		t.Version = version
	}
	for _, f := range t.fields {
		_, pk := f.attributes["pk"]
		_, index := f.attributes["index"]
		_, unique := f.attributes["unique"]
		if pk {
			r.key(t, f)
		}
		switch {
		case !index && !unique:
		case pk:
			r.report(t.Name, f.Name, "is the primary key, which needs no index: drop one of the attributes")
		case !ordered(f.Type):
			r.report(t.Name, f.Name, "an index holds strings, numbers and bools, not a %s", f.Type.Base)
		default:
			t.Indexes = append(t.Indexes, Index{Name: f.Name, Fields: []*Field{f.Field}, Unique: unique})
		}
	}
	if t.Key == nil {
		r.report(t.Name, "", "a view needs one field with attribute pk")
	}
	r.composites(t)
	byWire := make(map[string]string)
	for _, index := range t.Indexes {
		wire := Snake(index.Name)
		if other, ok := byWire[wire]; ok {
			r.report(t.Name, "", "indexes %q and %q are both by_%s in procedures", other, index.Name, wire)
		}
		byWire[wire] = index.Name
	}
}

func (r *reader) key(t *attributed, f attributedField) {
	f.Key = true
	switch {
	case t.Key != nil:
		r.report(t.Name, f.Name, "a second primary key beside %s: a view has one", t.Key.Name)
	case !ordered(f.Type) || f.Type.Base.Real():
		r.report(t.Name, f.Name, "a primary key is a string, a whole number or a bool, not a %s", f.Type.Base)
	case f.Type.Base == String && !f.Required:
		r.report(t.Name, f.Name, "a primary key that is a string must be required")
	case f.Optional:
		r.report(t.Name, f.Name, "a primary key cannot be absent: give it a default other than null")
	}
	if t.Key == nil {
		t.Key = f.Field
	}
}

// ordered tells whether values of a type can be a part of a key.
func ordered(t Type) bool {
	return t.Base == String || t.Base.Scalar()
}

// composites reads the index attribute of a view: fields joined by "+", several
// indexes separated by commas.
func (r *reader) composites(t *attributed) {
	value, ok := t.attributes["index"]
	if !ok {
		return
	}
	for spec := range strings.SplitSeq(value, ",") {
		var index Index
		var names []string
		for name := range strings.SplitSeq(spec, "+") {
			name = strings.TrimSpace(name)
			i := slices.IndexFunc(t.Fields, func(f *Field) bool { return f.Name == name })
			switch {
			case i < 0:
				r.report(t.Name, "", "index %q is about a field %q that is not there", value, name)
				return
			case !ordered(t.Fields[i].Type):
				r.report(t.Name, name, "an index holds strings, numbers and bools, not a %s", t.Fields[i].Type.Base)
				return
			case slices.Contains(names, name):
				r.report(t.Name, name, "is twice in the index %q", spec)
				return
			}
			index.Fields = append(index.Fields, t.Fields[i])
			names = append(names, name)
		}
		if len(names) < 2 {
			r.report(t.Name, "", "index %q has one field only: put the attribute on the field", spec)
			return
		}
		index.Name = strings.Join(names, "_")
		t.Indexes = append(t.Indexes, index)
	}
}

// belongs finds the aggregate of an event or a command among those of its
// namespace.
func (r *reader) belongs(t *attributed, states []*attributed) {
	of, named := t.attributes["of"]
	if named {
		i := slices.IndexFunc(states, func(s *attributed) bool { return s.Name == of || base(s.Name) == of })
		if i < 0 {
			r.report(t.Name, "", "attribute of names %q, which is no aggregate of namespace %q", of, t.Namespace)
			return
		}
		states = states[i : i+1]
	}
	switch len(states) {
	case 0:
		r.report(t.Name, "", "%s without an aggregate: namespace %q has none, give one table there the attribute aggregate", t.Role, t.Namespace)
	case 1:
		t.Aggregate, t.State = states[0].Aggregate, states[0].Name
	default:
		r.report(t.Name, "", "%s of which aggregate? namespace %q has %d: name one with the attribute of", t.Role, t.Namespace, len(states))
	}
}

// meetings reports declared tables that would share a name on the wire.
func (r *reader) meetings(tables []*attributed) {
	taken := make(map[string]string)
	for _, t := range tables {
		if !r.declared(t) {
			continue
		}
		for _, name := range wireNames(t.Table) {
			if other, ok := taken[name]; ok {
				r.report(t.Name, "", "has the same wire name as %s, %q: rename one, or set its attribute name", other, name)
				continue
			}
			taken[name] = t.Name
		}
	}
}

// wireNames are the names that a table takes for itself in URIs: its topic,
// its procedure, or the prefix of its procedures.
func wireNames(t *Table) []string {
	switch t.Role {
	case RoleAggregate:
		return []string{"es.command." + t.Aggregate + "."}
	case RoleEvent:
		return []string{"es.event." + t.Wire}
	case RoleCommand:
		return []string{"es.command." + t.Aggregate + "." + base(t.Wire)}
	case RoleView:
		return []string{"es.view." + t.View + "."}
	}
	return nil
}
