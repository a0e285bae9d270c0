package compat

import (
	"math"
	"strconv"

	"github.com/verbatim-es/verbatim/schema"
)

// table compares the fields of a table. What a field is in the data is its id,
// what it is to everybody else is its name: a change of either is looked for
// by the other.
func (c *comparison) table(old, new *object) {
	known := make(map[*field]bool, len(old.fields)) // fields of new that old has
	for _, was := range old.fields {
		if is := c.counterpart(old, new, was); is != nil {
			known[is] = true
			if !old.tagOfUnion(was) {
				c.field(old, new, was, is)
			}
		}
	}
	for _, is := range new.fields {
		if !known[is] {
			c.added(old, new, is)
		}
	}
}

// counterpart finds the field of new that a field of old has become, and
// reports when it is another by name or id, or gone.
func (c *comparison) counterpart(old, new *object, was *field) *field {
	silent := old.tagOfUnion(was)
	location := old.name + "." + was.name
	if is := new.byName[was.name]; is != nil && (is.id == was.id || !was.deprecated) {
		if is.id != was.id && !silent {
			c.report(FieldRenumbered, Backward|Forward, location,
				"was id %d, is id %d: each side looks for it where the other has something else; give it back its id, and new fields the ids after the last", was.id, is.id)
		}
		return is
	}
	is := new.byID(was.id)
	if is != nil {
		if moved := old.byName[is.name]; moved != nil && !moved.deprecated {
			is = nil
		}
	}
	switch {
	case silent:
	case is == nil:
		c.deleted(old, new, was)
	case !was.deprecated && !is.deprecated:
		c.report(FieldRenamed, Backward|Forward, location,
			"id %d is %s now: nothing tells a rename from another meaning given to the values of old data; keep the name, or deprecate this field and append the other", was.id, is.name)
	}
	return is
}

func (c *comparison) deleted(old, new *object, was *field) {
	breaks := Backward
	reason := "is deleted: nothing keeps id %d from being given to a new field, which would read the values of old data as its own; keep it, declared deprecated"
	if was.required && !was.deprecated {
		breaks |= Forward
		reason = "is deleted: old code relies on it in all data, and nothing keeps id %d from being given to a new field; keep it"
	}
	c.report(FieldDeleted, breaks, old.name+"."+was.name, reason, was.id)
	c.tagDropped(old, new, was)
}

func (c *comparison) added(old, new *object, is *field) {
	location := old.name + "." + is.name
	if is.deprecated {
		return
	}
	if is.required {
		c.report(RequiredAdded, Backward, location,
			"is new and required: old data lacks it, and is refused; append it without required")
	}
	if is.key {
		c.keyAdded(location)
	}
	if is.tag != "" && is.typ.base.Scalar() && !is.optional && !tagged(old, is.tag) {
		c.report(TagChanged, Backward, location,
			"new tag %q: old data reads as having the default, but old events do not carry the tag of it and queries miss them; give the field the default null", is.tag)
	}
}

// field compares a field with what it has become.
func (c *comparison) field(old, new *object, was, is *field) {
	location := old.name + "." + was.name
	// A deprecated field is verified when old data has it, but nobody writes
	// or reads it any more.
	stored := Backward
	if !is.deprecated {
		stored |= Forward
	}
	switch {
	case was.typ != is.typ:
		c.report(FieldRetyped, stored, location,
			"was %s, is %s: each side would take the other's bytes for its own type; append a new field and deprecate this one", was.typ, is.typ)
	case was.nested != is.nested:
		c.nested(location, was, is, stored)
	}
	if was.forceAlign != is.forceAlign {
		c.alignment(location, was, is, stored)
	}
	switch {
	case was.deprecated && is.deprecated:
		return
	case was.deprecated:
		c.report(FieldUndeprecated, Backward, location,
			"id %d is in use again, as %s: values that were given up reappear from data of before; append a new field", was.id, is.name)
	case is.deprecated:
		c.deprecated(old, new, was)
		return
	}
	c.presence(location, was, is)
	if was.key != is.key {
		if is.key {
			c.keyAdded(location)
		} else {
			c.keyDropped(location)
		}
	}
	c.tag(location, was, is)
}

// deprecated is allowed, but for a field that old code relies on.
func (c *comparison) deprecated(old, new *object, was *field) {
	location := old.name + "." + was.name
	if was.required {
		c.report(RequiredDropped, Forward, location,
			"was required, is deprecated: new data lacks it, and old code relies on it; keep it")
	}
	if was.key {
		c.keyDropped(location)
	}
	c.tagDropped(old, new, was)
}

// presence compares what an absent field means. A field that was deprecated is
// absent from old data, whatever it declared.
func (c *comparison) presence(location string, was, is *field) {
	if is.required && (!was.required || was.deprecated) {
		c.report(RequiredAdded, Backward, location,
			"is required now: old data may lack it, and is refused; leave it as it was and check new data where it is made")
	}
	if was.deprecated {
		return
	}
	if was.required && !is.required {
		c.report(RequiredDropped, Forward, location,
			"is not required any more: new data may lack it, and old code relies on it; keep it required")
	}
	switch {
	case was.typ != is.typ || !was.typ.base.Scalar():
	case was.optional != is.optional:
		c.report(OptionalChanged, Backward|Forward, location,
			"absent was %s, is %s: data without the field changes its meaning; append a new field and deprecate this one", was.absent(), is.absent())
	case was.defaultInt != is.defaultInt || math.Float64bits(was.defaultReal) != math.Float64bits(is.defaultReal):
		c.report(DefaultChanged, Backward|Forward, location,
			"default was %s, is %s: a value equal to the default is not in the data, so it would change; keep the default", was.absent(), is.absent())
	}
}

// absent is what an absent scalar reads as.
func (f *field) absent() string {
	switch {
	case f.optional:
		return "null"
	case f.typ.base.Real():
		return strconv.FormatFloat(f.defaultReal, 'g', -1, 64)
	case f.typ.base == schema.ULong:
		return strconv.FormatUint(uint64(f.defaultInt), 10)
	case f.typ.base == schema.Bool:
		return strconv.FormatBool(f.defaultInt != 0)
	}
	return decimal(f.defaultInt)
}

func (c *comparison) nested(location string, was, is *field, stored Direction) {
	switch {
	case was.nested == "":
		c.report(NestedChanged, Backward, location,
			"holds a buffer of %s now: old data may hold anything, and is refused; append a new field and deprecate this one", is.nested)
	case is.nested == "":
		c.report(NestedChanged, stored&Forward, location,
			"need not hold a buffer of %s any more: old code reads it as one; keep the attribute", was.nested)
	default:
		c.report(NestedChanged, stored, location,
			"held a buffer of %s, holds one of %s: append a new field and deprecate this one", was.nested, is.nested)
	}
}

// alignment compares the alignment forced on a vector: more than the writer
// gave is more than there is.
func (c *comparison) alignment(location string, was, is *field, stored Direction) {
	breaks := Forward
	if forced(is) > forced(was) {
		breaks = Backward
	}
	if breaks &= stored; breaks != 0 {
		c.report(AlignmentChanged, breaks, location,
			"force_align was %s, is %s: the side that relies on more finds data of the other aligned to less; keep it",
			orNone(was.forceAlign), orNone(is.forceAlign))
	}
}

func forced(f *field) uint64 {
	align, _ := strconv.ParseUint(f.forceAlign, 10, 32) // verified when there
	return align
}

func (c *comparison) keyAdded(location string) {
	c.report(KeyAdded, Backward, location,
		"is a key now: lookups rely on vectors sorted by it, and those in old data are not; look through them instead")
}

func (c *comparison) keyDropped(location string) {
	c.report(KeyDropped, Forward, location,
		"is no key any more: new data need not be sorted by it, and lookups of old code rely on that; keep it")
}

// tag compares the tags that two live fields give. The tags of stored events
// are never derived again.
func (c *comparison) tag(location string, was, is *field) {
	if was.tag == is.tag {
		return
	}
	var breaks Direction
	if is.tag != "" {
		breaks |= Backward
	}
	if was.tag != "" {
		breaks |= Forward
	}
	c.report(TagChanged, breaks, location,
		"tag was %s, is %s: stored events keep the tags they have, so a query by one of them misses the events of the other version; keep the tag, or find events through a view",
		quoted(was.tag), quoted(is.tag))
}

// tagDropped reports a tag that goes with its field, unless a field that old
// did not have gives it from now on.
func (c *comparison) tagDropped(old, new *object, was *field) {
	if was.tag == "" {
		return
	}
	for _, is := range new.fields {
		if is.tag == was.tag && int(is.id) >= len(old.fields) {
			return
		}
	}
	c.report(TagChanged, Forward, old.name+"."+was.name,
		"tag %q goes with the field: queries of old code miss new events; give the tag to the field that replaces it", was.tag)
}

// tagged tells whether a live field gives a tag of that key.
func tagged(o *object, key string) bool {
	for _, f := range o.fields {
		if f.tag == key {
			return true
		}
	}
	return false
}
