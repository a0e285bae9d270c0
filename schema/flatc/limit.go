package flatc

import (
	"errors"
	"fmt"
	"time"
)

// What one run may use. flatc has no bounds of its own, and schemas may come
// from anybody. The largest schema that anybody writes takes a few MiB and
// milliseconds.
const (
	maxMemory = 2 << 30
	maxOutput = 256 << 20
	maxTime   = 60 * time.Second
)

// maxMessages is how much of what it says is kept.
const maxMessages = 64 << 10

// BoundsError says that flatc was stopped, or broke down, instead of saying what
// is wrong with a schema.
type BoundsError struct {
	How string // "signal: aborted (core dumped)"
}

func (e *BoundsError) Error() string {
	return fmt.Sprintf("flatc broke down on it (%s), with %d MiB of memory and %v at its disposal: no schema that people write does that", e.How, maxMemory>>20, maxTime)
}

var errTime = errors.New("out of time")

// head keeps the beginning of what is written to it.
type head struct{ kept []byte }

func (h *head) Write(p []byte) (int, error) {
	h.kept = append(h.kept, p[:min(len(p), maxMessages-len(h.kept))]...)
	return len(p), nil
}
