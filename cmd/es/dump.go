package main

import (
	"bufio"
	"errors"
	"fmt"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/schema"
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
	show := tables.AppendRecordTree
	if c.JSON {
		show = tables.AppendRecordJSON
	}
	var text []byte
	printed := 0
	for e, err := range store.Read(to.ctx, selection) {
		if err != nil {
			return err
		}
		if matches, err := where.match(e); err != nil {
			fmt.Fprintf(to.stderr, "es: position %d is left out, as --where can't be asked: %v\n", e.Position(), err)
			continue
		} else if !matches {
			continue
		}
		if text, err = show(text[:0], e.Record()); err != nil {
			return fmt.Errorf("position %d: %w", e.Position(), err)
		}
		if c.JSON {
			text = append(text, '\n')
		} else if printed > 0 {
			text = append([]byte{'\n'}, text...)
		}
		if _, err := out.Write(text); err != nil {
			return err
		}
		if printed++; printed == c.Limit {
			return nil
		}
	}
	return nil
}

// dataFilter is an expression over events of any type. The nil one matches all.
type dataFilter struct {
	expression *dynamic.Expression
	tables     *dynamic.Set
	compiled   map[typeVersion]*dynamic.Filter // nil where the type has not the fields
}

// typeVersion is a type as one schema declares it.
type typeVersion struct {
	name        string
	fingerprint uint64
}

// unfitError is an expression that makes sense for no event type of any schema
// there is.
type unfitError struct{ reasons []error }

func (e *unfitError) Error() string {
	return fmt.Sprintf("--where fits no event type of this store:\n%v", errors.Join(e.reasons...))
}

// newDataFilter returns an *unfitError together with the filter, which is good
// for schemas to come.
func newDataFilter(text string, schemas *schema.Set, tables *dynamic.Set) (*dataFilter, error) {
	if text == "" {
		return nil, nil
	}
	expression, err := dynamic.ParseFilter(text)
	if err != nil {
		return nil, fmt.Errorf("--where: %w", err)
	}
	f := &dataFilter{expression: expression, tables: tables, compiled: make(map[typeVersion]*dynamic.Filter)}
	fits := false
	var reasons []error
	for _, s := range schemas.Schemas() {
		for _, t := range s.Tables {
			if t.Role != schema.RoleEvent {
				continue
			}
			if _, err := f.compile(typeVersion{t.Name, s.Fingerprint}); err != nil {
				reasons = append(reasons, err)
			} else {
				fits = true
			}
		}
	}
	if len(reasons) > 0 && !fits {
		return f, &unfitError{reasons}
	}
	return f, nil
}

// compile returns the filter of a type, nil with an error where the type has not
// the fields. Where its schema is of no use nothing is kept, and match says so.
func (f *dataFilter) compile(version typeVersion) (*dynamic.Filter, error) {
	table, err := f.tables.Table(version.name, version.fingerprint)
	if err != nil {
		return nil, err
	}
	filter, err := f.expression.Compile(table)
	f.compiled[version] = filter
	return filter, err
}

func (f *dataFilter) match(e event.Event) (bool, error) {
	if f == nil {
		return true, nil
	}
	version := typeVersion{e.Type(), e.Schema()}
	filter, known := f.compiled[version]
	if !known { // a schema that came later
		var err error
		filter, err = f.compile(version)
		if _, known = f.compiled[version]; !known {
			return false, err
		}
	}
	if filter == nil {
		return false, nil
	}
	return filter.Match(e.Data())
}
