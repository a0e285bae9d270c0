package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/verbatim-es/verbatim/examples/bank/account"
	"github.com/verbatim-es/verbatim/wampbus/client"
)

type demoCmd struct {
	Commands int    `default:"12000" help:"How many commands to send, over all clients. (default: ${default})"`
	Clients  int    `default:"16" help:"How many clients send them, each on a connection of its own. (default: ${default})"`
	Seed     uint64 `default:"1" help:"What the clients make up follows from it. (default: ${default})"`
}

// Validate reports numbers that make no demo; kong calls it.
func (c *demoCmd) Validate() error {
	switch {
	case c.Clients < 1 || c.Clients > 500:
		return fmt.Errorf("--clients: %d is not between 1 and 500", c.Clients)
	case c.Commands < c.Clients:
		return fmt.Errorf("--commands: %d commands are too few for %d clients", c.Commands, c.Clients)
	}
	return nil
}

var errDisagreement = errors.New("what should be equal is not: see above")

// Run runs the demo and prints what it found to stdout.
func (c *demoCmd) Run(at *console) error {
	dir, err := os.MkdirTemp("", "esdemo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	d := demo{demoCmd: *c, dir: dir, progress: at.stderr, log: at.log}
	found, err := d.run(at.ctx)
	if err != nil {
		return err
	}
	if err := found.print(at.stdout); err != nil {
		return err
	}
	if len(found.disagreements) > 0 {
		return errDisagreement
	}
	return nil
}

// demo is one run.
type demo struct {
	demoCmd
	dir      string // for everything it makes
	progress io.Writer
	log      *slog.Logger
	tamper   tamper

	url  string
	done atomic.Int64 // commands answered
	report
}

// tamper lets a test change what one leg of the comparison sees, to show that
// the comparison notices. nil changes nothing.
type tamper struct {
	stored, live, replayed func(record []byte) []byte
	fold                   func(fold)
	rebuilt                func(*projectionDigest)
	predicted              func(outcome) outcome
	inflow                 func(int64) int64
	seats                  func(int) int
}

// run plays the whole demo on a server of its own. The report is complete when
// the error is nil, with whatever disagreed in it.
func (d *demo) run(ctx context.Context) (*report, error) {
	s, err := openServer(filepath.Join(d.dir, "data"), doors{WS: "127.0.0.1:0", HTTP: "127.0.0.1:0"}, d.log)
	if err != nil {
		return nil, err
	}
	d.url = s.wsURL()
	ctx, stop := context.WithCancel(ctx)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.serve(ctx) })
	group.Go(func() error {
		defer stop()
		return d.play(ctx, s)
	})
	if err := errors.Join(group.Wait(), s.Close()); err != nil {
		return nil, err
	}
	d.step("hashing the log, straight from LMDB")
	if err := d.hashStored(); err != nil {
		return nil, err
	}
	d.compareHashes()
	return &d.report, nil
}

// play is everything that needs the server.
func (d *demo) play(ctx context.Context, s *server) error {
	live, err := d.subscribe(ctx)
	if err != nil {
		return fmt.Errorf("live subscriber: %w", err)
	}
	defer live.close()

	d.step("sending %d commands from %d clients over the bus", d.Commands, d.Clients)
	start := time.Now()
	inflow, err := d.load(ctx)
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	d.Seconds = time.Since(start).Seconds()
	d.step("letting %d students race for %d seats", students, seats)
	if err := d.enrol(ctx); err != nil {
		return fmt.Errorf("courses: %w", err)
	}

	c, err := dial(ctx, d.url)
	if err != nil {
		return err
	}
	defer c.Close()
	head, err := c.Head(ctx)
	if err != nil {
		return err
	}
	d.Events = head.Position

	d.step("waiting for the live subscriber to reach position %d", d.Events)
	if err := live.finish(ctx, c, d.Events); err != nil {
		return fmt.Errorf("live subscriber: %w", err)
	}
	d.LiveSHA256, d.LiveDelivered, d.Repaired = live.hash.String(), live.delivered, live.repaired

	d.step("replaying %d events with es.read", d.Events)
	folded, err := d.replay(ctx)
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	d.step("comparing the view with a rebuild and with the replay's fold")
	if err := d.compareViews(ctx, s, c, folded); err != nil {
		return fmt.Errorf("views: %w", err)
	}
	d.compareSum(folded, inflow)

	d.step("scraping %s", s.metricsURL())
	return d.scrape(ctx, s.metricsURL())
}

// load opens the house and lets every client play. It returns the money that
// came in, less what left.
func (d *demo) load(ctx context.Context) (inflow int64, err error) {
	if err := d.openHouse(ctx); err != nil {
		return 0, err
	}
	counts := make(chan tally, d.Clients)
	group, ctx := errgroup.WithContext(ctx)
	for i := range d.Clients {
		share := d.Commands / d.Clients
		if i < d.Commands%d.Clients {
			share++
		}
		group.Go(func() error {
			t, err := d.playClient(ctx, newPlayer(i, 8, d.Seed), share)
			counts <- t
			return err
		})
	}
	err = group.Wait()
	close(counts)
	d.commands = 1
	for t := range counts {
		d.commands += t.commands
		d.Refused += t.refused
		inflow += t.inflow
		d.disagreements = append(d.disagreements, t.surprises...)
	}
	return inflow, err
}

func (d *demo) openHouse(ctx context.Context) error {
	c, err := dial(ctx, d.url)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Command(ctx, "account", house, "open", account.NewOpen("the bank"), client.CommandOptions{})
	return err
}

func (d *demo) step(format string, args ...any) {
	fmt.Fprintf(d.progress, "· "+format+"\n", args...)
}
