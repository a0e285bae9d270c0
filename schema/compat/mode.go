package compat

import (
	"fmt"
	"strings"
)

// Direction is which side of a change is broken by it, or several of them.
type Direction uint8

const (
	// Backward: code of the new schema reads data of the old one.
	Backward Direction = 1 << iota
	// Forward: code of the old schema reads data of the new one.
	Forward
)

// String returns "backward", "forward", "backward,forward" or "none".
func (d Direction) String() string {
	switch d {
	case Backward:
		return "backward"
	case Forward:
		return "forward"
	case Backward | Forward:
		return "backward,forward"
	}
	return "none"
}

// Mode is what a new schema must keep: one direction or both, towards the
// version before it or, when transitive, towards every version there ever was.
type Mode uint8

const (
	// FullTransitive is the zero Mode, and what events need: any of their
	// versions may still be in a log, and any version of the code may still run.
	FullTransitive Mode = iota
	Full
	BackwardTransitive
	BackwardOnly
	ForwardTransitive
	ForwardOnly
	// NoCheck finds nothing. Schemas must still be well formed.
	NoCheck
)

var modes = [...]struct {
	name       string
	directions Direction
	transitive bool
}{
	FullTransitive:     {"FULL_TRANSITIVE", Backward | Forward, true},
	Full:               {"FULL", Backward | Forward, false},
	BackwardTransitive: {"BACKWARD_TRANSITIVE", Backward, true},
	BackwardOnly:       {"BACKWARD", Backward, false},
	ForwardTransitive:  {"FORWARD_TRANSITIVE", Forward, true},
	ForwardOnly:        {"FORWARD", Forward, false},
	NoCheck:            {"NONE", 0, false},
}

// ParseMode reads the name of a mode, in upper or lower case: NONE, BACKWARD,
// FORWARD, FULL, or one of the last three followed by _TRANSITIVE.
func ParseMode(name string) (Mode, error) {
	for m, known := range modes {
		if strings.EqualFold(name, known.name) {
			return Mode(m), nil
		}
	}
	return 0, fmt.Errorf("unknown mode %q: it is NONE, BACKWARD, FORWARD or FULL, or one of the last three with _TRANSITIVE", name)
}

// String returns the name that [ParseMode] reads.
func (m Mode) String() string {
	if int(m) < len(modes) {
		return modes[m].name
	}
	return fmt.Sprintf("Mode(%d)", uint8(m))
}

// MarshalText writes the mode's name.
func (m Mode) MarshalText() ([]byte, error) {
	if int(m) >= len(modes) {
		return nil, fmt.Errorf("there is no mode %d", uint8(m))
	}
	return []byte(m.String()), nil
}

// UnmarshalText reads the mode's name, see [ParseMode].
func (m *Mode) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMode(string(text))
	return err
}
