package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gammazero/nexus/v3/wamp"
	"github.com/oklog/ulid/v2"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// maxWait is the longest wait that protocol 1 allows.
const maxWait = 60 * time.Second

// Append implements [event.Appender]: es.append. An append with a key is made
// again when the connection breaks before its answer came, until ctx ends. The
// error is [event.ErrOutcomeUnknown] when that happens to one without, when ctx
// ends after the call was sent, or when a repetition is refused by what knows
// nothing of the first attempt, a server that is overloaded, say: repeat it with
// its key, look that up, or read first.
func (c *Client) Append(ctx context.Context, a event.Append) (event.Receipt, error) {
	if err := a.Validate(); err != nil {
		return event.Receipt{}, err
	}
	args := make(wamp.List, len(a.Events))
	for i := range a.Events {
		args[i] = proposed(&a.Events[i])
	}
	kwargs := wamp.Dict{}
	put(kwargs, "stream", a.Stream)
	put(kwargs, "key", a.Key)
	putID(kwargs, "store", a.Store)
	if len(a.Conditions) > 0 {
		conditions := make([]any, len(a.Conditions))
		for i, condition := range a.Conditions {
			conditions[i] = conditionFields(condition)
		}
		kwargs["conditions"] = conditions
	}
	r, err := c.call(ctx, request{procedure: "es.append", args: args, kwargs: kwargs, effect: onceFor(a.Key)})
	if err != nil {
		return event.Receipt{}, ownCondition(a.Conditions, err)
	}
	return receipt("es.append", r)
}

// onceFor is the effect of a call that may have a key.
func onceFor(key string) effect {
	if key != "" {
		return keyed
	}
	return changes
}

func proposed(p *event.Proposed) []any {
	fields := map[string]any{}
	put(fields, "stream", p.Stream)
	if len(p.Tags) > 0 {
		fields["tags"] = p.Tags
	}
	if len(p.Metadata) > 0 {
		fields["metadata"] = pairs(p.Metadata)
	}
	putID(fields, "causation", p.Causation)
	putID(fields, "correlation", p.Correlation)
	if p.Schema != 0 {
		fields["schema"] = formatFingerprint(p.Schema)
	}
	if len(fields) == 0 {
		return []any{p.Type, p.Data}
	}
	return []any{p.Type, p.Data, fields}
}

// pairs is metadata as it travels: in order, keys may repeat.
func pairs(metadata []event.Meta) []any {
	pairs := make([]any, len(metadata))
	for i, m := range metadata {
		pairs[i] = []any{m.Key, m.Value}
	}
	return pairs
}

func conditionFields(condition event.Condition) map[string]any {
	switch c := condition.(type) {
	case event.StreamAt:
		return map[string]any{"stream": c.Stream, "expect": c.Version}
	case event.StreamAbsent:
		return map[string]any{"stream": c.Stream, "expect": "none"}
	case event.StreamPresent:
		return map[string]any{"stream": c.Stream, "expect": "exists"}
	case event.NoneMatch:
		return map[string]any{"query": queryFields(c.Query), "after": c.After}
	}
	return nil
}

func queryFields(q event.Query) []any {
	items := make([]any, len(q))
	for i, item := range q {
		fields := map[string]any{}
		if len(item.Types) > 0 {
			fields["types"] = item.Types
		}
		if len(item.Tags) > 0 {
			fields["tags"] = item.Tags
		}
		items[i] = fields
	}
	return items
}

// ownCondition puts the caller's own condition into a conflict.
func ownCondition(conditions []event.Condition, err error) error {
	var conflict *event.ConflictError
	if errors.As(err, &conflict) && conflict.Index < len(conditions) {
		conflict.Condition = conditions[conflict.Index]
	}
	return err
}

func receipt(procedure string, r *wamp.Result) (event.Receipt, error) {
	a := answer{procedure: procedure, result: r}
	receipt := event.Receipt{First: a.number("first"), Last: a.number("last"), Repeated: a.flag("repeated")}
	if r.ArgumentsKw["version"] != nil {
		receipt.Version = a.number("version")
	}
	ids, _ := r.ArgumentsKw["ids"].([]any)
	for _, v := range ids {
		id, err := asID(v)
		if err != nil {
			return receipt, fmt.Errorf("%s answered an id that is none: %w", procedure, err)
		}
		receipt.IDs = append(receipt.IDs, id)
	}
	return receipt, a.err
}

// ReadPage implements [event.Reader]: es.read. A wait of more than a minute
// ends after one, with an empty page. A read goes on over reconnects; one that
// names a place in the log, and finds another store behind the reconnect, fails
// with an [*event.StoreChangedError]. A record that is not what it should be
// fails the page with an [*event.CorruptError] or [*event.InvalidDataError].
func (c *Client) ReadPage(ctx context.Context, s event.Selection, o event.PageOptions) (event.Page, error) {
	if err := s.Validate(); err != nil {
		return event.Page{}, err
	}
	r, err := c.call(ctx, request{
		procedure: "es.read", kwargs: readFields(s, o), wait: min(o.Wait, maxWait),
		placed: s.After != 0 || s.FromVersion != 0 || !s.AfterID.IsZero(),
	})
	if err != nil {
		return event.Page{}, err
	}
	return c.page(r, &s)
}

// page reads the answer to es.read for s.
func (c *Client) page(r *wamp.Result, s *event.Selection) (event.Page, error) {
	a := answer{procedure: "es.read", result: r}
	page := event.Page{
		Records: a.binary(),
		Count:   int(a.number("count")),
		Last:    a.number("last"),
		Head:    a.number("head"),
		More:    a.flag("more"),
		Store:   a.id("store"),
	}
	if a.err != nil {
		return event.Page{}, a.err
	}
	if err := c.checkPage(&page, s); err != nil {
		return event.Page{}, err
	}
	return page, nil
}

func readFields(s event.Selection, o event.PageOptions) wamp.Dict {
	kwargs := wamp.Dict{}
	putNumber(kwargs, "after", s.After)
	putID(kwargs, "after_id", s.AfterID)
	if !s.Since.IsZero() {
		kwargs["since"] = s.Since.UTC().Format(time.RFC3339Nano)
	}
	putNumber(kwargs, "from_version", s.FromVersion)
	put(kwargs, "stream", s.Stream)
	put(kwargs, "category", s.Category)
	if len(s.Types) > 0 {
		kwargs["types"] = s.Types
	}
	if len(s.Tags) > 0 {
		kwargs["tags"] = s.Tags
	}
	if len(s.Query) > 0 {
		kwargs["query"] = queryFields(s.Query)
	}
	if s.Backward {
		kwargs["backward"] = true
	}
	putNumber(kwargs, "limit", uint64(s.Limit))
	putNumber(kwargs, "max_bytes", uint64(max(o.MaxBytes, 0)))
	putID(kwargs, "store", o.Store)
	return kwargs
}

// Head implements [event.Reader]: es.head.
func (c *Client) Head(ctx context.Context) (event.Head, error) {
	r, err := c.call(ctx, request{procedure: "es.head"})
	if err != nil {
		return event.Head{}, err
	}
	a := answer{procedure: "es.head", result: r}
	return event.Head{Store: a.id("store"), Position: a.number("position"), ID: a.id("id"), First: a.number("first")}, a.err
}

// answer reads a result, strictly; the first wrong value is kept in err.
type answer struct {
	procedure string
	result    *wamp.Result
	err       error
}

func (a *answer) fail(name, want string) {
	if a.err == nil {
		a.err = fmt.Errorf("%s answered without %s %q: is the server one of protocol 1?", a.procedure, want, name)
	}
}

func (a *answer) number(name string) uint64 {
	n, ok := codec.Integer(a.result.ArgumentsKw[name])
	if !ok || n < 0 {
		a.fail(name, "the number")
	}
	return uint64(max(n, 0))
}

func (a *answer) flag(name string) bool {
	b, ok := a.result.ArgumentsKw[name].(bool)
	if !ok {
		a.fail(name, "the flag")
	}
	return b
}

func (a *answer) id(name string) event.ID {
	id, err := asID(a.result.ArgumentsKw[name])
	if err != nil {
		a.fail(name, "the ULID")
	}
	return id
}

// binary returns the only positional argument.
func (a *answer) binary() []byte {
	if len(a.result.Arguments) == 1 {
		if b, ok := a.result.Arguments[0].([]byte); ok {
			return b
		}
	}
	a.fail("args[0]", "the binary")
	return nil
}

func asID(v any) (event.ID, error) {
	s, _ := v.(string)
	return ulid.ParseStrict(s)
}

func formatFingerprint(fingerprint uint64) string { return fmt.Sprintf("%016x", fingerprint) }

func put(fields map[string]any, name, value string) {
	if value != "" {
		fields[name] = value
	}
}

func putNumber(fields map[string]any, name string, value uint64) {
	if value != 0 {
		fields[name] = value
	}
}

func putID(fields map[string]any, name string, id event.ID) {
	if !id.IsZero() {
		fields[name] = id.String()
	}
}
