package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/codegen"
	"github.com/verbatim-es/verbatim/schema/compat"
	"github.com/verbatim-es/verbatim/schema/flatc"
	"github.com/verbatim-es/verbatim/schema/verify"
)

type schemaCommand struct {
	Check    schemaCheckCommand    `cmd:"" help:"Find what a new version of a schema breaks."`
	Register schemaRegisterCommand `cmd:"" help:"Make a schema known to a store."`
}

type schemaCheckCommand struct {
	Versions []string `arg:"" name:"version" help:"Versions of one schema, .fbs or .bfbs, the oldest first, the new one last."`

	Mode   compat.Mode `default:"FULL_TRANSITIVE" placeholder:"MODE" help:"NONE, BACKWARD (new code reads old data), FORWARD (old code reads new data), FULL (both), or one of the last three with _TRANSITIVE (all old versions, not the last one only); ${default} when not given."`
	Module string      `placeholder:"DIR" default:"." help:"A directory in the module whose go.mod selects the version of flatbuffers."`
}

// Help is what es schema check --help says below its first line.
func (*schemaCheckCommand) Help() string {
	return `Each finding is a line on stdout, and the exit status is then 1:

  bank.fbs: bank.account.Opened.owner: field-retyped: was string, is int: … (breaks backward,forward; against v1.bfbs)

es generate writes the .bfbs beside the Go it generates: keep those of released
versions to check against.`
}

// Validate refuses a command line without an old version.
func (c *schemaCheckCommand) Validate() error {
	if len(c.Versions) == 1 {
		return errors.New("<version> ...: give at least one old version, and the new one last")
	}
	return nil
}

func (c *schemaCheckCommand) Run(to *console) error {
	compiler := compiler{module: c.Module}
	var versions [][]byte
	for _, path := range c.Versions {
		bfbs, err := compiler.binary(to, path)
		if err != nil {
			return fmt.Errorf("schema check: %w", err)
		}
		versions = append(versions, bfbs)
	}
	last := len(versions) - 1
	findings, err := compat.CheckHistory(versions[:last], versions[last], c.Mode)
	if err != nil {
		return fmt.Errorf("schema check: %w", err)
	}
	for _, f := range findings {
		fmt.Fprintf(to.stdout, "%s: %s: %s: %s (breaks %s; against %s)\n",
			c.Versions[last], f.Location, f.Rule, f.Reason, f.Breaks, c.Versions[f.Against])
	}
	if len(findings) > 0 {
		return fmt.Errorf("schema check: %s breaks mode %s, see stdout: %d findings", c.Versions[last], c.Mode, len(findings))
	}
	return nil
}

// compiler compiles schemas, and finds flatc when there is one to compile.
type compiler struct {
	module string
	flatc  *flatc.Compiler
}

// binary returns the binary schema of a file: its content, or what flatc makes
// of it when its name ends in .fbs. It parses; errors name the file.
func (c *compiler) binary(to *console, path string) ([]byte, error) {
	if filepath.Ext(path) != ".fbs" {
		bfbs, err := readBinary(path)
		if err == nil {
			_, err = schema.Parse(bfbs)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return bfbs, nil
	}
	if c.flatc == nil {
		found, err := flatc.Find(to.ctx, flatc.Options{Dir: c.module, Progress: to.stderr})
		if err != nil {
			return nil, err
		}
		c.flatc = found
	}
	return codegen.Compile(to.ctx, c.flatc, to.stderr, path)
}

// readBinary reads no more than a binary schema may have.
func readBinary(path string) ([]byte, error) {
	// Before it is opened: opening a pipe waits for its writer.
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a file")
	}
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	bfbs, err := io.ReadAll(io.LimitReader(f, verify.MaxBFBS+1))
	if err == nil && len(bfbs) > verify.MaxBFBS {
		err = errors.New("more than the " + strconv.Itoa(verify.MaxBFBS) + " bytes that a binary schema may have")
	}
	return bfbs, err
}
