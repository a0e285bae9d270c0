package codegen

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing about a schema that keeps it from being generated.
type Problem struct {
	File    string // as it was given, or the included file's path
	Line    int    // from 1; 0 when it concerns the whole file
	Message string // what is wrong
	Hint    string // what to do about it; may be ""
}

func (p Problem) String() string {
	at := p.File
	if p.Line > 0 {
		at = fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	if p.Hint == "" {
		return at + ": " + p.Message
	}
	return at + ": " + p.Message + "; " + p.Hint
}

// Problems is the error of a schema that was refused: everything that was found
// at the stage that failed, in the order of the file.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].String()
	}
	return strings.Join(lines, "\n")
}

// sorted orders by file and line and drops repetitions.
func (p Problems) sorted() Problems {
	slices.SortFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(p)
}
