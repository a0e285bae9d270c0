package flatc

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// languages are the files of the generators that es can build in, by the name
// of flatc's option.
var languages = map[string][]string{
	"cpp":    {"src/idl_gen_cpp.cpp"},
	"csharp": {"src/idl_gen_csharp.cpp"},
	"dart":   {"src/idl_gen_dart.cpp"},
	"java":   {"src/idl_gen_java.cpp"},
	"kotlin": {"src/idl_gen_kotlin.cpp"},
	"lua":    {"src/bfbs_gen_lua.cpp"},
	"php":    {"src/idl_gen_php.cpp"},
	"python": {"src/idl_gen_python.cpp", "include/codegen/python.cc"},
	"rust":   {"src/idl_gen_rust.cpp"},
	"swift":  {"src/idl_gen_swift.cpp"},
	"ts":     {"src/idl_gen_ts.cpp"},
}

// Languages returns what a compiler can write beside Go, sorted.
func Languages() []string { return slices.Sorted(maps.Keys(languages)) }

// newEdition sorts the languages that were asked for.
func newEdition(names []string) (edition, error) {
	e := edition(slices.Compact(slices.Sorted(slices.Values(names))))
	for _, name := range e {
		if _, ok := languages[name]; !ok {
			return nil, fmt.Errorf("flatc cannot write %q: it writes go, %s", name, strings.Join(Languages(), ", "))
		}
	}
	return e, nil
}
