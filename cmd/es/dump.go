package main

import (
	"bufio"
	"errors"
	"fmt"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/schema/dynamic"
)

type dumpCommand struct {
	Dir string `arg:"" name:"dir" help:"The store's directory."`

	JSON   bool   `name:"json" xor:"form" help:"One JSON object a line, instead of text for people."`
	Pages  bool   `xor:"form" help:"All schemas and records as they are stored, for es load."`
	After  uint64 `placeholder:"N" help:"Begin behind this position."`
	Limit  int    `placeholder:"N" help:"Print this many events at most."`
	Stream string `placeholder:"NAME" help:"Only the events of this stream."`
	Where  string `placeholder:"EXPR" help:"Only events whose data is as EXPR says."`
}

// Help is what es dump --help says below its first line.
func (*dumpCommand) Help() string {
	return `Data is shown by the schema it was written with, which the store keeps. Nothing
is changed, and a process may have the store open: what it has folded into its
log is printed.

With --pages the whole log goes to stdout, byte for byte, in a form of which es
load makes a store again; the other flags are of no use then.

EXPR compares fields of the data:

  amount > 1000
  owner == "ada" and not (closed or balance < 0)
  lines[].sku == 'x-1' or memo != null

Comparisons are == != < <= > >=; lines[] means every element, lines[0] the
first. Events of types that do not have the fields are left out.`
}

func (c *dumpCommand) Run(to *console) (err error) {
	if c.Limit < 0 {
		return fmt.Errorf("--limit: %d is negative", c.Limit)
	}
	if c.Pages {
		return c.pages(to)
	}
	store, err := eventstore.Open(c.Dir, eventstore.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	tables := dynamic.NewSet(store.Schemas())
	where, err := newDataFilter(c.Where, store.Schemas(), tables)
	if err != nil {
		return err
	}
	return c.print(to, store, tables, where)
}

// pages writes the log for es load.
func (c *dumpCommand) pages(to *console) error {
	if c.After != 0 || c.Limit != 0 || c.Stream != "" || c.Where != "" {
		return errors.New("dump: --pages writes the whole log: leave the other flags away")
	}
	show := newProgress(to.stderr, "events dumped")
	if _, err := eventstore.DumpDir(to.ctx, c.Dir, to.stdout, show.at); err != nil {
		return err
	}
	show.end()
	return nil
}

func (c *dumpCommand) print(to *console, store *eventstore.Store, tables *dynamic.Set, where *dataFilter) (err error) {
	out := bufio.NewWriter(to.stdout)
	defer func() { err = errors.Join(err, out.Flush()) }()
	selection := event.Selection{After: c.After, Stream: c.Stream}
	if where == nil {
		selection.Limit = c.Limit
	}
	shown := newPrinter(out, to.stderr, tables, where, c.JSON)
	for e, err := range store.Read(to.ctx, selection) {
		if err == nil {
			err = shown.print(e)
		}
		if err != nil {
			return err
		}
		if c.Limit > 0 && shown.count == c.Limit {
			return nil
		}
	}
	return nil
}
