package event

import "fmt"

// Condition is what must hold for an append to happen. The implementations are
// [StreamAt], [StreamAbsent], [StreamPresent] and [NoneMatch]; no condition at
// all accepts any state.
type Condition interface {
	fmt.Stringer
	validate() error
}

// StreamAt holds when the stream's last event has exactly this version.
// Version 0 is the same as [StreamAbsent].
type StreamAt struct {
	Stream  string
	Version uint64
}

// StreamAbsent holds when the stream has no event.
type StreamAbsent struct{ Stream string }

// StreamPresent holds when the stream has an event.
type StreamPresent struct{ Stream string }

// NoneMatch holds when no event after position After matches the query. It is
// the append condition of the Dynamic Consistency Boundary specification
// (dcb.events). An After beyond the head is allowed.
type NoneMatch struct {
	Query Query
	After uint64
}

func (c StreamAt) String() string      { return fmt.Sprintf("stream %q at version %d", c.Stream, c.Version) }
func (c StreamAbsent) String() string  { return fmt.Sprintf("stream %q absent", c.Stream) }
func (c StreamPresent) String() string { return fmt.Sprintf("stream %q present", c.Stream) }
func (c NoneMatch) String() string {
	return fmt.Sprintf("no match of %v after position %d", c.Query, c.After)
}

func (c StreamAt) validate() error      { return checkName("conditions", c.Stream, MaxStreamName) }
func (c StreamAbsent) validate() error  { return checkName("conditions", c.Stream, MaxStreamName) }
func (c StreamPresent) validate() error { return checkName("conditions", c.Stream, MaxStreamName) }
func (c NoneMatch) validate() error     { return c.Query.validate() }
