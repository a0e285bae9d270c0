package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/verbatim-es/verbatim/schema/codegen"
	"github.com/verbatim-es/verbatim/schema/flatc"
)

type generateCommand struct {
	Schemas []string `arg:"" name:"schema.fbs" help:"FlatBuffers schemas, one namespace each."`

	Out    string `short:"o" placeholder:"DIR" help:"Write the packages below DIR instead of beside each schema."`
	Check  bool   `help:"Write nothing; fail when generated code is not up to date."`
	Quiet  bool   `short:"q" help:"Do not name the files that are written."`
	Module string `placeholder:"DIR" default:"." help:"A directory in the module whose go.mod selects the version of flatbuffers."`
}

// Help is what es generate --help says below its first line.
func (*generateCommand) Help() string {
	return `For a schema of namespace bank.account this writes, beside the schema:

  account/account.es.go              events, commands, state, decider, handler
  account/account.bfbs               the binary schema that the above embeds
  account/accountview/…view.es.go    view rows, projectors, lookups (needs cgo)
  account/internal/fb/fb.go          flatc's own output

Commit all of it. Programs that use it need neither es nor flatc.

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
	compiler, err := flatc.Find(to.ctx, flatc.Options{Dir: c.Module, Progress: to.stderr})
	if err != nil {
		return err
	}
	files, err := codegen.Generate(to.ctx, compiler, codegen.Options{Out: c.Out, Warn: to.stderr}, c.Schemas...)
	if err != nil {
		return fmt.Errorf("generate:\n%w", err)
	}
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
