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

// Definition is what generated code knows about an aggregate with state S.
type Definition[S any] struct {
	// Category is the category of the aggregate's streams.
	Category string
	// Commands decides a command, by the full name of its type. The bytes are
	// a verified FlatBuffer of that type.
	Commands map[string]func(state *S, command []byte, out *Decision[S]) error
	// Evolve applies an event to the state. It fails for an event that is not
	// one of the aggregate's.
	Evolve func(state *S, e event.Event) error
}

// Handler handles the commands of one kind of aggregate. It is safe for
// concurrent use; commands on one aggregate take turns.
type Handler[S any] struct {
	log   event.Log
	def   Definition[S]
	opts  Options
	turns turns[S]
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
	if opts.MaxAttempts <= 0 {
		opts.MaxAttempts = defaultAttempts
	}
	return &Handler[S]{log: log, def: def, opts: opts}
}

// Category is the category of the aggregate's streams.
func (h *Handler[S]) Category() string { return h.def.Category }

// Commands lists the full type names of the commands, sorted.
func (h *Handler[S]) Commands() []string { return slices.Sorted(maps.Keys(h.def.Commands)) }

// Load returns an aggregate's state and version; a new aggregate has the zero
// state and version 0.
func (h *Handler[S]) Load(ctx context.Context, id string) (*S, uint64, error) {
	var f folded[S]
	if err := h.fold(ctx, id, &f); err != nil {
		return nil, 0, err
	}
	return &f.state, f.version, nil
}

// Handle decides a command and stores its events, all or none. command is the
// full name of its type, data a FlatBuffer of that type: bytes from outside
// must have been verified.
//
// It fails with the decider's own error (a [*RejectedError] where the aggregate
// refuses), an [event.ConflictError] when Expect does not hold or other writers
// were faster MaxAttempts times, an [event.KeyReusedError], or an error of the
// log. Nothing is stored then, unless the error is [event.ErrOutcomeUnknown].
func (h *Handler[S]) Handle(ctx context.Context, id, command string, data []byte, opts ...Option) (Receipt, error) {
	var c call
	for _, o := range opts {
		o(&c)
	}
	decide, ok := h.def.Commands[command]
	if !ok {
		return Receipt{}, &event.UnknownError{Kind: "command", Name: command}
	}
	if id == "" {
		return Receipt{}, &event.ArgumentError{Argument: "id", Message: "an aggregate's id must not be empty"}
	}
	turn, err := h.turns.take(ctx, id)
	if err != nil {
		return Receipt{}, err
	}
	defer h.turns.give(turn)
	if receipt, found, err := h.repeated(ctx, id, c.key, command, data); found || err != nil {
		return receipt, err
	}
	for attempts := 1; ; attempts++ {
		receipt, err := h.attempt(ctx, turn, c, command, data, decide)
		if errors.Is(err, event.ErrConflict) && !c.expects && attempts < h.opts.MaxAttempts {
			continue
		}
		if err == nil && receipt.Count > 0 && !receipt.Repeated {
			return receipt, nil
		}
		// The same command may have been stored meanwhile, by another handler:
		// then that is the answer, whatever was decided on what it left.
		if first, found, again := h.repeated(ctx, id, c.key, command, data); found {
			return first, again
		}
		return receipt, err
	}
}

func (h *Handler[S]) attempt(ctx context.Context, turn *turn[S], c call, command string, data []byte, decide func(*S, []byte, *Decision[S]) error) (Receipt, error) {
	a := &attempt[S]{ctx: ctx, handler: h}
	if err := h.fold(ctx, turn.id, &turn.folded); err != nil {
		turn.folded = folded[S]{}
		return Receipt{}, err
	}
	own := a.decision(turn.id, turn.folded)
	if c.expects && own.version != c.expected {
		return Receipt{}, &event.ConflictError{
			Condition: event.StreamAt{Stream: own.stream, Version: c.expected},
			Actual:    own.version,
		}
	}
	if err := decide(own.state, data, own); err != nil {
		return Receipt{}, err
	}
	if len(a.events) == 0 {
		return Receipt{Position: a.head, Version: own.version}, nil
	}
	if c.key != "" {
		markCommand(&a.events[0], fingerprint(command, turn.id, data))
	}
	receipt, err := h.log.Append(ctx, event.Append{
		Stream:     own.stream,
		Events:     a.events,
		Conditions: a.conditions(),
		Key:        c.key,
	})
	if err != nil {
		return Receipt{}, err
	}
	if receipt.Repeated {
		first, _, err := h.receiptOf(ctx, own.stream, receipt)
		return first, err
	}
	return Receipt{Position: receipt.Last, Version: own.version + own.emitted, Count: len(a.events)}, nil
}

// folded is an aggregate as far as its stream was read.
type folded[S any] struct {
	state   S
	version uint64
	after   uint64 // the last position examined
	head    uint64 // of the log, when it was read
}

// fold brings an aggregate up to its stream's end. After an error it is
// somewhere in between.
func (h *Handler[S]) fold(ctx context.Context, id string, to *folded[S]) error {
	selection := event.Selection{Stream: h.stream(id)}
	for {
		selection.After = to.after
		page, err := h.log.ReadPage(ctx, selection, event.PageOptions{})
		if err != nil {
			return fmt.Errorf("load %s: %w", selection.Stream, err)
		}
		for e, err := range page.Events() {
			if err != nil {
				return fmt.Errorf("load %s: %w", selection.Stream, err)
			}
			if err := h.evolve(&to.state, e); err != nil {
				return fmt.Errorf("load %s: %v: %w", selection.Stream, e, err)
			}
			to.version = e.Version()
		}
		to.after, to.head = page.Last, page.Head
		if !page.More {
			return nil
		}
	}
}

// evolve folds a stored event into the state, as what it is read as today.
func (h *Handler[S]) evolve(state *S, stored event.Event) error {
	for e, err := range h.opts.Upcasters.Events(stored) {
		if err != nil {
			return err
		}
		if err := h.def.Evolve(state, e); err != nil {
			return err
		}
	}
	return nil
}

func (h *Handler[S]) stream(id string) string { return event.StreamName(h.def.Category, id) }
