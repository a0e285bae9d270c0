package aggregate

import (
	"context"
	"strings"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/event/upcast"
)

const (
	// defaultAttempts is enough for a few dozen handlers that keep meeting on
	// one aggregate: every round of conflicts has a winner. Within a handler,
	// commands take turns.
	defaultAttempts = 64

	defaultCacheBytes   = 64 << 20
	defaultMaxAbandoned = 256
)

// Options configures a [Handler]. Its zero value works.
type Options struct {
	// MaxAttempts bounds how often one command is decided when other writers
	// keep being faster; 0 means 64. The last conflict is the error.
	MaxAttempts int
	// Upcasters are applied to the events that states are folded from; nil
	// leaves them as they are stored. One that fails, fails the loading.
	Upcasters *upcast.Set

	// CacheBytes bounds the states that are kept in memory, so that the next
	// command on an aggregate reads nothing; 0 means 64 MiB, negative none. A
	// state is charged with twice its packed size, with the events folded since
	// it was last packed (which is done once they outweigh it), and with half a
	// kilobyte for the rest. What was used longest ago makes room.
	CacheBytes int
	// Snapshots keeps states over restarts; nil keeps none.
	Snapshots Snapshots
	// SnapshotEvery is the number of events after which the next snapshot of an
	// aggregate is taken, be they appended here or read; 0 means 256.
	SnapshotEvery int
	// Revision says which Evolve methods and upcasters a snapshot was folded
	// with: change it when they change what a state means while its schema stays
	// the same, and snapshots of before are not used.
	Revision uint32
	// MaxAbandoned is how many deciders may go on after their callers' contexts
	// have ended before commands are refused with [event.ErrUnavailable]; 0 means
	// 256.
	MaxAbandoned int
	// TrustEvents has a local log take what is decided without verifying it, see
	// [event.Append].TrustData: deciders build events with the generated
	// constructors. One behind the bus verifies all the same.
	TrustEvents bool
}

func (o Options) withDefaults() Options {
	if o.MaxAttempts <= 0 {
		o.MaxAttempts = defaultAttempts
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = defaultCacheBytes
	}
	if o.SnapshotEvery <= 0 {
		o.SnapshotEvery = defaultSnapshotEvery
	}
	if o.MaxAbandoned <= 0 {
		o.MaxAbandoned = defaultMaxAbandoned
	}
	return o
}

// Option is an option of one command, or of several that are handled together.
type Option func(*call)

// Key gives the command an idempotency key, unique in the log (over a bus, among
// the keys of its principal). Repeating a command with its key returns the first
// receipt, marked repeated, also after a restart; another command with the same
// key is an [event.KeyReusedError]. A command that was rejected, or decided
// nothing, leaves no trace of its key. A store may forget keys after a time, its
// Options.KeyRetention; then the command is decided as a new one. A log that is
// no [event.KeyReader] knows a repetition only if it is decided as before.
func Key(key string) Option { return func(c *call) { c.key = key } }

// Expect makes the command conditional on the aggregate's version, 0 for one
// that does not exist yet. Another version is an [event.ConflictError], and is
// not retried.
func Expect(version uint64) Option {
	return func(c *call) { c.expected, c.expects = version, true }
}

// CausedBy says that the command was given because of an event: the events that
// it leads to carry that one's id as their causation, and its correlation, or
// its id where it has none, as theirs. [event.WithCause] says so for every
// command of a context; an option goes before it.
func CausedBy(e event.Event) Option {
	return func(c *call) { c.causation, c.correlation = event.CauseOf(e) }
}

// Causation is the causation of the events that the command leads to. Together
// with [Correlation] it is [CausedBy] for an event that is not at hand.
func Causation(id event.ID) Option { return func(c *call) { c.causation = id } }

// Correlation is the correlation of the events that the command leads to.
func Correlation(id event.ID) Option { return func(c *call) { c.correlation = id } }

// Metadata adds a key and a value to every event that the command leads to. It
// may be given more than once, for one key too. Keys that begin with "es." are
// the framework's own and refused.
func Metadata(key, value string) Option {
	return func(c *call) { c.metadata = append(c.metadata, event.Meta{Key: key, Value: value}) }
}

// call holds the options of one command.
type call struct {
	key                    string
	expected               uint64
	expects                bool
	causation, correlation event.ID
	metadata               []event.Meta
}

func (c *call) cause(ctx context.Context) {
	c.causation, c.correlation = event.Cause(ctx)
}

func (c *call) validate() error {
	for _, m := range c.metadata {
		if m.Key == "" || strings.HasPrefix(m.Key, "es.") {
			return &event.ArgumentError{Argument: "metadata", Message: `a key must not be empty, nor begin with "es.", which is the framework's`}
		}
	}
	return nil
}

// mark gives the events what the options say. What the decider has set stays.
func (c *call) mark(events []event.Proposed) {
	for i := range events {
		p := &events[i]
		if p.Causation.IsZero() {
			p.Causation = c.causation
		}
		if p.Correlation.IsZero() {
			p.Correlation = c.correlation
		}
		if len(c.metadata) > 0 {
			p.Metadata = append(p.Metadata[:len(p.Metadata):len(p.Metadata)], c.metadata...)
		}
	}
}
