package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/verbatim-es/verbatim/eventstore"
)

type statCommand struct {
	Dir  string `arg:"" name:"dir" help:"The store's directory, or a backup's."`
	JSON bool   `name:"json" help:"One JSON object."`
}

// Help is what es stat --help says below its first line.
func (*statCommand) Help() string {
	return `Position, ids, sizes and schemas, whether a process has the store open or not.
Nothing is changed, and nothing verified: that is what es verify is for.`
}

func (c *statCommand) Run(to *console) error {
	d, err := eventstore.Describe(c.Dir)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(to.stdout).Encode(d)
	}
	return printDescription(to.stdout, d)
}

func printDescription(to io.Writer, d eventstore.Description) error {
	out := tabwriter.NewWriter(to, 0, 8, 2, ' ', 0)
	fmt.Fprintf(out, "store\t%s\n", d.Store)
	fmt.Fprintf(out, "events\t%d\n", d.Events)
	for _, end := range []struct {
		name string
		mark *eventstore.Mark
	}{{"first", d.First}, {"last", d.Last}} {
		if end.mark != nil {
			fmt.Fprintf(out, "%s\tposition %d\t%s\t%s\n", end.name, end.mark.Position, end.mark.ID, end.mark.Time.Format(time.RFC3339Nano))
		}
	}
	fmt.Fprintf(out, "log\tposition %d\t%d bytes\n", d.Log.Position, d.Log.Bytes)
	if d.Index == nil {
		fmt.Fprintf(out, "index\tnone that can be used\n")
	} else {
		fmt.Fprintf(out, "index\tposition %d\t%d bytes\n", d.Index.Position, d.Index.Bytes)
	}
	switch journal := d.Journal; {
	case journal.Position > 0:
		fmt.Fprintf(out, "journal\tup to position %d\t%d bytes in %d segments\n", journal.Position, journal.Bytes, d.Segments)
	case d.Closed:
		fmt.Fprintf(out, "journal\tempty, the store was closed\t%d bytes in %d segments\n", journal.Bytes, d.Segments)
	case d.Segments == 0:
		fmt.Fprintf(out, "journal\tthere must be one, and it can't be read: es verify tells\n")
	default:
		fmt.Fprintf(out, "journal\tnothing that the log has not\t%d bytes in %d segments\n", journal.Bytes, d.Segments)
	}
	for _, s := range d.Schemas {
		fmt.Fprintf(out, "schema\t%s\t%s, %d bytes, events: %d\n", s.Fingerprint, s.File, s.Bytes, len(s.Events))
	}
	return out.Flush()
}
