package compat

import "fmt"

// structure compares structs. They are held inline without a vtable, so every
// byte has its place: any change is a finding, one for each struct.
func (c *comparison) structure(old, new *object) {
	if difference := structDifference(old, new); difference != "" {
		c.report(StructChanged, Backward|Forward, old.name,
			"%s: data has no room for another version of a struct; declare a new struct, or a table", difference)
	}
	for _, was := range old.fields {
		is := new.byName[was.name]
		switch {
		case is == nil || is.key == was.key:
		case is.key:
			c.keyAdded(old.name + "." + was.name)
		default:
			c.keyDropped(old.name + "." + was.name)
		}
	}
}

// structDifference says where two structs differ first, "" when nowhere.
func structDifference(old, new *object) string {
	for i, was := range old.fields {
		if i == len(new.fields) {
			return fmt.Sprintf("%s at byte %d is gone", was.name, was.offset)
		}
		is := new.fields[i]
		if was.name != is.name || was.typ != is.typ || was.offset != is.offset {
			return fmt.Sprintf("was %s:%s at byte %d, is %s:%s at byte %d",
				was.name, was.typ, was.offset, is.name, is.typ, is.offset)
		}
	}
	if len(new.fields) > len(old.fields) {
		is := new.fields[len(old.fields)]
		return fmt.Sprintf("%s:%s at byte %d is new", is.name, is.typ, is.offset)
	}
	if old.size != new.size || old.align != new.align {
		return fmt.Sprintf("was %d bytes aligned to %d, is %d aligned to %d", old.size, old.align, new.size, new.align)
	}
	return ""
}
