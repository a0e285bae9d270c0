// Command esdemo is a bank on Verbatim: a server with a WAMP bus and metrics,
// and a demo that loads it and checks every promise end to end.
package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

const description = `A bank on Verbatim, the event-sourcing framework.

"esdemo demo" starts everything on free loopback ports in a temporary
directory, sends commands from several clients over the bus, and checks that
the log, a live subscriber and a replay hold the same bytes and that the views
add up. It ends by itself, with status 1 if anything disagrees.

"esdemo serve" runs the bank until it is interrupted. Any WAMP client can talk
to it: see docs/PROTOCOL.md.`

type cli struct {
	Demo  demoCmd  `cmd:"" help:"Run the self-contained demo and check what it finds."`
	Serve serveCmd `cmd:"" help:"Serve the bank until SIGINT or SIGTERM."`

	Verbose bool `short:"v" help:"Log debug messages to stderr."`
}

func main() {
	var c cli
	app := kong.Parse(&c, kong.Name("esdemo"), kong.Description(description), kong.UsageOnError())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	app.BindTo(ctx, (*context.Context)(nil))
	app.FatalIfErrorf(app.Run(c.logger()))
}

func (c *cli) logger() *slog.Logger {
	level := slog.LevelInfo
	if c.Verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}
