package aggregate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/verbatim-es/verbatim/event"
)

// Handler handles the commands of one kind of aggregate. It is safe for
// concurrent use; commands on one aggregate take turns.
type Handler[S any] struct {
	log   event.Log
	def   Definition[S]
	opts  Options
	slots *slots[S]
	crew  crew
	stats counters
}

// Receipt says what became of a command that was accepted.
type Receipt struct {
	// Position is that of the last event stored. For a command that decided
	// nothing it is a position by which everything it saw was stored.
	Position uint64
	// Version is the aggregate's version after the command.
	Version uint64
	// Count is the number of events stored, over all streams.
	Count int
	// Repeated is true when the command's key had been used by the same
	// command before; the rest is then that command's receipt.
	Repeated bool
}

// New returns a handler of the aggregates in log. It panics when the category
// contains '-', which would split its streams at another place; es generate
// refuses such a schema.
func New[S any](log event.Log, def Definition[S], opts Options) *Handler[S] {
	if def.Category == "" || strings.Contains(def.Category, "-") {
		panic(fmt.Sprintf("aggregate: %q can't be a stream category: it must not be empty nor contain '-'", def.Category))
	}
	opts = opts.withDefaults()
	return &Handler[S]{log: log, def: def, opts: opts, slots: newSlots[S](opts.CacheBytes)}
}

// Category is the category of the aggregate's streams.
func (h *Handler[S]) Category() string { return h.def.Category }

// Commands lists the full type names of the commands, sorted.
func (h *Handler[S]) Commands() []string { return slices.Sorted(maps.Keys(h.def.Commands)) }

// errNoID refuses what would be the stream of a category.
var errNoID = &event.ArgumentError{Argument: "id", Message: "an aggregate's id must not be empty"}

// Load returns an aggregate's state and version as of now; a new aggregate has
// the zero state and version 0. The state is the caller's own.
func (h *Handler[S]) Load(ctx context.Context, id string) (*S, uint64, error) {
	if id == "" {
		return nil, 0, errNoID
	}
	l := &loader[S]{ctx: ctx, handler: h, of: h.slots.find(h.def.Category, id)}
	if err := h.guard(ctx, l); err != nil {
		return nil, 0, h.explain(err, l.of, "")
	}
	return &l.state, l.version, nil
}

// loader is one call of Load.
type loader[S any] struct {
	ctx     context.Context
	handler *Handler[S]
	of      *slot[S]
	state   S
	version uint64
}

func (l *loader[S]) run() error {
	f, _, err := l.handler.load(l.ctx, l.of, true)
	if err == nil {
		l.state, l.version = l.handler.def.clone(&f.state), f.version
	}
	return err
}

// Handle decides a command and stores its events, all or none. command is the
// full name of its type, data a FlatBuffer of that type: bytes from outside
// must have been verified.
//
// It fails with the decider's own error (a [*RejectedError] where the aggregate
// refuses), a [*PanicError], an [event.ConflictError] when Expect does not hold
// or other writers were faster MaxAttempts times, an [event.KeyReusedError], or
// an error of the log. Nothing is stored then, unless the error is
// [event.ErrOutcomeUnknown].
//
// It returns soon after the context has ended, also when the decider does not:
// such a decider goes on in the background on what was its own, and nothing that
// it decides is stored. Go can't stop it; see [Options.MaxAbandoned]. Deciders of
// callers whose contexts can end run on goroutines of the handler, which wait for
// the next command and end after 200 ms without: a [testing/synctest] bubble has
// to sleep so long before it ends.
func (h *Handler[S]) Handle(ctx context.Context, id, command string, data []byte, opts ...Option) (Receipt, error) {
	r := &request[S]{one: [1]Command{{Type: command, Data: data}}}
	r.commands = r.one[:]
	return h.handle(ctx, id, r, opts)
}

// HandleAll decides several commands for one aggregate, each on the state that
// those before it lead to, and stores the events of all in one append. When one
// is not accepted, nothing is stored, and the error is a [*BatchError] around
// what [Handler.Handle] would return.
func (h *Handler[S]) HandleAll(ctx context.Context, id string, commands []Command, opts ...Option) (Receipt, error) {
	if len(commands) == 0 {
		return Receipt{}, &event.ArgumentError{Argument: "commands", Message: "there must be at least one"}
	}
	return h.handle(ctx, id, &request[S]{commands: slices.Clone(commands)}, opts)
}

func (h *Handler[S]) handle(ctx context.Context, id string, r *request[S], opts []Option) (Receipt, error) {
	if err := h.accept(ctx, id, r, opts); err != nil {
		return Receipt{}, err
	}
	own, err := h.slots.take(ctx, h.def.Category, id)
	if err != nil {
		return Receipt{}, err
	}
	defer h.slots.give(own)
	r.own = own
	if receipt, found, err := h.repeated(ctx, r); found || err != nil {
		return receipt, err
	}
	receipt, err := h.settle(ctx, r)
	if err == nil && receipt.Count > 0 && !receipt.Repeated {
		return receipt, nil
	}
	// The same command may have been stored meanwhile, by another handler:
	// then that is the answer, whatever was decided on what it left.
	if first, found, again := h.repeated(ctx, r); found {
		return first, again
	}
	return receipt, err
}

// accept checks what can be checked without the log.
func (h *Handler[S]) accept(ctx context.Context, id string, r *request[S], opts []Option) error {
	r.cause(ctx)
	for _, o := range opts {
		o(&r.call)
	}
	for i := range r.commands {
		if h.def.Commands[r.commands[i].Type] == nil {
			return &event.UnknownError{Kind: "command", Name: r.commands[i].Type}
		}
	}
	if id == "" {
		return errNoID
	}
	return r.validate()
}

// settle attempts until there is an answer. What the cache has is good enough
// for events, since their append is conditional, but not to say no: an answer
// without events is given only on states that were read for it. After a
// conflict, too, states are read, and an expected version is compared with what
// was found. When the log has become another one, everything is read once more.
func (h *Handler[S]) settle(ctx context.Context, r *request[S]) (Receipt, error) {
	fresh, moved := false, false
	a := &r.first
	for attempts := 1; ; a = new(attempt[S]) {
		a.ctx, a.handler, a.request, a.fresh = ctx, h, r, fresh
		err := h.guard(ctx, a)
		if wasAbandoned(err) {
			return Receipt{}, err // and a is the decider's
		}
		decided := err == nil && len(a.events) > 0
		var receipt Receipt
		if decided {
			receipt, err = a.append()
		}
		switch {
		case anotherStore(err) && !moved:
			h.slots.clear()
			fresh, moved = true, true
			continue
		case decided && !errors.Is(err, event.ErrConflict):
			return receipt, err
		case decided:
			h.stats.conflicts.Add(1)
		case a.unchecked && seeded != bugStaleCache: // decide again
		case err != nil:
			return Receipt{}, h.explain(err, r.own, r.commands[0].Type)
		default:
			return Receipt{Position: a.head, Version: a.own.base.version}, nil
		}
		if !a.unchecked {
			if attempts++; attempts > h.opts.MaxAttempts {
				return Receipt{}, err
			}
		}
		fresh = true
	}
}

// anotherStore reports whether nothing was stored because the log is not the one
// that something was read from.
func anotherStore(err error) bool {
	return err != nil && errors.As(err, new(*event.StoreChangedError)) && !errors.Is(err, event.ErrOutcomeUnknown)
}
