package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/projection"
)

type viewsCommand struct {
	List    viewsListCommand    `cmd:"" default:"withargs" help:"List the views: versions, positions, what is parked or skipped. es views DIR does so, too."`
	Compare viewsCompareCommand `cmd:"" help:"Show the rows on which two versions differ."`
	Switch  viewsSwitchCommand  `cmd:"" help:"Let a view be read from another version of it."`
	Drop    viewsDropCommand    `cmd:"" help:"Remove a version that is not read."`
	Rebuild viewsRebuildCommand `cmd:"" help:"Build a view again from the log's beginning."`
	Resume  viewsResumeCommand  `cmd:"" help:"Let a parked view go on with the event that it is parked at."`
	Skip    viewsSkipCommand    `cmd:"" help:"Let a parked view go on behind the event that it is parked at."`
}

// Help is what es views --help says below its first line.
func (*viewsCommand) Help() string {
	return `DIR is the views' directory, of which an engine may be in use meanwhile: list
and compare only read. The others leave a request in it, which the program that
has the views open serves within a second or two; without one, the next program
that opens them does. VIEW is a view's name, which means the version that is
read, or name@version.`
}

// viewsDir is the directory that a command is about.
type viewsDir struct {
	Dir string `arg:"" name:"dir" help:"The views' directory."`
}

func (d *viewsDir) open(use func(*projection.Directory) error) (err error) {
	views, err := projection.OpenDirectory(d.Dir)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("there are no views in %q: give the directory that the program keeps them in%s", d.Dir, d.below())
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, views.Close()) }()
	return use(views)
}

// below names a directory of views in the one that was given, which is then most
// likely the store's.
func (d *viewsDir) below() string {
	entries, _ := os.ReadDir(d.Dir) // not to be read is to have none
	for _, entry := range entries {
		dir := filepath.Join(d.Dir, entry.Name())
		if views, err := projection.OpenDirectory(dir); err == nil {
			_ = views.Close() // it was only looked at
			return fmt.Sprintf(", such as %q", dir)
		}
	}
	return ""
}

// viewsRequest is what the commands that change something have in common.
type viewsRequest struct {
	Wait time.Duration `default:"10s" placeholder:"TIME" help:"How long to wait for an answer; ${default} when not given."`
}

func (r *viewsRequest) ask(to *console, d *viewsDir, what projection.Ask) error {
	return d.open(func(views *projection.Directory) error {
		ctx, cancel := context.WithTimeout(to.ctx, r.Wait)
		defer cancel()
		if err := views.Ask(ctx, what); err != nil {
			return err
		}
		fmt.Fprintf(to.stderr, "es: %s: accepted\n", what.Action)
		return nil
	})
}

// reference takes name@version apart.
func reference(view string) (name, version string) {
	name, version, _ = strings.Cut(view, "@")
	return name, version
}

type viewsListCommand struct{ viewsDir }

func (c *viewsListCommand) Run(to *console) error {
	return c.open(func(views *projection.Directory) error {
		versions, position, head, err := views.List()
		if err != nil {
			return err
		}
		fmt.Fprintf(to.stdout, "position %d of %d\n", position, head)
		table := tabwriter.NewWriter(to.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "VIEW\tVERSION\tREAD\tSTATUS\tPOSITION\tBEHIND\tROWS\tEVENTS/S\tETA")
		for _, v := range versions {
			read := ""
			if v.Serving {
				read = "yes"
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\n", v.View, v.Version, read, v.Status, v.Position, v.Behind, v.Rows, pace(v))
		}
		if err := table.Flush(); err != nil {
			return err
		}
		for _, v := range versions {
			if p := v.Parked; p != nil {
				fmt.Fprintf(to.stdout, "%s@%s is parked at position %d (%s) since %s: %q\n", v.View, v.Version, p.Position, p.Type, p.Time.Format(time.RFC3339), p.Message)
			}
			if !v.StuckSince.IsZero() && v.Status != "rebuilding" { // it is the version's
				fmt.Fprintf(to.stdout, "%s@%s: the handler has not returned from position %d since %s\n", v.View, v.Version, v.StuckAt, v.StuckSince.Format(time.RFC3339))
			}
			for _, s := range v.Skipped {
				fmt.Fprintf(to.stdout, "%s@%s skips position %d (%s) since %s: %q\n", v.View, v.Version, s.Position, s.Type, s.SkippedAt.Format(time.RFC3339), s.Message)
			}
		}
		return nil
	})
}

// pace is how fast a build catches up, and how long that will take, nothing for
// one that stands still or is there.
func pace(v projection.Stored) string {
	if v.ETA == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f\t%v", v.BuildRate, max(v.ETA.Round(time.Second), time.Second))
}

type viewsCompareCommand struct {
	viewsDir
	View  string `arg:"" name:"view" help:"The view's name."`
	A     string `arg:"" name:"a" help:"One version."`
	B     string `arg:"" name:"b" help:"The other one."`
	Limit int    `default:"100" placeholder:"N" help:"Show this many differences at most, 0 for all; ${default} when not given."`
}

func (c *viewsCompareCommand) Run(to *console) error {
	if c.Limit < 0 {
		return fmt.Errorf("--limit: %d is negative", c.Limit)
	}
	return c.open(func(views *projection.Directory) error {
		n := 0
		for d, err := range views.Compare(to.ctx, c.View, c.A, c.B) {
			if errors.As(err, new(*event.UnknownError)) {
				return fmt.Errorf("%w: es views %s lists those there are", err, c.Dir)
			}
			if err != nil {
				return err
			}
			if n++; c.Limit > 0 && n > c.Limit {
				fmt.Fprintf(to.stderr, "es: there are more than %d differences\n", c.Limit)
				return nil
			}
			switch {
			case d.B == nil:
				fmt.Fprintf(to.stdout, "%v only in %s\n", d.Key, c.A)
			case d.A == nil:
				fmt.Fprintf(to.stdout, "%v only in %s\n", d.Key, c.B)
			default:
				fmt.Fprintf(to.stdout, "%v differs in %s\n", d.Key, strings.Join(d.Fields, ", "))
			}
		}
		if n == 0 {
			fmt.Fprintln(to.stderr, "es: no difference")
		}
		return nil
	})
}

type viewsSwitchCommand struct {
	viewsDir
	View    string `arg:"" name:"view" help:"The view's name."`
	Version string `arg:"" name:"version" help:"The version to read it from."`
	viewsRequest
}

func (c *viewsSwitchCommand) Run(to *console) error {
	return c.ask(to, &c.viewsDir, projection.Ask{Action: "switch", View: c.View, Version: c.Version})
}

type viewsDropCommand struct {
	viewsDir
	View    string `arg:"" name:"view" help:"The view's name."`
	Version string `arg:"" name:"version" help:"The version to remove."`
	viewsRequest
}

func (c *viewsDropCommand) Run(to *console) error {
	return c.ask(to, &c.viewsDir, projection.Ask{Action: "drop", View: c.View, Version: c.Version})
}

type viewsRebuildCommand struct {
	viewsDir
	View string `arg:"" name:"view" help:"The view, or view@version."`
	viewsRequest
}

func (c *viewsRebuildCommand) Run(to *console) error {
	name, version := reference(c.View)
	return c.ask(to, &c.viewsDir, projection.Ask{Action: "rebuild", View: name, Version: version})
}

type viewsResumeCommand struct {
	viewsDir
	View string `arg:"" name:"view" help:"The view, or view@version."`
	viewsRequest
}

func (c *viewsResumeCommand) Run(to *console) error {
	name, version := reference(c.View)
	return c.ask(to, &c.viewsDir, projection.Ask{Action: "resume", View: name, Version: version})
}

type viewsSkipCommand struct {
	viewsDir
	View     string `arg:"" name:"view" help:"The view, or view@version."`
	Position uint64 `arg:"" name:"position" help:"Of the event that it is parked at, as es views list has it."`
	viewsRequest
}

func (c *viewsSkipCommand) Run(to *console) error {
	name, version := reference(c.View)
	return c.ask(to, &c.viewsDir, projection.Ask{Action: "skip", View: name, Version: version, Position: c.Position})
}
