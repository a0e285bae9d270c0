package verify

import (
	"fmt"
	"strconv"
)

// Error says what is wrong with a buffer, and where.
type Error struct {
	// Path leads to the field, like "items[3].name"; "" is the buffer itself.
	Path string
	// Offset is the byte at which the check failed, from the first byte given
	// to the plan, a size prefix included.
	Offset int
	// Message says what is wrong there.
	Message string
}

func (e *Error) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("not a valid buffer: %s (byte %d)", e.Message, e.Offset)
	}
	return fmt.Sprintf("not a valid buffer: %s: %s (byte %d)", e.Path, e.Message, e.Offset)
}

// under puts the field's name before what has been walked through below it.
//
//go:noinline
func (e *Error) under(name string) *Error {
	switch {
	case e.Path == "":
		e.Path = name
	case e.Path[0] == '[':
		e.Path = name + e.Path
	default:
		e.Path = name + "." + e.Path
	}
	return e
}

// at puts the index of a vector's element before what has been walked through
// below it.
func (e *Error) at(i uint64) *Error {
	index := "[" + strconv.FormatUint(i, 10) + "]"
	if e.Path != "" {
		index += "."
	}
	e.Path = index + e.Path
	return e
}
