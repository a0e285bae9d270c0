package projection

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/verbatim-es/verbatim/event"
)

// ErrClosed means that the engine was closed.
var ErrClosed = errors.New("projection engine is closed")

var (
	errExpired = errors.New("used after the function it was passed to returned")
)

// HandlerError says why a view is parked: its Apply returned an error, or
// panicked, at this event.
type HandlerError struct {
	View     string
	Version  string
	Position uint64
	Event    event.ID
	Type     string
	// Cause is what Apply returned, or what it panicked with and where.
	Cause error
}

func (e *HandlerError) Error() string {
	return fmt.Sprintf("view %q: %s at position %d: %v", e.View, e.Type, e.Position, e.Cause)
}

func (e *HandlerError) Unwrap() error { return e.Cause }

// StuckError is the cause of a [*HandlerError] when a handler did not return,
// not even after its context had ended. It can't be killed: it goes on in the
// background without being able to change anything, and until it returns, its
// view can be neither resumed nor rebuilt.
type StuckError struct {
	// After is how long it was waited for.
	After time.Duration
}

func (e *StuckError) Error() string {
	return fmt.Sprintf("the handler has not returned in %v and ignores its context: restart the program when it has been repaired", e.After)
}

// InUseError refuses to drop the version that a view is read from.
type InUseError struct{ View, Version string }

func (e *InUseError) Error() string {
	return fmt.Sprintf("view %q is read from version %q: switch to another one first", e.View, e.Version)
}

// UniqueError refuses a Put: another row has the same value in a unique index.
type UniqueError struct {
	View, Index string
	// Values are those both rows have, in the order of the index's columns.
	Values []Value
	// Row is the primary key of the row refused, Other of the one that is there.
	Row, Other Value
}

func (e *UniqueError) Error() string {
	return fmt.Sprintf("view %q: unique index %q: row %v has the same %s as row %v", e.View, e.Index, e.Row, joinValues(e.Values), e.Other)
}

// KeyTooLongError refuses a Put: the row's primary key, or its entry in an
// index, encodes to more bytes than LMDB's keys hold. Primary key and indexed
// strings together must stay below about 500 bytes.
type KeyTooLongError struct {
	View string
	// Index is the index's name, "" for the primary key.
	Index string
	Row   Value
	// Length and Limit are in bytes.
	Length, Limit int
}

func (e *KeyTooLongError) Error() string {
	where := "primary key"
	if e.Index != "" {
		where = fmt.Sprintf("entry in index %q", e.Index)
	}
	return fmt.Sprintf("view %q: row %v: its %s takes %d bytes, the limit is %d", e.View, shorten(e.Row), where, e.Length, e.Limit)
}

// LayoutError refuses to open a view: its table or indexes are not those it was
// stored with, and its version still is.
type LayoutError struct {
	View, Version string
	// Gone and New are what was stored and is not declared any more, and the
	// other way round.
	Gone, New []string
}

func (e *LayoutError) Error() string {
	changes := make([]string, 0, len(e.Gone)+len(e.New))
	for _, line := range e.Gone {
		changes = append(changes, "- "+line)
	}
	for _, line := range e.New {
		changes = append(changes, "+ "+line)
	}
	return fmt.Sprintf("view %q changed and is still version %q, give it another: %s", e.View, e.Version, strings.Join(changes, "; "))
}

// DamageError says where rows and index entries of a view disagree, or that a
// row is not what was stored.
type DamageError struct {
	View string
	// Index is the index's name, "" for the rows themselves.
	Index   string
	Message string
}

func (e *DamageError) Error() string {
	if e.Index == "" {
		return fmt.Sprintf("view %q is damaged: %s: rebuild it", e.View, e.Message)
	}
	return fmt.Sprintf("view %q is damaged: index %q: %s: rebuild it", e.View, e.Index, e.Message)
}

func joinValues(values []Value) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = v.String()
	}
	return strings.Join(texts, ", ")
}

// shorten keeps a huge key out of messages.
func shorten(v Value) Value {
	const most = 64
	if len(v.text) > most {
		v.text = v.text[:most] + "…"
	}
	return v
}
