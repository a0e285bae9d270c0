package main

import (
	"errors"
	"fmt"

	"github.com/verbatim-es/verbatim/eventstore"
)

type backupCommand struct {
	Dir string `arg:"" name:"dir" help:"The store's directory."`
	Out string `arg:"" name:"out" help:"The backup's directory, which must not exist."`
}

// Help is what es backup --help says below its first line.
func (*backupCommand) Help() string {
	return `Copies log and index, whether a process has the store open or not, as of one
moment and without free space. What a writer has only in its journal at that
moment is not in the backup; the position that the backup reaches is on stdout.
OUT gets its name when the backup is whole and durable.`
}

func (c *backupCommand) Run(to *console) error {
	show := newProgress(to.stderr, "bytes copied")
	b, err := eventstore.BackupDir(to.ctx, c.Dir, c.Out, show.bytes)
	if err != nil {
		return err
	}
	show.end()
	if b.JournalPosition > b.Position {
		fmt.Fprintf(to.stderr, "es: the journal of the store had events up to position %d, which are not in the backup: after a crash, open the store to have them taken up\n", b.JournalPosition)
	}
	_, err = fmt.Fprintf(to.stdout, "backup of store %s up to position %d in %s\n", b.Store, b.Position, c.Out)
	return err
}

type restoreCommand struct {
	Backup string `arg:"" name:"backup" help:"A backup's directory."`
	Dir    string `arg:"" name:"dir" help:"The new store's directory, which must not exist."`
}

// Help is what es restore --help says below its first line.
func (*restoreCommand) Help() string {
	return `Everything is as it was but for the store's id, which is new: whoever followed
the old store, views for example, begins anew. The backup's files are compared
with the sums that were taken when it was made.`
}

func (c *restoreCommand) Run(to *console) error {
	show := newProgress(to.stderr, "bytes copied")
	head, err := eventstore.Restore(to.ctx, c.Backup, c.Dir, show.bytes)
	if err != nil {
		return err
	}
	show.end()
	_, err = fmt.Fprintf(to.stdout, "store %s up to position %d in %s\n", head.Store, head.Position, c.Dir)
	return err
}

type rebuildCommand struct {
	Dir  string `arg:"" name:"dir" help:"The store's directory. No process may have it open to write."`
	What string `arg:"" optional:"" default:"index" name:"what" enum:"index" help:"What to make again from the log: index, the only thing so far."`
}

func (c *rebuildCommand) Run(to *console) error {
	if err := eventstore.RebuildIndex(c.Dir, eventstore.Options{Logger: logger(to.stderr)}); err != nil {
		return err
	}
	d, err := eventstore.Describe(c.Dir)
	if err == nil && d.Index == nil {
		err = errors.New("rebuild: the index is not there")
	}
	if err == nil {
		_, err = fmt.Fprintf(to.stdout, "the index has position %d, and %d bytes\n", d.Index.Position, d.Index.Bytes)
	}
	return err
}

type abandonJournalCommand struct {
	Dir string `arg:"" name:"dir" help:"The store's directory."`
}

// Help is what es abandon-journal --help says below its first line.
func (*abandonJournalCommand) Help() string {
	return `The last resort for a store that was not closed and has lost its journal: events
that were acknowledged in the last moments before the crash are given up, and
the store goes on behind what its log has.`
}

func (c *abandonJournalCommand) Run(to *console) error {
	if err := eventstore.AbandonJournal(c.Dir); err != nil {
		return err
	}
	d, err := eventstore.Describe(c.Dir)
	if err == nil {
		_, err = fmt.Fprintf(to.stdout, "the store goes on behind position %d\n", d.Events)
	}
	return err
}
