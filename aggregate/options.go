package aggregate

import "github.com/verbatim-es/verbatim/event/upcast"

// defaultAttempts is enough for a few dozen handlers that keep meeting on one
// aggregate: every round of conflicts has a winner. Within a handler, commands
// take turns.
const defaultAttempts = 64

// Options configures a [Handler]. Its zero value works.
type Options struct {
	// MaxAttempts bounds how often one command is decided when other writers
	// keep being faster; 0 means 64. The last conflict is the error.
	MaxAttempts int
	// Upcasters are applied to the events that states are folded from; nil
	// leaves them as they are stored. One that fails, fails the loading.
	Upcasters *upcast.Set
}

// Option is an option of one command: [Key] or [Expect].
type Option func(*call)

// Key gives the command an idempotency key, unique in the log. Repeating a
// command with its key returns the first receipt, marked repeated, also after
// a restart; another command with the same key is an [event.KeyReusedError].
// A command that was rejected, or decided nothing, leaves no trace of its key.
func Key(key string) Option { return func(c *call) { c.key = key } }

// Expect makes the command conditional on the aggregate's version, 0 for one
// that does not exist yet. Another version is an [event.ConflictError], and is
// not retried.
func Expect(version uint64) Option {
	return func(c *call) { c.expected, c.expects = version, true }
}

// call holds the options of one command.
type call struct {
	key      string
	expected uint64
	expects  bool
}
