package wampbus

import (
	"context"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/schema"
)

func (b *Bus) listSchemas(_ context.Context, in *invocation) (answer, error) {
	if err := in.end(); err != nil {
		return answer{}, err
	}
	list := wamp.List{}
	for _, t := range b.options.Schemas.Types() {
		if t.Role == schema.RoleNone {
			continue
		}
		_, fingerprint, _ := b.options.Schemas.Lookup(t.Name)
		list = append(list, wamp.Dict{
			"type": t.Name, "role": t.Role.String(), "aggregate": t.Aggregate, "fingerprint": formatFingerprint(fingerprint),
		})
	}
	return answer{args: wamp.List{list}}, nil
}

func (b *Bus) schema(ctx context.Context, in *invocation) (answer, error) {
	byType, byFingerprint := in.has("type"), in.has("fingerprint")
	typ, fingerprint := in.text("type"), in.fingerprint("fingerprint")
	if byType == byFingerprint {
		in.fail("type", "give either type or fingerprint")
	}
	if err := in.end(); err != nil {
		return answer{}, err
	}
	unknown := &event.UnknownError{Kind: "schema", Name: typ}
	if byType {
		_, current, ok := b.options.Schemas.Lookup(typ)
		if !ok {
			return answer{}, unknown
		}
		fingerprint = current
	} else {
		unknown.Name = formatFingerprint(fingerprint)
	}
	s, ok := b.options.Schemas.ByFingerprint(fingerprint)
	if !ok {
		return answer{}, unknown
	}
	kwargs := wamp.Dict{"fingerprint": formatFingerprint(fingerprint)}
	if byType {
		kwargs["type"] = typ
	}
	return answer{args: wamp.List{s.BFBS}, kwargs: kwargs}, in.room(ctx, len(s.BFBS))
}
