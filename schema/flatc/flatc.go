package flatc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Compiler is a flatc program that is ready to run.
type Compiler struct {
	Path    string // of the program
	Version string // as flatc itself reports it, for example "25.12.19"
	Module  string // directory of the flatbuffers module that it was built from
	// Languages that it writes beside Go, sorted.
	Languages []string
}

// Options for [Find]. The zero value is what a command line tool wants.
type Options struct {
	// Dir lies in the module whose build list selects the version; "" is the
	// working directory.
	Dir string

	// CacheDir is where the program is kept; "" is "verbatim" in
	// [os.UserCacheDir].
	CacheDir string

	// Languages are those that the compiler must write beside Go, of
	// [Languages]. Each set of them is a program of its own.
	Languages []string

	// Progress is told when a build starts, ends, or waits for another process's
	// build; nil is silence. Nothing is written when the program exists already.
	Progress io.Writer
}

// Find returns the compiler of the version that o.Dir's module selects, and
// builds it first where the cache does not have it, which takes some 20 seconds
// of two cores, and a few more for each language.
//
// Any number of processes may call Find at the same time: one of them builds.
// A build that is interrupted leaves nothing that a later one could mistake for
// a program. Without a C++ compiler the error is a [*NoCompilerError].
func Find(ctx context.Context, o Options) (*Compiler, error) {
	e, err := newEdition(o.Languages)
	if err != nil {
		return nil, err
	}
	mod, err := selectModule(ctx, o.Dir)
	if err != nil {
		return nil, err
	}
	if o.CacheDir == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("find a directory to keep flatc in (set HOME or XDG_CACHE_HOME): %w", err)
		}
		o.CacheDir = filepath.Join(dir, "verbatim")
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	path, err := build(ctx, mod, e, o.CacheDir, o.Progress)
	if err != nil {
		return nil, err
	}
	return &Compiler{Path: path, Version: mod.number(), Module: mod.Dir, Languages: e}, nil
}

// Run runs the compiler in dir, within bounds of memory and time that no honest
// schema reaches. A schema that the compiler refuses is an [*Error] that holds
// its message, one that it breaks down on a [*BoundsError]; warnings are written
// to warn, which may be nil.
func (c *Compiler) Run(ctx context.Context, dir string, warn io.Writer, args ...string) error {
	bounded, cancel := context.WithTimeoutCause(ctx, maxTime, errTime)
	defer cancel()
	cmd := command(bounded, c.Path, args)
	cmd.Dir = dir
	var out head
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if bounded.Err() != nil {
		return &BoundsError{How: context.Cause(bounded).Error()}
	}
	messages := messages(string(out.kept))
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		// Its own refusals are status 1.
		if exit.ExitCode() != 1 {
			return &BoundsError{How: exit.Error()}
		}
		if messages == "" {
			messages = exit.Error()
		}
		return &Error{Message: messages}
	}
	if err != nil {
		return fmt.Errorf("run flatc: %w", err)
	}
	if messages != "" && warn != nil {
		_, err = fmt.Fprintln(warn, messages)
	}
	return err
}

// Error is what flatc had to say about a schema that it refused, one message a
// line in its own words: "bank.fbs:3: 12: error: …".
type Error struct{ Message string }

func (e *Error) Error() string { return e.Message }

// messages strips flatc's layout (headings, blank lines, indentation).
func messages(out string) string {
	var lines []string
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if line != "" && line != "error:" && line != "warning:" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}
