package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// row is one dependency as THIRD_PARTY.md has it.
type row struct {
	SPDX    string
	Shipped bool
	Purpose string
}

// The document's headings; a table's rows belong to the heading above it.
const (
	shippedHeading = "## Shipped"
	testsHeading   = "## Tests only"
)

// parse reads the tables of THIRD_PARTY.md: module, SPDX expression, purpose.
func parse(document string) (map[string]row, error) {
	rows := map[string]row{}
	heading := ""
	for n, line := range strings.Split(document, "\n") {
		if strings.HasPrefix(line, "## ") {
			heading = strings.TrimSpace(line)
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		name := strings.TrimSpace(cells[0])
		if !strings.HasPrefix(line, "|") || !strings.HasPrefix(name, "`") {
			continue
		}
		name = strings.Trim(name, "`")
		if len(cells) != 3 || heading != shippedHeading && heading != testsHeading {
			return nil, fmt.Errorf("line %d: %q: a row has three cells and stands under %q or %q", n+1, name, shippedHeading, testsHeading)
		}
		if _, twice := rows[name]; twice {
			return nil, fmt.Errorf("line %d: %q is listed twice", n+1, name)
		}
		rows[name] = row{
			SPDX:    strings.TrimSpace(cells[1]),
			Shipped: heading == shippedHeading,
			Purpose: strings.TrimSpace(cells[2]),
		}
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("no table row found: a module's name stands in backquotes")
	}
	return rows, nil
}

// compare returns what disagrees between the document and the modules, each
// with what to do about it.
func compare(rows map[string]row, all []module) []string {
	var problems []string
	seen := map[string]bool{}
	for _, m := range all {
		seen[m.Path] = true
		id, err := m.spdx()
		if err != nil {
			problems = append(problems, fmt.Sprintf("%s: %v", m.Path, err))
			continue
		}
		r, ok := rows[m.Path]
		switch {
		case !ok:
			problems = append(problems, fmt.Sprintf("%s (%s) is not listed: add it under %q", m.Path, id, headingOf(m.Shipped)))
		case r.SPDX != id:
			problems = append(problems, fmt.Sprintf("%s is listed as %q, its files say %q", m.Path, r.SPDX, id))
		case r.Shipped != m.Shipped:
			problems = append(problems, fmt.Sprintf("%s belongs under %q", m.Path, headingOf(m.Shipped)))
		case r.Purpose == "":
			problems = append(problems, fmt.Sprintf("%s: say what it is used for", m.Path))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		if !seen[name] {
			problems = append(problems, fmt.Sprintf("%s is listed, but nothing imports it: remove it", name))
		}
	}
	return problems
}

func headingOf(shipped bool) string {
	if shipped {
		return shippedHeading
	}
	return testsHeading
}
