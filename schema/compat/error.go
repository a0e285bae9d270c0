package compat

import (
	"fmt"
	"strings"
)

// IncompatibleError refuses a schema because of what it would break.
type IncompatibleError struct {
	// Schema names the schema, as its .bfbs or its source does.
	Schema string
	// Mode is what was asked for.
	Mode Mode
	// Findings are all breaks, at least one.
	Findings []Finding
	// Older says that there would be none if the schema had come before the
	// versions that there are: most likely it is one that was left out.
	Older bool
}

// Error lists all findings, a line each.
func (e *IncompatibleError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "schema %q breaks what %s keeps with the versions before it, and was not registered:", e.Schema, e.Mode)
	for _, f := range e.Findings {
		b.WriteString("\n\t")
		b.WriteString(f.String())
	}
	if e.Older {
		b.WriteString("\nit seems to be an older version, which was never registered here: versions are registered in their order, so use the newest; data of this one needs a store that knew it first")
		return b.String()
	}
	b.WriteString("\nundo these changes; declare what is different as a new field, table or view version beside the old one")
	return b.String()
}
