// Package cli is how the command lines of this project behave alike: results on
// stdout, everything else on stderr, and an exit status that scripts can rely on.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// Run parses args into commands, a struct in the form of package kong, executes
// the command that was named by calling execute, and returns the exit status: 0
// when the command did what it was asked for, 1 when it could not, 2 when the
// command line makes no sense. An error with a method ExitStatus chooses another
// one. Without arguments it prints the help.
func Run(name, description string, commands any, args []string, stdout, stderr io.Writer, execute func(*kong.Context) error) int {
	status := -1
	parser, err := kong.New(commands,
		kong.Name(name), kong.Description(description),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { status = code }), // --help
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
	)
	if err != nil {
		panic(err) // the struct is wrong, which every test of the program shows
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if status >= 0 {
		return status
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v (%s --help tells more)\n", name, err, about(name, err))
		return 2
	}
	err = execute(parsed)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled):
		fmt.Fprintf(stderr, "%s: interrupted\n", name)
	default:
		fmt.Fprintf(stderr, "%s: %v\n", name, err)
	}
	var chosen interface{ ExitStatus() int }
	if errors.As(err, &chosen) {
		return chosen.ExitStatus()
	}
	return 1
}

// about is the command that a command line without sense has got to, as its help
// says most.
func about(program string, err error) string {
	var wrong *kong.ParseError
	if errors.As(err, &wrong) {
		if command := wrong.Context.Selected(); command != nil {
			return program + " " + strings.Join(words(command), " ")
		}
	}
	return program
}

// words are the names of a command and of those that it belongs to.
func words(command *kong.Node) []string {
	if command.Parent == nil {
		return nil
	}
	return append(words(command.Parent), command.Name)
}
