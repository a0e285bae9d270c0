package compat

import (
	"cmp"
	"fmt"
	"slices"
)

// Finding is one change that breaks something.
type Finding struct {
	Rule Rule
	// Location is the full name of what changed: a table, struct or enum, with
	// a dot and the name of its field, value or index when it is about one. It
	// is the old name of what was renamed. Changes of the root type and of the
	// file identifier are at "root_type" and "file_identifier".
	Location string
	// Reason says what it was and is, what that breaks, and what to do instead.
	Reason string
	// Breaks are all directions that the change breaks, also those that the
	// mode does not ask about.
	Breaks Direction
	// Against is the index in the history of the newest version that the
	// change breaks with; 0 from [Check].
	Against int
}

// String is one line: location, rule, reason, directions.
func (f Finding) String() string {
	return fmt.Sprintf("%s: %s: %s (breaks %s)", f.Location, f.Rule, f.Reason, f.Breaks)
}

// order sorts findings by location, rule, reason; the same finding against
// several versions is kept for the newest of them.
func order(findings []Finding) []Finding {
	slices.SortFunc(findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Location, b.Location), cmp.Compare(a.Rule, b.Rule),
			cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Breaks, b.Breaks), cmp.Compare(b.Against, a.Against))
	})
	return slices.CompactFunc(findings, func(a, b Finding) bool {
		a.Against = b.Against
		return a == b
	})
}
