package compat

import "github.com/verbatim-es/verbatim/schema"

// free returns the names of what may change in any way, because the data that
// it describes is made anew: views with a new version or without a table any
// more, the states of aggregates, and parts that nothing else uses.
func (c *comparison) free() map[string]bool {
	free := make(map[string]bool)
	for _, t := range c.old.model.Tables {
		if c.rebuilt(t) {
			c.old.reach(t.Name, free)
		}
	}
	for name, o := range c.old.objects {
		if _, ok := c.old.model.Table(name); !ok && o.derived {
			c.old.reach(name, free) // compared with the file that declares it
		}
	}
	held := make(map[string]bool)
	for _, t := range c.old.model.Tables {
		if t.Role != schema.RoleNone && !c.rebuilt(t) {
			c.old.reach(t.Name, held)
		}
	}
	for name := range c.old.objects {
		if !free[name] {
			c.old.reach(name, held)
		}
	}
	for name := range held {
		delete(free, name)
	}
	return free
}

// rebuilt tells whether the data of a table of the old version is thrown away
// when code of the new one takes over.
func (c *comparison) rebuilt(old *schema.Table) bool {
	new, ok := c.new.model.Table(old.Name)
	switch old.Role {
	case schema.RoleView:
		return !ok || new.Role != schema.RoleView || new.Version != old.Version
	case schema.RoleAggregate:
		return ok && new.Role == schema.RoleAggregate
	}
	return false
}

// reach adds a name and everything that its fields use, directly or not.
func (v *version) reach(name string, reached map[string]bool) {
	pending := []string{name}
	for len(pending) > 0 {
		last := len(pending) - 1
		name, pending = pending[last], pending[:last]
		if name == "" || reached[name] {
			continue
		}
		reached[name] = true
		if o := v.objects[name]; o != nil {
			for _, f := range o.fields {
				pending = append(pending, f.typ.name, f.nested)
			}
		}
		if e := v.enums[name]; e != nil {
			for _, member := range e.values {
				pending = append(pending, member.object)
			}
		}
	}
}
