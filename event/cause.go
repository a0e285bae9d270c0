package event

import "context"

type causeKey struct{}

type cause struct{ causation, correlation ID }

// WithCause returns a context for what is done because of an event: commands
// that are handled with it lead to events that carry the ids of [CauseOf].
func WithCause(ctx context.Context, e Event) context.Context {
	causation, correlation := CauseOf(e)
	return WithCauseIDs(ctx, causation, correlation)
}

// WithCauseIDs is [WithCause] for an event that is not at hand.
func WithCauseIDs(ctx context.Context, causation, correlation ID) context.Context {
	return context.WithValue(ctx, causeKey{}, cause{causation, correlation})
}

// Cause returns what [WithCause] put into the context, zero ids if nothing.
func Cause(ctx context.Context) (causation, correlation ID) {
	c, _ := ctx.Value(causeKey{}).(cause)
	return c.causation, c.correlation
}

// CauseOf returns what an event that e causes carries: e's id as its causation,
// and e's correlation, or e's id when e began the conversation.
func CauseOf(e Event) (causation, correlation ID) {
	if correlation = e.Correlation(); correlation.IsZero() {
		correlation = e.ID()
	}
	return e.ID(), correlation
}
