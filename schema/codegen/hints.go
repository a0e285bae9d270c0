package codegen

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"github.com/verbatim-es/verbatim/schema"
)

// hints are what to do about messages of flatc that say what is wrong only.
var hints = []struct {
	message *regexp.Regexp
	hint    string
}{
	{regexp.MustCompile(`type referenced but not defined`), "declare it, or include the file that does"},
	{regexp.MustCompile(`only non-scalar fields in tables may be 'required'`), "a number is always there, as its default at least; drop required"},
	{regexp.MustCompile(`(datatype|field|enum) already exists`), "rename one"},
	{regexp.MustCompile(`illegal character`), "names are made of a-z, A-Z, 0-9 and _; anything may be in comments"},
	{regexp.MustCompile(`Cannot assign token starting with '.*' to value of <> type`), `the values of attributes are in quotes: (name: "value")`},
	{regexp.MustCompile(`Default values for strings and vectors`), "leave the default out"},
	{regexp.MustCompile(`expecting: ; instead got`), "a semicolon is missing before it"},
	{regexp.MustCompile(`expecting: .* instead got: end of file`), "a closing brace is missing"},
}

var undeclared = regexp.MustCompile(`attributes must be declared before use: (.*)$`)

// hinted returns a message with what to do about it.
func (s *stage) hinted(message string) string {
	if m := undeclared.FindStringSubmatch(message); m != nil {
		if s.main != nil && !slices.ContainsFunc(s.main.includes, func(i include) bool { return i.name == schema.ESFile }) {
			return message + `; begin the file with include "` + schema.ESFile + `", which declares event, command, aggregate, view and the others`
		}
		return message + `; check the spelling, or declare it: attribute "` + m[1] + `";`
	}
	for _, h := range hints {
		if h.message.MatchString(message) {
			return message + "; " + h.hint
		}
	}
	return message
}

// wrongIDs reports the ids that are there twice or not at all. flatc names the
// end of the table, and a field that may be right.
func wrongIDs(src *source) Problems {
	var problems Problems
	for _, d := range src.decls {
		if d.kind != "table" {
			continue
		}
		owner := map[int]*fieldDecl{}
		for _, f := range d.fields {
			id, err := strconv.Atoi(f.attrs["id"])
			if err != nil {
				continue // there is none, or flatc's message says what it is
			}
			ids := []int{id}
			if of, ok := src.find(d, f.typ); ok && of.kind == "union" {
				ids = []int{id - 1, id} // its tag's, too
			}
			for _, id := range ids {
				if other := owner[id]; other != nil {
					problems = append(problems, Problem{src.file, f.line, fmt.Sprintf("field %s.%s has id %d, which is field %s's", d.name, f.name, id, other.name), "every field has an id of its own, a union two: the one before it is its tag's"})
				}
				owner[id] = f
			}
		}
		problems = append(problems, missingIDs(src, d, owner)...)
	}
	return problems.sorted()
}

// missingIDs reports the gaps between ids, each at the field behind it.
func missingIDs(src *source, d *decl, owner map[int]*fieldDecl) (problems Problems) {
	ids := make([]int, 0, len(owner))
	for id := range owner {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	next := 0
	for _, id := range ids {
		if id > next {
			problems = append(problems, Problem{src.file, owner[id].line, fmt.Sprintf("field %s.%s has id %d, but there is no %d", d.name, owner[id].name, id, next), "ids count from 0 without a gap; a field that is no longer used stays, as deprecated"})
		}
		next = id + 1
	}
	return problems
}
