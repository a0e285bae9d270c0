package compat

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Check compares two versions of one .fbs file, given as the .bfbs that flatc
// made of each, and returns every change that breaks what the mode asks for,
// sorted by location and rule. No finding means that new may replace old.
//
// The bytes may come from anybody: [schema.Parse] verifies them first. The
// error says which of the two it refused, and why.
func Check(old, new []byte, mode Mode) ([]Finding, error) {
	before, err := read(old)
	if err != nil {
		return nil, fmt.Errorf("old schema: %w", err)
	}
	after, err := read(new)
	if err != nil {
		return nil, fmt.Errorf("new schema: %w", err)
	}
	return run([]*version{before}, after, mode)
}

// CheckHistory is [Check] against all versions there were, the oldest first: a
// transitive mode compares new with each of them, the others with the last
// only. A change that breaks several versions in the same way is one finding.
// Whatever the mode, every version must be a schema that [schema.Parse] takes.
func CheckHistory(history [][]byte, new []byte, mode Mode) ([]Finding, error) {
	versions := make([]*version, len(history))
	for i, old := range history {
		v, err := read(old)
		if err != nil {
			return nil, fmt.Errorf("version %d of %d: %w", i+1, len(history), err)
		}
		versions[i] = v
	}
	after, err := read(new)
	if err != nil {
		return nil, fmt.Errorf("new schema: %w", err)
	}
	return run(versions, after, mode)
}

func run(history []*version, new *version, mode Mode) ([]Finding, error) {
	if int(mode) >= len(modes) {
		return nil, fmt.Errorf("there is no mode %d", uint8(mode))
	}
	asked := modes[mode]
	var findings []Finding
	for i, old := range history {
		if i < len(history)-1 && !asked.transitive {
			continue
		}
		c := comparison{old: old, new: new}
		c.compare()
		for _, f := range c.findings {
			if f.Breaks&asked.directions != 0 {
				f.Against = i
				findings = append(findings, f)
			}
		}
	}
	return order(findings), nil
}

// comparison collects what breaks between two versions.
type comparison struct {
	old, new *version
	findings []Finding
}

func (c *comparison) report(rule Rule, breaks Direction, location, format string, args ...any) {
	c.findings = append(c.findings, Finding{
		Rule: rule, Location: location, Reason: fmt.Sprintf(format, args...), Breaks: breaks,
	})
}

func (c *comparison) compare() {
	free := c.free()
	c.file()
	c.roles(free)
	for _, name := range slices.Sorted(maps.Keys(c.old.objects)) {
		old, new := c.old.objects[name], c.new.objects[name]
		switch {
		case free[name]:
		case new == nil:
			c.kind(name, old.kind(), c.new.enums[name].kind())
		case old.isStruct != new.isStruct:
			c.kind(name, old.kind(), new.kind())
		case old.isStruct:
			c.structure(old, new)
		default:
			c.table(old, new)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.old.enums)) {
		old, new := c.old.enums[name], c.new.enums[name]
		switch {
		case free[name]:
		case new == nil:
			c.kind(name, old.kind(), c.new.objects[name].kind())
		case old.union != new.union:
			c.kind(name, old.kind(), new.kind())
		default:
			c.enum(old, new)
		}
	}
}

// kind reports a name that means another kind of thing now. A name that means
// nothing any more is found by those who used it.
func (c *comparison) kind(name, old, new string) {
	if new != "" {
		c.report(KindChanged, Backward|Forward, name,
			"kind was %s, is %s: data holds the one in another way than the other; choose another name for it", old, new)
	}
}

func (o *object) kind() string {
	switch {
	case o == nil:
		return ""
	case o.isStruct:
		return "struct"
	}
	return "table"
}

func (e *enum) kind() string {
	switch {
	case e == nil:
		return ""
	case e.union:
		return "union"
	}
	return "enum"
}

// file compares what is declared once in a file.
func (c *comparison) file() {
	if c.old.root != "" && c.old.root != c.new.root {
		c.report(RootChanged, Backward|Forward, "root_type",
			"was %s, is %s: buffers that do not say what they are would be read as another table", c.old.root, orNone(c.new.root))
	}
	old, new := c.old.identifier, c.new.identifier
	if old == new {
		return
	}
	var breaks Direction
	if new != "" {
		breaks |= Backward
	}
	if old != "" {
		breaks |= Forward
	}
	c.report(IdentifierChanged, breaks, "file_identifier",
		"was %s, is %s: code that looks for its own refuses the other's data", quoted(old), quoted(new))
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func quoted(s string) string {
	if s == "" {
		return "none"
	}
	return strconv.Quote(s)
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }
