package wampbus

import (
	"context"
	"errors"
	"iter"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/compat"
	"github.com/verbatim-es/verbatim/schema/verify"
)

// Registrar takes schemas while a log is served; a local store is one. See
// [github.com/verbatim-es/verbatim/eventstore.Store.Register] for what its
// errors are.
type Registrar interface {
	Register(ctx context.Context, bfbs []byte) ([]compat.Finding, error)
}

// registerSchema answers es.schema.register. A schema that breaks older ones is
// no error here: it is not registered, and the findings are the answer.
func (b *Bus) registerSchema(ctx context.Context, in *invocation) (answer, error) {
	bfbs, err := asData("bfbs", in.next("bfbs"))
	in.keep(err)
	if err := in.end(); err != nil {
		return answer{}, err
	}
	if len(bfbs) > verify.MaxBFBS {
		return answer{}, tooLarge("max_bfbs", verify.MaxBFBS, len(bfbs))
	}
	registrar, ok := b.options.Log.(Registrar)
	if !ok {
		return answer{}, &event.UnavailableError{Message: "this log takes no schemas while it is served"}
	}
	findings, err := registrar.Register(ctx, bfbs)
	var broken *compat.IncompatibleError
	if err != nil && !errors.As(err, &broken) {
		return answer{}, err
	}
	list := wamp.List{}
	for _, f := range findings {
		list = append(list, wamp.Dict{
			"rule": string(f.Rule), "location": f.Location, "reason": f.Reason, "breaks": f.Breaks.String(),
		})
	}
	return answer{kwargs: wamp.Dict{"registered": err == nil, "findings": list}}, nil
}

// announcer publishes es.schema, whoever registered the schema.
type announcer struct {
	bus     *Bus
	deliver func(*publication)
	current map[string]uint64 // fingerprints by type, as announced
}

func newAnnouncer(b *Bus, deliver func(*publication)) *announcer {
	a := &announcer{bus: b, deliver: deliver, current: make(map[string]uint64)}
	for t, fingerprint := range a.changed() {
		a.current[t] = fingerprint
	}
	return a
}

// run publishes until ctx ends, and then what was registered by then.
func (a *announcer) run(ctx context.Context) {
	for ended := false; !ended; {
		grown := a.bus.options.Schemas.Grown()
		a.announce()
		select {
		case <-grown:
		case <-ctx.Done():
			a.announce()
			ended = true
		}
	}
}

func (a *announcer) announce() {
	for t, fingerprint := range a.changed() {
		a.current[t] = fingerprint
		a.deliver(&publication{topic: "es.schema", notice: wamp.Dict{"type": t, "fingerprint": formatFingerprint(fingerprint)}})
	}
}

// changed yields the types whose current schema was not announced, by name.
func (a *announcer) changed() iter.Seq2[string, uint64] {
	return func(yield func(string, uint64) bool) {
		for _, t := range a.bus.options.Schemas.Types() {
			_, fingerprint, ok := a.bus.options.Schemas.Lookup(t.Name)
			if !ok || t.Role == schema.RoleNone || a.current[t.Name] == fingerprint {
				continue
			}
			if !yield(t.Name, fingerprint) {
				return
			}
		}
	}
}
