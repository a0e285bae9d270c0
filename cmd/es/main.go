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
	Schema   schemaCommand   `cmd:"" help:"Work with versions of schemas."`
}

const description = `Tools for Verbatim event stores and their schemas.

Results go to stdout, everything else to stderr. The exit status is 0 when the
command did what it was asked for, 1 when it could not, 2 when the command line
makes no sense.`

// console is where a command reads and writes.
type console struct {
	ctx            context.Context
	stdout, stderr io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run executes one command line and returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var c commands
	return cli.Run("es", description, &c, args, stdout, stderr, func(parsed *kong.Context) error {
		return parsed.Run(&console{ctx: ctx, stdout: stdout, stderr: stderr})
	})
}
