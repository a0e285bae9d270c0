package compat

import (
	"strings"

	"github.com/verbatim-es/verbatim/schema"
)

// roles compares what the attributes of es.fbs make of the tables of the file.
func (c *comparison) roles(free map[string]bool) {
	categories := make(map[string]bool)
	for _, t := range c.new.model.Tables {
		if t.Role == schema.RoleAggregate {
			categories[t.Aggregate] = true
		}
	}
	for _, old := range c.old.model.Tables {
		new, ok := c.new.model.Table(old.Name)
		switch {
		case !ok:
			c.tableRemoved(old, free, categories)
		case old.Role != new.Role:
			c.roleChanged(old, new)
		case old.Role == schema.RoleAggregate:
			c.category(old, new)
		case old.Role == schema.RoleEvent, old.Role == schema.RoleCommand:
			c.message(old, new)
		case old.Role == schema.RoleView && !c.rebuilt(old):
			c.view(old, new)
		}
	}
}

// tableRemoved reports a table that the new version does not have. categories
// are those of the new version's aggregates.
func (c *comparison) tableRemoved(old *schema.Table, free, categories map[string]bool) {
	switch old.Role {
	case schema.RoleNone:
		_, included := c.new.objects[old.Name]
		_, enum := c.new.enums[old.Name] // found as kind-changed
		if included || enum || free[old.Name] {
			return
		}
		c.report(TableRemoved, Backward, old.Name,
			"is gone: old data of it cannot be read any more; keep it")
	case schema.RoleAggregate:
		if categories[old.Aggregate] {
			return // another name for a state is nobody's business
		}
		c.report(TableRemoved, Backward, old.Name,
			"is gone, and no other table is the aggregate %q: its streams cannot be read any more; keep it", old.Aggregate)
	case schema.RoleEvent, schema.RoleCommand:
		c.report(TableRemoved, Backward, old.Name,
			"%s %s is gone: data is filed under this name, and new code does not know it; keep it, also when a table of another name takes its place", old.Role, old.Name)
	case schema.RoleView:
		// The new code has no such view. The rows are thrown away.
	}
}

func (c *comparison) roleChanged(old, new *schema.Table) {
	if old.Role == schema.RoleNone || old.Role == schema.RoleView {
		return // nothing was filed under this name
	}
	is := new.Role.String()
	if new.Role == schema.RoleNone {
		is = "no role"
	}
	c.report(RoleChanged, Backward|Forward, old.Name,
		"was %s, is %s: what is filed and sent under this name means something else; choose another name", old.Role, is)
}

func (c *comparison) category(old, new *schema.Table) {
	if old.Aggregate != new.Aggregate {
		c.report(CategoryChanged, Backward|Forward, old.Name,
			"stream category was %q, is %q: each side looks for the aggregate in other streams; keep it", old.Aggregate, new.Aggregate)
	}
}

// message compares events and commands.
func (c *comparison) message(old, new *schema.Table) {
	if old.Wire != new.Wire {
		c.report(WireChanged, Backward|Forward, old.Name,
			"wire name was %q, is %q: each side publishes and calls where the other does not listen; keep it with name: %[1]q", old.Wire, new.Wire)
	}
	// When the state is the same, the aggregate itself has another category,
	// which is reported there.
	if old.Aggregate != new.Aggregate && old.State != new.State {
		c.report(AggregateMoved, Backward|Forward, old.Name,
			"%s of %q, was of %q: each side looks for it in other streams; declare a new %[1]s instead", old.Role, new.Aggregate, old.Aggregate)
	}
}

// remedy ends what is said about views.
const remedy = "; change the view's version, so that it is built anew"

// view compares a view that keeps its version, and with it its stored rows.
func (c *comparison) view(old, new *schema.Table) {
	if old.View != new.View {
		c.report(ViewRenamed, Backward|Forward, old.Name,
			"view was %q, is %q: stored rows and callers of one are not found by the other"+remedy, old.View, new.View)
	}
	if old.Key.Name != new.Key.Name {
		c.report(ViewKeyChanged, Backward|Forward, old.Name,
			"primary key was %s, is %s: stored rows are found by the one only"+remedy, old.Key.Name, new.Key.Name)
	}
	was, is := indexes(old), indexes(new)
	for _, index := range old.Indexes {
		if is[index.Name] != was[index.Name] {
			c.report(IndexChanged, Backward|Forward, old.Name+"."+index.Name,
				"index was %s, is %s: stored entries are of the one only"+remedy, was[index.Name], orNone(is[index.Name]))
		}
	}
	for _, index := range new.Indexes {
		if was[index.Name] == "" {
			c.report(IndexChanged, Backward|Forward, old.Name+"."+index.Name,
				"index was none, is %s: stored rows have no entries in it"+remedy, is[index.Name])
		}
	}
	c.layout(c.old.objects[old.Name], c.new.objects[new.Name])
}

// layout reports what may change in other tables, but not in stored rows.
func (c *comparison) layout(old, new *object) {
	for _, is := range new.fields {
		was := old.byID(is.id)
		switch {
		case new.tagOfUnion(is):
		case was == nil && old.byName[is.name] == nil && !is.deprecated:
			c.report(ViewLayout, Backward|Forward, old.name+"."+is.name,
				"is new, and stored rows lack it"+remedy)
		case was != nil && !was.deprecated && is.deprecated:
			c.report(ViewLayout, Backward|Forward, old.name+"."+was.name,
				"is deprecated, and stored rows have it"+remedy)
		}
	}
}

// indexes describes a view's indexes by name.
func indexes(t *schema.Table) map[string]string {
	described := make(map[string]string, len(t.Indexes))
	for _, index := range t.Indexes {
		names := make([]string, len(index.Fields))
		for i, f := range index.Fields {
			names[i] = f.Name
		}
		text := "on " + strings.Join(names, "+")
		if index.Unique {
			text = "unique " + text
		}
		described[index.Name] = text
	}
	return described
}
