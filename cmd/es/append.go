package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/schema/dynamic"
)

// maxJSON is the most text that an event's data may be given as: base64 and
// escapes are longer than what they stand for.
const maxJSON = 4 * event.MaxRecord

type appendCommand struct {
	placeFlags
	Stream string `arg:"" help:"The stream that the event goes to, like account-42."`
	Type   string `arg:"" help:"The event's type, like bank.account.Credited."`
	Data   string `arg:"" optional:"" default:"-" help:"The event's fields as a JSON object; - or nothing reads them from stdin."`

	Expect   string   `placeholder:"WHAT" help:"What the stream must be: a version, absent, or present."`
	Key      string   `placeholder:"TEXT" help:"The idempotency key: the same append under the same key happens once."`
	Tag      []string `placeholder:"KEY:VALUE" help:"A tag beside those that the schema derives."`
	Metadata []string `name:"meta" placeholder:"KEY=VALUE" help:"Metadata of the event."`
}

// Help is what es append --help says below its first line.
func (*appendCommand) Help() string {
	return `The fields become a FlatBuffer by the current schema of the type, which the
store or the bus has, and a wrong or missing one is an error.

  es append ws://localhost:8080 account-42 bank.account.Credited '{"amount": 100}'
  es append data account-7 bank.account.Opened --expect absent --key open-7 < opened.json

A store in a directory must not be open anywhere else. On stdout is where the
event is: its position, the stream's version, and its id.`
}

func (c *appendCommand) Run(to *console) (err error) {
	conditions, metadata, err := c.parse()
	if err != nil {
		return fmt.Errorf("append: %w", err)
	}
	text, err := c.text(to.stdin)
	if err != nil {
		return fmt.Errorf("append: %w", err)
	}
	place, err := c.open(to.ctx, eventstore.Options{})
	if err != nil {
		return fmt.Errorf("append: %w", err)
	}
	defer func() { err = errors.Join(err, place.log.Close()) }()
	fingerprint, err := place.eventOf(c.Stream, c.Type)
	if err != nil {
		return fmt.Errorf("append: %w", err)
	}
	table, err := dynamic.NewSet(place.schemas).Table(c.Type, fingerprint)
	if err != nil {
		return fmt.Errorf("append: %w", err)
	}
	data, err := table.ParseJSON(text)
	if err != nil {
		return fmt.Errorf("append: %s: %w", c.Type, err)
	}
	receipt, err := place.log.Append(to.ctx, event.Append{
		Stream: c.Stream, Conditions: conditions, Key: c.Key,
		Events: []event.Proposed{{Type: c.Type, Data: data, Schema: fingerprint, Tags: c.Tag, Metadata: metadata}},
	})
	if err != nil {
		return fmt.Errorf("append: %w", err)
	}
	repeated := ""
	if receipt.Repeated {
		repeated = " (repeated: the key was used for this append before)"
	}
	_, err = fmt.Fprintf(to.stdout, "position %d, version %d, id %s%s\n", receipt.Last, receipt.Version, receipt.IDs[0], repeated)
	return err
}

// parse reads the flags that have a form of their own.
func (c *appendCommand) parse() (conditions []event.Condition, metadata []event.Meta, err error) {
	switch c.Expect {
	case "":
	case "absent":
		conditions = []event.Condition{event.StreamAbsent{Stream: c.Stream}}
	case "present":
		conditions = []event.Condition{event.StreamPresent{Stream: c.Stream}}
	default:
		version, err := strconv.ParseUint(c.Expect, 10, 64)
		if err != nil {
			return nil, nil, fmt.Errorf("--expect: %q is neither a version nor absent nor present", c.Expect)
		}
		conditions = []event.Condition{event.StreamAt{Stream: c.Stream, Version: version}}
	}
	for _, pair := range c.Metadata {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, nil, fmt.Errorf("--meta: %q has no =", pair)
		}
		metadata = append(metadata, event.Meta{Key: key, Value: value})
	}
	return conditions, metadata, nil
}

// text is the JSON.
func (c *appendCommand) text(stdin io.Reader) ([]byte, error) {
	from := io.Reader(strings.NewReader(c.Data))
	if c.Data == "-" {
		from = stdin
	}
	text, err := io.ReadAll(io.LimitReader(from, maxJSON+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxJSON:
		return nil, &event.TooLargeError{Bound: "bytes of JSON", Limit: maxJSON, Actual: uint64(len(text))}
	case len(bytes.TrimSpace(text)) == 0:
		return nil, fmt.Errorf("%s: there are no fields: give them as a JSON object behind the type or on stdin, {} for none", c.Type)
	}
	return text, nil
}
