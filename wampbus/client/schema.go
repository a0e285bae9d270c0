package client

import (
	"context"
	"strconv"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/schema/compat"
)

// Info is what a server says of itself and of the client: es.info.
type Info struct {
	// Protocol and RecordFormat are 1.
	Protocol, RecordFormat int
	// FlatBuffers is the version of the library that writes the records.
	FlatBuffers string
	Store       event.ID
	// MaxRecord and MaxPage are in bytes.
	MaxRecord, MaxPage int
	// Roles are the client's.
	Roles []string
}

// Info asks the server about itself.
func (c *Client) Info(ctx context.Context) (Info, error) {
	r, err := c.call(ctx, request{procedure: "es.info"})
	if err != nil {
		return Info{}, err
	}
	a := answer{procedure: "es.info", result: r}
	info := Info{
		Protocol: int(a.number("protocol")), RecordFormat: int(a.number("record_format")), FlatBuffers: a.text(r.ArgumentsKw, "flatbuffers"),
		Store: a.id("store"), MaxRecord: int(a.number("max_record")), MaxPage: int(a.number("max_page")),
	}
	roles, _ := r.ArgumentsKw["roles"].([]any)
	for _, role := range roles {
		name, _ := role.(string)
		info.Roles = append(info.Roles, name)
	}
	return info, a.err
}

// SchemaType is a type that the server knows.
type SchemaType struct {
	Type string
	// Role is "event", "command", "aggregate" or "view".
	Role string
	// Aggregate is the category of the type's aggregate, "" if it has none.
	Aggregate   string
	Fingerprint uint64
}

// Schemas lists the types of the server's current schemas: es.schemas.
func (c *Client) Schemas(ctx context.Context) ([]SchemaType, error) {
	r, err := c.call(ctx, request{procedure: "es.schemas"})
	if err != nil {
		return nil, err
	}
	a := answer{procedure: "es.schemas", result: r}
	var types []SchemaType
	for _, v := range a.list() {
		fields, _ := v.(map[string]any)
		aggregate, _ := fields["aggregate"].(string)
		types = append(types, SchemaType{
			Type: a.text(fields, "type"), Role: a.text(fields, "role"), Aggregate: aggregate, Fingerprint: a.fingerprint(fields),
		})
	}
	return types, a.err
}

// Schema returns the .bfbs of a type's current schema and its fingerprint:
// es.schema. The bytes have not been verified; schema.Parse does.
func (c *Client) Schema(ctx context.Context, typ string) (bfbs []byte, fingerprint uint64, err error) {
	return c.schema(ctx, wamp.Dict{"type": typ})
}

// SchemaByFingerprint returns the .bfbs of that fingerprint, current or not, as
// [Client.Schema] does.
func (c *Client) SchemaByFingerprint(ctx context.Context, fingerprint uint64) (bfbs []byte, err error) {
	bfbs, _, err = c.schema(ctx, wamp.Dict{"fingerprint": formatFingerprint(fingerprint)})
	return bfbs, err
}

func (c *Client) schema(ctx context.Context, kwargs wamp.Dict) ([]byte, uint64, error) {
	r, err := c.call(ctx, request{procedure: "es.schema", kwargs: kwargs})
	if err != nil {
		return nil, 0, err
	}
	a := answer{procedure: "es.schema", result: r}
	return a.binary(), a.fingerprint(r.ArgumentsKw), a.err
}

// Register registers a schema, which only admins may: es.schema.register. A
// schema that would break older versions is not registered: the error is an
// [*compat.IncompatibleError] with what it would break, the findings. To
// register a schema twice is to register it once, so it is tried again after a
// reconnect.
func (c *Client) Register(ctx context.Context, bfbs []byte) ([]compat.Finding, error) {
	r, err := c.call(ctx, request{procedure: "es.schema.register", args: wamp.List{bfbs}, effect: keyed})
	if err != nil {
		return nil, err
	}
	a := answer{procedure: "es.schema.register", result: r}
	registered := a.flag("registered")
	list, _ := r.ArgumentsKw["findings"].([]any)
	var findings []compat.Finding
	for _, v := range list {
		fields, _ := v.(map[string]any)
		findings = append(findings, compat.Finding{
			Rule: compat.Rule(a.text(fields, "rule")), Location: a.text(fields, "location"), Reason: a.text(fields, "reason"),
			Breaks: directions[a.text(fields, "breaks")],
		})
	}
	if a.err != nil {
		return nil, a.err
	}
	if !registered {
		return findings, &compat.IncompatibleError{Schema: "the schema", Findings: findings}
	}
	return findings, nil
}

var directions = map[string]compat.Direction{
	compat.Backward.String():                    compat.Backward,
	compat.Forward.String():                     compat.Forward,
	(compat.Backward | compat.Forward).String(): compat.Backward | compat.Forward,
}

func (a *answer) text(fields map[string]any, name string) string {
	s, ok := fields[name].(string)
	if !ok {
		a.fail(name, "the text")
	}
	return s
}

func (a *answer) fingerprint(fields map[string]any) uint64 {
	text := a.text(fields, "fingerprint")
	n, err := strconv.ParseUint(text, 16, 64)
	if err != nil || len(text) != 16 {
		a.fail("fingerprint", "the 16 hex digits")
	}
	return n
}

// list returns the only positional argument, a list.
func (a *answer) list() []any {
	if len(a.result.Arguments) == 1 {
		if l, ok := a.result.Arguments[0].([]any); ok {
			return l
		}
	}
	a.fail("args[0]", "the list")
	return nil
}
