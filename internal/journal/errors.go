package journal

import (
	"errors"
	"fmt"

	"github.com/verbatim-es/verbatim/event"
)

var (
	// ErrFull means that every segment is in use. Nothing was written. Fold,
	// sync, [Journal.Recycle], and append again.
	ErrFull = errors.New("journal is full: fold what it holds, then recycle")
	// ErrUnfolded means that frames were recovered and not yet recycled.
	// Nothing was written.
	ErrUnfolded = errors.New("journal holds recovered frames: fold them and recycle before appending")
	// ErrClosed means that the journal was closed.
	ErrClosed = errors.New("journal is closed")
)

// CorruptError says where the journal is not what was written. Nothing was
// changed on disk. An operator may restore a backup, or, to give up all events
// from Position on, move the journal's directory away and have the owner abandon
// it.
type CorruptError struct {
	// File is the segment's path, Offset the place in it.
	File   string
	Offset int64
	// Position is the first that can't be recovered, 0 when even that is not
	// known.
	Position uint64
	Message  string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("journal %q is damaged at offset %d, position %d: %s", e.File, e.Offset, e.Position, e.Message)
}

// ForeignError says that a segment in use belongs to another store.
type ForeignError struct {
	File string
	// Store is the one it belongs to, Want the one that was opened.
	Store, Want event.ID
}

func (e *ForeignError) Error() string {
	return fmt.Sprintf("journal %q belongs to store %s, not to %s: move it back to its store, or away", e.File, e.Store, e.Want)
}

// BehindError says that the log has lost events which it had when the journal
// recycled them.
type BehindError struct {
	File string
	// Folded is the log's last position, Recycled the one that was recycled.
	Folded, Recycled uint64
}

func (e *BehindError) Error() string {
	return fmt.Sprintf("the log ends at position %d, but according to journal %q it was durable up to %d: restore the log", e.Folded, e.File, e.Recycled)
}

// FailedError says why nothing can be appended any more. It is an
// [event.ErrOutcomeUnknown]: the frame of the append that failed may be found
// when the journal is opened again.
type FailedError struct {
	// First and Last are the positions of the frame with the unknown outcome.
	First, Last uint64
	Err         error
}

func (e *FailedError) Error() string {
	return fmt.Sprintf("journal failed, whether positions %d to %d are durable is known when it is opened again: %v", e.First, e.Last, e.Err)
}

// Is reports that a FailedError is an [event.ErrOutcomeUnknown].
func (e *FailedError) Is(target error) bool { return target == event.ErrOutcomeUnknown }

// Unwrap returns what the disk said.
func (e *FailedError) Unwrap() error { return e.Err }
