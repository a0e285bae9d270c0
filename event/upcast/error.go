package upcast

import (
	"fmt"

	"github.com/verbatim-es/verbatim/event"
)

// Error says that an event could not be read as what took its place.
type Error struct {
	// Position is the event's, Type and Schema what the rule that failed was
	// applied to: what is stored, or what an earlier rule made of it.
	Position uint64
	Type     string
	Schema   uint64
	Cause    error
}

func (e *Error) Error() string {
	return fmt.Sprintf("upcast %q%s at position %d: %v", e.Type, ofSchema(e.Schema), e.Position, e.Cause)
}

func (e *Error) Unwrap() error { return e.Cause }

func failed(e event.Event, cause error) error {
	return &Error{Position: e.Position(), Type: e.Type(), Schema: e.Schema(), Cause: cause}
}
