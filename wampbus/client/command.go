package client

import (
	"context"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
)

// CommandOptions are optional.
type CommandOptions struct {
	// Key is the command's idempotency key.
	Key string
	// Expect is the version that the aggregate must have, when ExpectVersion
	// is set; 0 is one that does not exist yet.
	Expect        uint64
	ExpectVersion bool
	// Schema is the fingerprint of the schema that the command was built with;
	// 0 means the server's current one.
	Schema uint64
	// Causation and Correlation are those of the events that the command leads
	// to; where both are zero, the context's, see [event.WithCause]. Metadata is
	// added to each of the events.
	Causation, Correlation event.ID
	Metadata               []event.Meta
}

// Command sends a command to the aggregate with that id:
// es.command.<aggregate>.<command>, where aggregate is the category and command
// the command's name, both in lower snake case. data is a FlatBuffer of the
// command's type, without size prefix; the server verifies it.
//
// It fails with an [*aggregate.RejectedError] where the aggregate refuses, and
// as [Client.Append] does; with a key it is made again as an append is.
func (c *Client) Command(ctx context.Context, aggregateName, id, command string, data []byte, o CommandOptions) (aggregate.Receipt, error) {
	kwargs := wamp.Dict{}
	put(kwargs, "key", o.Key)
	if o.ExpectVersion {
		kwargs["expect"] = o.Expect
	}
	if o.Schema != 0 {
		kwargs["schema"] = formatFingerprint(o.Schema)
	}
	if o.Causation.IsZero() && o.Correlation.IsZero() {
		o.Causation, o.Correlation = event.Cause(ctx)
	}
	putID(kwargs, "causation", o.Causation)
	putID(kwargs, "correlation", o.Correlation)
	if len(o.Metadata) > 0 {
		kwargs["metadata"] = pairs(o.Metadata)
	}
	procedure := "es.command." + aggregateName + "." + command
	r, err := c.call(ctx, request{procedure: procedure, args: wamp.List{id, data}, kwargs: kwargs, effect: onceFor(o.Key)})
	if err != nil {
		return aggregate.Receipt{}, err
	}
	a := answer{procedure: procedure, result: r}
	return aggregate.Receipt{
		Position: a.number("position"), Version: a.number("version"),
		Count: int(a.number("count")), Repeated: a.flag("repeated"),
	}, a.err
}
