package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/verbatim-es/verbatim/schema/codegen"
	"github.com/verbatim-es/verbatim/schema/compat"
	"github.com/verbatim-es/verbatim/schema/flatc"
)

type generateCommand struct {
	Schemas []string `arg:"" name:"schema.fbs" help:"FlatBuffers schemas, one namespace each."`

	Out    string      `short:"o" placeholder:"DIR" help:"Write the packages below DIR instead of beside each schema."`
	Lang   []string    `default:"go" placeholder:"LANG" help:"Languages, separated by commas: go, and what flatc writes for clients: cpp, csharp, dart, java, kotlin, lua, php, python, rust, swift, ts."`
	Compat compat.Mode `default:"FULL_TRANSITIVE" placeholder:"MODE" help:"What the schemas must keep towards the committed binary schemas: NONE, BACKWARD, FORWARD, FULL, or one of the last three with _TRANSITIVE; ${default} when not given."`
	Force  bool        `help:"Write code that breaks what is stored and what runs, see --compat."`
	Check  bool        `help:"Write nothing; fail when generated code or the history is not up to date, or the schemas break it."`
	Quiet  bool        `short:"q" help:"Do not name the files that are written."`
	Module string      `placeholder:"DIR" default:"." help:"A directory in the module whose go.mod selects the version of flatbuffers."`
}

// Help is what es generate --help says below its first line.
func (*generateCommand) Help() string {
	return `For a schema of namespace bank.account this writes, beside the schema:

  account/account.es.go              events, commands, state, decider, handler
  account/account.bfbs               the binary schema that the above embeds
  account/accountview/…view.es.go    view rows, projectors, lookups (needs cgo)
  account/internal/fb/fb.go          flatc's own output
  account/history/…bfbs              account.bfbs, and the versions it has replaced
  account/history/VERSIONS           the list of these, so that none gets lost

Commit all of it. Programs that use it need neither es nor flatc.

Before anything is written, the new binary schema is compared with the committed
one and with all that came before it, which history keeps: events are read for
ever, so a change that breaks them is refused, with the line it is on. Views are
free to change when their version does. What --force breaks with is taken out of
the history; --compat NONE begins it anew, and reads nothing of it. --check
compares, too, so that it finds two branches that were merged and don't agree.

With --lang go,ts,python it also writes ts/… and python/…: flatc's own code for
those languages, es.fbs included, for clients. That needs a flatc of its own,
built once, which takes a few seconds more for each language.

Schemas include "es.fbs", which comes with es, and mark their tables:

  table Account (aggregate: "account") { owner:string (id: 0); }
  table Opened  (event)                { owner:string (id: 0, required, tag: "owner"); }
  table Open    (command)              { owner:string (id: 0, required); }
  table Balance (view: "balances", version: "1") {
    account:string (id: 0, required, pk);  owner:string (id: 1, required, index); }

The first run builds flatc, which takes about 20 seconds and a C++ compiler
($CXX, c++, g++ or clang++), from the sources of the github.com/google/flatbuffers
module that go.mod selects, and keeps it in the user's cache directory.

To have go generate do it, get es as a tool of your module, once:

  go get -tool github.com/verbatim-es/verbatim/cmd/es

and put this into a Go file beside the schema:

  //go:generate go tool es generate bank.fbs`
}

func (c *generateCommand) Run(to *console) error {
	others := slices.DeleteFunc(slices.Clone(c.Lang), func(l string) bool { return l == "go" })
	compiler, err := flatc.Find(to.ctx, flatc.Options{Dir: c.Module, Languages: others, Progress: to.stderr})
	if err != nil {
		return err
	}
	files, err := c.generate(to, compiler, others)
	if err != nil {
		return fmt.Errorf("generate:\n%w", err)
	}
	if err := c.compare(to, files); err != nil {
		return err
	}
	retired, err := codegen.Retire(to.ctx, c.Compat, files)
	if err != nil {
		return fmt.Errorf("generate: %w", err)
	}
	files = append(files, retired...)
	if c.Check {
		return c.check(to, files)
	}
	changed, err := codegen.Write(files)
	if err != nil {
		return err
	}
	if !c.Quiet {
		for _, f := range changed {
			fmt.Fprintln(to.stdout, filepath.ToSlash(f.Path))
		}
	}
	return nil
}

// generate returns the files of all languages.
func (c *generateCommand) generate(to *console, compiler *flatc.Compiler, others []string) ([]codegen.File, error) {
	o := codegen.Options{Out: c.Out, Warn: to.stderr}
	var files []codegen.File
	if len(others) < len(c.Lang) {
		typed, err := codegen.Generate(to.ctx, compiler, o, c.Schemas...)
		if err != nil {
			return nil, err
		}
		files, o.Warn = typed, nil
	}
	clients, err := codegen.GenerateClients(to.ctx, compiler, o, slices.Compact(slices.Sorted(slices.Values(others))), c.Schemas...)
	return append(files, clients...), err
}

// compare reports what the schemas break, which ends the command unless it was
// told to go on.
func (c *generateCommand) compare(to *console, files []codegen.File) error {
	broken, err := codegen.Breaking(to.ctx, c.Compat, files)
	if err != nil {
		return fmt.Errorf("generate: %w (--compat NONE compares nothing, and begins the history anew)", err)
	}
	switch {
	case len(broken) == 0:
		return nil
	case c.Force:
		fmt.Fprintf(to.stderr, "WARNING: --force: stored events, or programs that run, will not agree with this code (mode %s):\n%v\n", c.Compat, broken)
		return nil
	}
	return fmt.Errorf("generate: nothing was written, since this breaks mode %s:\n%w\n(--force writes it nevertheless)", c.Compat, broken)
}

func (c *generateCommand) check(to *console, files []codegen.File) error {
	changed, err := codegen.Changed(files)
	if err != nil || len(changed) == 0 {
		return err
	}
	for _, f := range changed {
		fmt.Fprintln(to.stdout, filepath.ToSlash(f.Path))
	}
	return errors.New("--check: these files are not what the schemas say: run es generate without --check")
}
