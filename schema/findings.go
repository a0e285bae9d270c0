package schema

import (
	"fmt"
	"strings"
)

// Finding is one thing that is wrong with a schema.
type Finding struct {
	Table string // full name
	Field string // "" when it is about the table
	// Message says what is wrong and what to do.
	Message string
}

func (f Finding) String() string {
	if f.Field == "" {
		return f.Table + ": " + f.Message
	}
	return f.Table + "." + f.Field + ": " + f.Message
}

// FindingsError says that a schema is well formed, but does not make sense. It
// has at least one finding.
type FindingsError struct {
	Findings []Finding // in the order of table names
}

func (e *FindingsError) Error() string {
	if len(e.Findings) == 1 {
		return "schema: " + e.Findings[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "schema: %d things are wrong:", len(e.Findings))
	for _, f := range e.Findings {
		b.WriteString("\n\t")
		b.WriteString(f.String())
	}
	return b.String()
}
