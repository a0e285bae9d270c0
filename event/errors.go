package event

import (
	"errors"
	"fmt"
	"strconv"
)

// ErrConflict is the kind of every [*ConflictError].
var ErrConflict = errors.New("conflict")

// ErrOutcomeUnknown means that an append may or may not have become durable:
// a sync failed, or a connection broke before the answer. Read before you
// repeat it, or repeat it with its idempotency key.
var ErrOutcomeUnknown = errors.New("outcome unknown")

// ErrUnavailable is the kind of every [*UnavailableError].
var ErrUnavailable = errors.New("unavailable")

// ConflictError says which condition of an append did not hold, and what was
// found instead. Nothing was stored.
type ConflictError struct {
	// Index is the condition's place in Append.Conditions.
	Index     int
	Condition Condition
	// Actual is the version found, for a condition on a stream.
	Actual uint64
	// Position is that of the matching event, for [NoneMatch].
	Position uint64
}

func (e *ConflictError) Error() string {
	if e.Position != 0 {
		return fmt.Sprintf("condition %d: %v: position %d matches", e.Index, e.Condition, e.Position)
	}
	return fmt.Sprintf("condition %d: %v: found version %d", e.Index, e.Condition, e.Actual)
}

// Is reports that a ConflictError is an [ErrConflict].
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// KeyReusedError says that an idempotency key was used before with other
// content. Nothing was stored.
type KeyReusedError struct {
	Key string
	// Position is that of the first append's first event.
	Position uint64
}

func (e *KeyReusedError) Error() string {
	return fmt.Sprintf("key %q was used for another append at position %d: a new append needs a new key", e.Key, e.Position)
}

// InvalidDataError says that bytes are not a valid FlatBuffer of a type.
type InvalidDataError struct {
	Type string
	// Path is the field that is wrong, and Offset its place in the bytes.
	Path    string
	Offset  int
	Message string
}

func (e *InvalidDataError) Error() string {
	return fmt.Sprintf("data is not a valid %s: %s at offset %d: %s", e.Type, orRoot(e.Path), e.Offset, e.Message)
}

// UnknownError says that nothing of that name exists.
type UnknownError struct {
	// Kind is "event", "command", "view", "index", "schema" or "procedure".
	Kind string
	Name string
}

func (e *UnknownError) Error() string { return fmt.Sprintf("unknown %s %q", e.Kind, e.Name) }

// TooLargeError says which bound was exceeded, and by what.
type TooLargeError struct {
	Bound         string
	Limit, Actual uint64
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("%s: %d is over the limit of %d", e.Bound, e.Actual, e.Limit)
}

// ArgumentError says which argument is wrong, missing or unknown.
type ArgumentError struct{ Argument, Message string }

func (e *ArgumentError) Error() string { return fmt.Sprintf("argument %q: %s", e.Argument, e.Message) }

// BehindError says that a follower did not reach a position in time.
type BehindError struct {
	// Position is what it has reached.
	Position uint64
	Message  string
}

func (e *BehindError) Error() string {
	return fmt.Sprintf("behind: at position %d: %s", e.Position, e.Message)
}

// StoreChangedError says that positions of another store were handed in, or
// what was decided on it. Nothing was stored.
type StoreChangedError struct {
	// Store is the one that answers.
	Store ID
}

func (e *StoreChangedError) Error() string {
	return fmt.Sprintf("this is store %s, positions of another store mean nothing here: start again from 0", e.Store)
}

// CorruptError says that a record is not what was written. It is never handed
// out.
type CorruptError struct {
	// Position of the record, 0 when even that can't be known.
	Position uint64
	Message  string
}

func (e *CorruptError) Error() string {
	if e.Position == 0 {
		return "corrupt record: " + e.Message
	}
	return fmt.Sprintf("corrupt record at position %d: %s", e.Position, e.Message)
}

// UnavailableError says why a log accepts no appends now. Nothing was stored,
// unless the error is [ErrOutcomeUnknown] too.
type UnavailableError struct {
	Message string
	// Unknown is true when the append may have been stored all the same.
	Unknown bool
	Cause   error
}

func (e *UnavailableError) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("unavailable: %s: %v", e.Message, e.Cause)
	}
	return "unavailable: " + e.Message
}

func (e *UnavailableError) Unwrap() error { return e.Cause }

// Is reports that the error is an [ErrUnavailable], and an [ErrOutcomeUnknown]
// when Unknown is set.
func (e *UnavailableError) Is(target error) bool {
	return target == ErrUnavailable || e.Unknown && target == ErrOutcomeUnknown
}

func quote(s string) string { return strconv.Quote(s) }

func orRoot(path string) string {
	if path == "" {
		return "root"
	}
	return path
}
