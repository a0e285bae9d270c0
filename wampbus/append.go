package wampbus

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sort"
	"strings"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event"
)

func (b *Bus) append(ctx context.Context, in *invocation) (answer, error) {
	a, err := in.append()
	if err != nil {
		return answer{}, err
	}
	if a.Key, err = in.scopedKey(a.Key); err != nil {
		return answer{}, err
	}
	receipt, err := b.options.Log.Append(ctx, a)
	if err != nil {
		return answer{}, in.unscoped(err)
	}
	return answer{kwargs: receiptFacts(receipt)}, nil
}

func receiptFacts(receipt event.Receipt) wamp.Dict {
	ids := make([]string, len(receipt.IDs))
	for i, id := range receipt.IDs {
		ids[i] = id.String()
	}
	facts := wamp.Dict{"first": receipt.First, "last": receipt.Last, "ids": ids, "repeated": receipt.Repeated}
	if receipt.Version != 0 {
		facts["version"] = receipt.Version
	}
	return facts
}

// append reads the arguments of es.append.
func (in *invocation) append() (event.Append, error) {
	a := event.Append{Stream: in.text("stream"), Key: in.text("key"), Store: in.id("store")}
	for i := range in.list {
		p, err := proposed(i, in.list[i])
		if err != nil {
			return a, err
		}
		a.Events = append(a.Events, p)
	}
	in.list = nil
	if expect, ok := in.take("expect"); ok {
		c, err := expectation("expect", a.Stream, expect)
		if err != nil {
			return a, err
		}
		if c != nil {
			a.Conditions = append(a.Conditions, c)
		}
	}
	if list, ok := in.take("conditions"); ok {
		conditions, err := conditions(list)
		if err != nil {
			return a, err
		}
		a.Conditions = append(a.Conditions, conditions...)
	}
	if err := in.end(); err != nil {
		return a, err
	}
	return a, a.Validate()
}

// proposed reads [type, data] or [type, data, options].
func proposed(i int, v any) (event.Proposed, error) {
	name := fmt.Sprintf("args[%d]", i)
	list, ok := v.([]any)
	if !ok || len(list) < 2 || len(list) > 3 {
		return event.Proposed{}, invalid(name, "must be [type, data] or [type, data, {stream, tags, metadata, causation, correlation, schema}]")
	}
	var p event.Proposed
	var err error
	if p.Type, err = asText(name+".type", list[0]); err != nil {
		return p, err
	}
	if p.Data, err = asData(name+".data", list[1]); err != nil {
		return p, err
	}
	if len(list) < 3 || list[2] == nil {
		return p, nil
	}
	fields, ok := list[2].(map[string]any)
	if !ok {
		return p, invalid(name, "its options must be a dictionary")
	}
	o := newArguments(nil, fields)
	p.Stream = o.text("stream")
	if o.has("tags") {
		p.Tags = o.texts("tags")
	}
	if metadata, ok := o.take("metadata"); ok {
		p.Metadata, err = asMetadata(metadata)
		o.keep(err)
	}
	p.Causation, p.Correlation = o.id("causation"), o.id("correlation")
	p.Schema = o.fingerprint("schema")
	return p, argumentOf(name, o.end())
}

// argumentOf names the event that an argument belongs to.
func argumentOf(name string, err error) error {
	var argument *event.ArgumentError
	if errors.As(err, &argument) {
		return invalid(name+"."+argument.Argument, argument.Message)
	}
	return err
}

// asMetadata reads a dictionary, stored in the order of its keys, or a list of
// [key, value], stored as it is.
func asMetadata(v any) ([]event.Meta, error) {
	const form = "must be a dictionary of strings, or a list of [key, value]"
	var metadata []event.Meta
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			text, ok := value.(string)
			if !ok {
				return nil, invalid("metadata", form)
			}
			metadata = append(metadata, event.Meta{Key: key, Value: text})
		}
		sort.Slice(metadata, func(i, j int) bool { return metadata[i].Key < metadata[j].Key })
	case []any:
		for _, e := range v {
			pair, _ := e.([]any)
			if len(pair) != 2 {
				return nil, invalid("metadata", form)
			}
			key, isKey := pair[0].(string)
			value, isValue := pair[1].(string)
			if !isKey || !isValue {
				return nil, invalid("metadata", form)
			}
			metadata = append(metadata, event.Meta{Key: key, Value: value})
		}
	default:
		return nil, invalid("metadata", form)
	}
	return metadata, nil
}

// expectation reads "any", "none", "exists" or a version. "any" is nil.
func expectation(name, stream string, v any) (event.Condition, error) {
	if word, ok := v.(string); ok {
		switch {
		case word == "any":
			return nil, nil
		case word == "none" && stream != "":
			return event.StreamAbsent{Stream: stream}, nil
		case word == "exists" && stream != "":
			return event.StreamPresent{Stream: stream}, nil
		case word != "none" && word != "exists":
			return nil, invalid(name, "must be \"any\", \"none\", \"exists\" or a version, got "+show(v))
		}
	}
	if stream == "" {
		return nil, invalid(name, "needs a stream")
	}
	version, err := asNumber(name, v)
	if err != nil {
		return nil, invalid(name, "must be \"any\", \"none\", \"exists\" or a version, got "+show(v))
	}
	return event.StreamAt{Stream: stream, Version: version}, nil
}

// conditions reads a list of {stream, expect} or {query, after}.
func conditions(v any) ([]event.Condition, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, invalid("conditions", "must be a list of {stream, expect} or {query, after}, got "+show(v))
	}
	var conditions []event.Condition
	for i, e := range list {
		name := fmt.Sprintf("conditions[%d]", i)
		fields, ok := e.(map[string]any)
		if !ok {
			return nil, invalid(name, "must be {stream, expect} or {query, after}, got "+show(e))
		}
		c, err := condition(newArguments(nil, fields))
		if err != nil {
			return nil, argumentOf(name, err)
		}
		conditions = append(conditions, c)
	}
	return conditions, nil
}

func condition(a *arguments) (event.Condition, error) {
	if a.has("query") {
		c := event.NoneMatch{Query: a.query("query"), After: a.number("after")}
		return c, a.end()
	}
	stream := a.text("stream")
	if stream == "" && a.err == nil {
		return nil, invalid("stream", "a condition holds a stream and what to expect of it, or a query")
	}
	expect, ok := a.take("expect")
	if !ok {
		return nil, invalid("expect", "is missing")
	}
	c, err := expectation("expect", stream, expect)
	if c == nil && err == nil {
		err = invalid("expect", "\"any\" is no condition: leave it out")
	}
	a.keep(err)
	return c, a.end()
}

// scopedKey is an idempotency key as the log knows it: those of a principal
// start with its name, so that nobody meets another one's. Anonymous clients
// share the keys without a slash.
func (c *caller) scopedKey(key string) (string, error) {
	switch {
	case key == "":
		return "", nil
	case c.principal != "":
		return c.keyPrefix() + key, nil
	case strings.Contains(key, "/"):
		return "", invalid("key", "keys with '/' belong to clients that have authenticated")
	}
	return key, nil
}

func (c *caller) keyPrefix() string { return url.PathEscape(c.principal) + "/" }

// unscoped takes the principal out of an error about a key.
func (c *caller) unscoped(err error) error {
	var reused *event.KeyReusedError
	if c.principal != "" && errors.As(err, &reused) {
		return &event.KeyReusedError{Key: strings.TrimPrefix(reused.Key, c.keyPrefix()), Position: reused.Position}
	}
	return err
}
