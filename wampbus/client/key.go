package client

import (
	"context"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event"
)

var _ event.KeyReader = (*Client)(nil)

// AppendByKey implements [event.KeyReader]: es.key. It finds the client's own
// keys, those of appends and commands alike, and takes a role that may have
// used them. Where the server's log has no look-up by key, the error is an
// [*event.UnknownError] of a procedure.
func (c *Client) AppendByKey(ctx context.Context, key string) (event.Receipt, bool, error) {
	r, err := c.call(ctx, request{procedure: "es.key", args: wamp.List{key}})
	if err != nil {
		return event.Receipt{}, false, err
	}
	a := answer{procedure: "es.key", result: r}
	if found := a.flag("found"); !found {
		return event.Receipt{}, false, a.err
	}
	earlier, err := receipt("es.key", r)
	return earlier, err == nil, err
}
