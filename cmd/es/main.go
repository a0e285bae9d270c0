// Command es is Verbatim's tool. See es --help.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/verbatim-es/verbatim/cmd/internal/cli"
)

// commands is the command line: one field a command, one file a command.
type commands struct {
	Generate generateCommand `cmd:"" help:"Write typed Go for FlatBuffers schemas."`
	Dump     dumpCommand     `cmd:"" help:"Print the events of a store."`
	Stat     statCommand     `cmd:"" help:"Say what is in a store."`
	Verify   verifyCommand   `cmd:"" help:"Find out whether a store is damaged."`
	Load     loadCommand     `cmd:"" help:"Make a store of what es dump --pages wrote."`
	Tail     tailCommand     `cmd:"" help:"Print events as they come."`
	Append   appendCommand   `cmd:"" help:"Append an event, given as JSON."`
	Backup   backupCommand   `cmd:"" help:"Copy a store, which may be in use."`
	Restore  restoreCommand  `cmd:"" help:"Make a store of a backup."`
	Rebuild  rebuildCommand  `cmd:"" help:"Make a store's index again."`
	Views    viewsCommand    `cmd:"" help:"Look after a directory of views."`
	User     userCommand     `cmd:"" help:"Make a line of a bus's file of users."`
	Schema   schemaCommand   `cmd:"" help:"Work with versions of schemas."`

	AbandonJournal abandonJournalCommand `cmd:"" help:"Give up the lost journal of a store."`
}

const description = `Tools for Verbatim event stores and their schemas.

Results go to stdout, everything else to stderr. The exit status is 0 when the
command did what it was asked for, 1 when it could not, 2 when the command line
makes no sense.`

// console is where a command reads and writes.
type console struct {
	ctx            context.Context
	stdin          io.Reader
	stdout, stderr io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// statusError ends the program with a status of its own.
type statusError struct {
	status int
	error
}

// ExitStatus is the program's exit status.
func (e *statusError) ExitStatus() int { return e.status }

func (e *statusError) Unwrap() error { return e.error }

// run executes one command line and returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	var c commands
	return cli.Run("es", description, &c, args, stdout, stderr, func(parsed *kong.Context) error {
		return parsed.Run(&console{ctx: ctx, stdin: stdin, stdout: stdout, stderr: stderr})
	})
}
