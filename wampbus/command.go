package wampbus

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/schema"
)

// route is where a command goes.
type route struct {
	handler CommandHandler
	command string // full type name
}

// routes returns the handlers' commands by "<aggregate>.<command>".
func routes(handlers []CommandHandler, schemas *schema.Set) (map[string]route, error) {
	routes := make(map[string]route)
	for _, h := range handlers {
		for _, command := range h.Commands() {
			table, _, ok := schemas.Lookup(command)
			if !ok || table.Role != schema.RoleCommand {
				return nil, fmt.Errorf("wampbus: the handler of %q handles %q, which is no command in Options.Schemas", h.Category(), command)
			}
			name := h.Category() + "." + lastComponent(table.Wire)
			if other, taken := routes[name]; taken {
				return nil, fmt.Errorf("wampbus: %q and %q would both be es.command.%s", command, other.command, name)
			}
			routes[name] = route{handler: h, command: command}
		}
	}
	return routes, nil
}

func lastComponent(wire string) string { return wire[strings.LastIndexByte(wire, '.')+1:] }

// command passes a command to its handler, verified.
func (b *Bus) command(ctx context.Context, in *invocation) (answer, error) {
	to, ok := b.routes[in.name]
	if !ok {
		return answer{}, &event.UnknownError{Kind: "command", Name: in.name}
	}
	id, err := asText("id", in.next("id"))
	in.keep(err)
	data, err := asData("command", in.next("command"))
	in.keep(err)
	key, fingerprint := in.text("key"), in.fingerprint("schema")
	var options []aggregate.Option
	if in.has("expect") {
		options = append(options, aggregate.Expect(in.number("expect")))
	}
	options = append(options, aggregate.Causation(in.id("causation")), aggregate.Correlation(in.id("correlation")))
	if metadata, ok := in.take("metadata"); ok {
		pairs, err := asMetadata(metadata)
		in.keep(err)
		for _, m := range pairs {
			options = append(options, aggregate.Metadata(m.Key, m.Value))
		}
	}
	if err := in.end(); err != nil {
		return answer{}, err
	}
	if err := b.options.Schemas.Verify(to.command, fingerprint, data); err != nil {
		return answer{}, dataError("command", to.command, err)
	}
	if key, err = in.scopedKey(key); err != nil {
		return answer{}, err
	}
	if key != "" {
		options = append(options, aggregate.Key(key))
	}
	receipt, err := to.handler.Handle(ctx, id, to.command, data, options...)
	if err != nil {
		return answer{}, in.unscoped(b.told(err))
	}
	return answer{kwargs: wamp.Dict{
		"position": receipt.Position, "version": receipt.Version, "count": receipt.Count, "repeated": receipt.Repeated,
	}}, nil
}

// told is what a caller may know of a command's error. What a decider panicked
// with, and where, is for the operator.
func (b *Bus) told(err error) error {
	var panicked *aggregate.PanicError
	if !errors.As(err, &panicked) {
		return err
	}
	b.log.Error("a decider panicked", "command", panicked.Command, "stream", panicked.Stream, "panic", panicked.Value, "stack", string(panicked.Stack))
	return errInternalFault
}
