package main

import (
	"errors"
	"fmt"

	"github.com/verbatim-es/verbatim/eventstore"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/compat"
)

type schemaRegisterCommand struct {
	placeFlags
	File string `arg:"" help:"The schema, .fbs or .bfbs."`

	Mode   compat.Mode `default:"FULL_TRANSITIVE" placeholder:"MODE" help:"What the schema must keep with the versions that a store in a directory has of it, see es schema check; a bus has a mode of its own. ${default} when not given."`
	Module string      `placeholder:"DIR" default:"." help:"A directory in the module whose go.mod selects the version of flatbuffers."`
}

// Help is what es schema register --help says below its first line.
func (*schemaRegisterCommand) Help() string {
	return `Makes the schema known to a store, and current for the types that it declares.
Go programs do so themselves, when they open the store; this is for programs in
other languages, and for es append. On a bus it takes the role of an admin. A
store in a directory must not be open anywhere else.

A schema that the store knows is left as it is. One that breaks the versions
before it is not registered: each finding is a line on stdout, and the exit
status is 1.`
}

func (c *schemaRegisterCommand) Run(to *console) (err error) {
	compiler := compiler{module: c.Module}
	bfbs, err := compiler.binary(to, c.File)
	if err != nil {
		return fmt.Errorf("schema register: %w", err)
	}
	parsed, err := schema.Parse(bfbs)
	if err != nil {
		return fmt.Errorf("schema register: %w", err)
	}
	place, err := c.open(to.ctx, eventstore.Options{Compatibility: c.Mode})
	if err != nil {
		return fmt.Errorf("schema register: %w", err)
	}
	defer func() { err = errors.Join(err, place.log.Close()) }()
	findings, err := place.log.Register(to.ctx, bfbs)
	for _, f := range findings {
		fmt.Fprintf(to.stdout, "%s: %s: %s: %s (breaks %s)\n", c.File, f.Location, f.Rule, f.Reason, f.Breaks)
	}
	if len(findings) > 0 {
		return fmt.Errorf("schema register: %s was not registered, see stdout: %d findings", c.File, len(findings))
	}
	if err != nil {
		return fmt.Errorf("schema register: %s: %w", c.File, err)
	}
	_, err = fmt.Fprintf(to.stdout, "%s: schema %016x is registered\n", c.File, parsed.Fingerprint)
	return err
}
