package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/verbatim-es/verbatim/eventstore"
)

type loadCommand struct {
	Dir  string `arg:"" name:"dir" help:"The new store's directory, which must not exist."`
	File string `arg:"" optional:"" name:"file" help:"What es dump --pages wrote; stdin when not given."`

	KeepStore bool `help:"Keep the store's id: for moving a store that is not used any more."`

	MaxSchemas     int `placeholder:"N" help:"Load this many schemas at most; 1000 when not given."`
	MaxSchemaBytes int `placeholder:"N" help:"Load this many bytes of schemas at most; 64 MiB when not given."`
}

// Help is what es load --help says below its first line.
func (*loadCommand) Help() string {
	return `Every record has the bytes, the id and the position that it had. All of it is
verified first: checksums, order, whole appends, data by its schema, tags. The
store has a new id unless --keep-store is given, so that whoever followed the old
one begins anew. DIR gets its name when everything is loaded and durable.

  es dump --pages old | es load new`
}

// swapped says so when the dump was given where the directory belongs.
func (c *loadCommand) swapped() string {
	if info, err := os.Stat(c.Dir); err == nil && info.Mode().IsRegular() {
		return fmt.Sprintf(": %q is a file, and the new directory comes first: es load %s %s", c.Dir, c.File, c.Dir)
	}
	return ""
}

func (c *loadCommand) Run(to *console) error {
	if c.MaxSchemas < 0 || c.MaxSchemaBytes < 0 {
		return errors.New("load: --max-schemas and --max-schema-bytes must not be negative")
	}
	from := to.stdin
	if c.File != "" {
		file, err := os.Open(c.File)
		if err != nil {
			return fmt.Errorf("load: %w%s", err, c.swapped())
		}
		defer file.Close()
		from = file
	}
	show := newProgress(to.stderr, "events loaded")
	head, err := eventstore.Load(to.ctx, from, c.Dir, eventstore.LoadOptions{
		KeepStore: c.KeepStore, MaxSchemas: c.MaxSchemas, MaxSchemaBytes: c.MaxSchemaBytes, Progress: show.at,
	})
	if err != nil {
		return err
	}
	show.end()
	if err := eventstore.RebuildIndex(c.Dir, eventstore.Options{Logger: logger(to.stderr)}); err != nil {
		return fmt.Errorf("everything is loaded, but not the index made: %w", err)
	}
	_, err = fmt.Fprintf(to.stdout, "store %s up to position %d in %s\n", head.Store, head.Position, c.Dir)
	return err
}
