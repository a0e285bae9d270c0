package aggregate

import "fmt"

// RejectedError is an aggregate's own decision that a command may not happen.
// Nothing was stored.
type RejectedError struct {
	// Code is for programs, "not_open"; it travels to remote callers.
	Code string
	// Message is for people.
	Message string
}

func (e *RejectedError) Error() string { return fmt.Sprintf("rejected (%s): %s", e.Code, e.Message) }

// Reject returns the [*RejectedError] with which a decider refuses a command.
func Reject(code, message string) error { return &RejectedError{Code: code, Message: message} }
