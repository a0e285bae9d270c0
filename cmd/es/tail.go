package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/schema/dynamic"
)

type tailCommand struct {
	placeFlags

	JSON  bool    `name:"json" xor:"form" help:"One JSON object a line, instead of text for people."`
	Tree  bool    `xor:"form" help:"Text for people, which is what there is when nothing is said."`
	After *uint64 `placeholder:"N" help:"Begin behind this position, 0 for all that there is, instead of with what comes next."`
	Limit *int    `placeholder:"N" help:"End after this many events."`

	Stream   string   `placeholder:"NAME" help:"Only the events of this stream."`
	Category string   `placeholder:"NAME" help:"Only those of the streams of this category."`
	Type     []string `placeholder:"NAME" help:"Only those of these types; bank.account. means all that begin with it."`
	Tag      []string `placeholder:"KEY:VALUE" help:"Only those that carry all of these tags."`
	Where    string   `placeholder:"EXPR" help:"Only those whose data is as EXPR says."`
}

// Help is what es tail --help says below its first line.
func (*tailCommand) Help() string {
	return `Prints events as they become durable, until it is interrupted. A directory is
opened for reading only, beside the process that writes to it: its events come
when they are folded into the log, a fraction of a second later. A bus sends
them at once.

  es tail data --after 0 --stream account-42
  es tail ws://localhost:8080 --type bank.account.Credited --where 'amount > 1000'

EXPR is as for es dump. Data whose schema the bus does not give is shown as
bytes, and left out where there is EXPR; stderr says why.`
}

// Validate refuses a limit that there can't be.
func (c *tailCommand) Validate() error {
	if c.Limit != nil && *c.Limit < 1 {
		return fmt.Errorf("--limit: %d is not a number of events: leave it away to follow for ever", *c.Limit)
	}
	return nil
}

func (c *tailCommand) Run(to *console) (err error) {
	place, err := c.open(to.ctx, eventstore.Options{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("tail: %w", err)
	}
	defer func() { err = errors.Join(err, place.log.Close()) }()
	tables := dynamic.NewSet(place.schemas)
	where, err := newDataFilter(c.Where, place.schemas, tables)
	if unfit := (*unfitError)(nil); errors.As(err, &unfit) && place.bus != nil {
		// A bus lists what is current. Older events may have the fields.
		fmt.Fprintf(to.stderr, "es: %v\nwhat older versions wrote, and types to come, are still asked\n", err)
	} else if err != nil {
		return err
	}
	selection, narrow, err := c.selection(to.ctx, place)
	if err == nil {
		err = c.follow(to, place, selection, narrow, tables, where)
	}
	if errors.Is(err, context.Canceled) && to.ctx.Err() != nil {
		return nil // this is how it ends
	}
	if err != nil {
		return fmt.Errorf("tail: %w", err)
	}
	return nil
}

// selection is what the flags say. A log selects by streams or by a query: given
// both, narrow is the query, which the events of the streams are held against.
func (c *tailCommand) selection(ctx context.Context, p *place) (s event.Selection, narrow event.Query, err error) {
	s = event.Selection{Stream: c.Stream, Category: c.Category}
	query := event.Query{{Types: c.Type, Tags: c.Tag}}
	switch both := len(c.Type) > 0 && len(c.Tag) > 0; {
	case !s.Unfiltered() && len(c.Type)+len(c.Tag) > 0:
		narrow = query
		err = (&event.Selection{Query: query}).Validate()
	case both:
		s.Query = query
	default:
		s.Types, s.Tags = c.Type, c.Tag
	}
	if err != nil {
		return s, nil, err
	}
	if c.After != nil {
		s.After = *c.After
		return s, narrow, nil
	}
	head, err := p.log.Head(ctx)
	s.After = head.Position
	return s, narrow, err
}

func (c *tailCommand) follow(to *console, p *place, s event.Selection, narrow event.Query, tables *dynamic.Set, where *dataFilter) (err error) {
	out := bufio.NewWriter(to.stdout)
	defer func() { err = errors.Join(err, out.Flush()) }()
	caughtUp := func(uint64) { _ = out.Flush() } // the next one says what is wrong
	shown := newPrinter(out, to.stderr, tables, where, c.JSON)
	for e, err := range p.log.Subscribe(to.ctx, s, event.SubscribeOptions{CaughtUp: caughtUp}) {
		if err != nil {
			return err
		}
		if len(narrow) > 0 && !narrow.Matches(e) {
			continue
		}
		if err := p.learn(to.ctx, e.Schema()); to.ctx.Err() != nil {
			return to.ctx.Err()
		} else if err != nil {
			fmt.Fprintf(to.stderr, "es: position %d: %v\n", e.Position(), err)
		}
		if err := shown.print(e); err != nil {
			return err
		}
		if c.Limit != nil && shown.count == *c.Limit {
			return nil
		}
		if e.Live {
			if err := out.Flush(); err != nil {
				return err
			}
		}
	}
	return nil
}
