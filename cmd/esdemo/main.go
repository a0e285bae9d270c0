// Command esdemo is a bank on Verbatim: a server with a WAMP bus and metrics,
// and a demo that loads it and checks every promise end to end.
package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/verbatim-es/verbatim/cmd/internal/cli"
)

const description = `A bank on Verbatim, the event-sourcing framework.

"esdemo demo" starts everything on free loopback ports in a temporary
directory, sends commands from several clients over the bus, and checks that
the log, a live subscriber and a replay hold the same bytes and that the views
add up. It ends by itself, with status 1 if anything disagrees.

"esdemo serve" runs the bank until it is interrupted. Any WAMP client can talk
to it: see docs/PROTOCOL.md.`

// commands is the command line: one field a command, one file a command.
type commands struct {
	Demo  demoCmd  `cmd:"" help:"Run the self-contained demo and check what it finds."`
	Serve serveCmd `cmd:"" help:"Serve the bank until SIGINT or SIGTERM."`

	Verbose bool `short:"v" help:"Log debug messages to stderr."`
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
	return cli.Run("esdemo", description, &c, args, stdout, stderr, func(parsed *kong.Context) error {
		return parsed.Run(&console{ctx: ctx, stdout: stdout, stderr: stderr, log: c.logger(stderr)})
	})
}

// console is where a command writes.
type console struct {
	ctx            context.Context
	stdout, stderr io.Writer
	log            *slog.Logger
}

func (c *commands) logger(w io.Writer) *slog.Logger {
	level := slog.LevelInfo
	if c.Verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}
