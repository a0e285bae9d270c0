package compat

// enum compares enums and unions. Data holds numbers, so a name is looked for
// by its number when it is gone.
func (c *comparison) enum(old, new *enum) {
	if old.base != new.base {
		c.report(EnumBaseChanged, Backward|Forward, old.name,
			"its numbers were %s, are %s: every field of it changes its size or its range; declare a new enum", old.base, new.base)
	}
	for _, was := range old.values {
		c.value(old, new, was)
	}
	if !new.union {
		return // a number without a name is still a number
	}
	for _, is := range new.values {
		_, name := old.byName[is.name]
		_, number := old.byNumber[is.number]
		if !name && !number {
			c.report(MemberAdded, Forward, old.name+"."+is.name,
				"is new, as %d: old code does not know the tag, and refuses the data; hold the new table in a field of its own", is.number)
		}
	}
}

func (c *comparison) value(old, new *enum, was value) {
	location := old.name + "." + was.name
	removed, renumbered, renamed := ValueRemoved, ValueRenumbered, ValueRenamed
	if old.union {
		removed, renumbered, renamed = MemberRemoved, MemberRenumbered, MemberRenamed
	}
	if is, ok := new.byName[was.name]; ok {
		if is.number != was.number {
			c.report(renumbered, Backward|Forward, location,
				"was %d, is %d: each side takes the other's number for something else; give it back its number", was.number, is.number)
		}
		c.member(location, was, is)
		return
	}
	is, ok := new.byNumber[was.number]
	if _, moved := old.byName[is.name]; !ok || moved {
		c.report(removed, Backward, location,
			"is gone: old data may hold its number, %d; keep it and say in a comment that it is not used any more", was.number)
		return
	}
	c.report(renamed, Backward|Forward, location,
		"%d is %s now: nothing tells a rename from another meaning given to the number in old data; keep the name, or add the other with a number of its own", was.number, is.name)
	c.member(location, was, is)
}

func (c *comparison) member(location string, was, is value) {
	if was.object != is.object {
		c.report(MemberRetyped, Backward|Forward, location,
			"was %s, is %s: the same tag is read as another table; add a member", orNone(was.object), orNone(is.object))
	}
}
