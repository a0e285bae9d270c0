package floors

import (
	"fmt"
	"slices"
	"strings"
)

const module = "github.com/verbatim-es/verbatim"

// room is a part of the house: a package, or several that belong together.
type room struct {
	name string
	// paths are relative to the module; one that ends in "/..." includes all
	// below it. The longest match decides where a package is.
	paths []string
	// mayImport are the rooms whose packages these may import, apart from
	// their own. A room that is not here is out of reach.
	mayImport []string
	// external are the modules, or parts of them, that may be imported.
	external []string
	// pure rooms build with CGO_ENABLED=0.
	pure bool
}

const (
	flatbuffers = "github.com/google/flatbuffers/go"
	ulid        = "github.com/oklog/ulid/v2"
	lmdb        = "github.com/PowerDNS/lmdb-go"
	nexus       = "github.com/gammazero/nexus/v3"
	websocket   = "github.com/gorilla/websocket"
	prometheus  = "github.com/prometheus"
	kong        = "github.com/alecthomas/kong"
	errgroup    = "golang.org/x/sync/errgroup"
)

// plan is the house from the ground up. What a room may import stands above it.
var plan = []room{
	{name: "schema", paths: []string{"schema/...", "internal/fb/..."}, external: []string{flatbuffers}, pure: true},
	{name: "event", paths: []string{"event", "event/upcast"}, mayImport: []string{"schema"}, external: []string{flatbuffers, ulid}, pure: true},
	{name: "commit", paths: []string{"internal/commit"}, mayImport: []string{"schema", "event"}, external: []string{flatbuffers, ulid}, pure: true},
	{name: "registry", paths: []string{"internal/registry"}, mayImport: []string{"schema", "event"}, pure: true},
	{name: "lmdbenv", paths: []string{"internal/lmdbenv"}, external: []string{lmdb}},
	{name: "walk", paths: []string{"internal/walk"}, mayImport: []string{"lmdbenv"}},
	{name: "keytable", paths: []string{"internal/keytable"}, pure: true},
	{name: "journal", paths: []string{"internal/journal"}, mayImport: []string{"event"}, external: []string{ulid}, pure: true},

	{name: "memstore", paths: []string{"event/memstore"}, mayImport: []string{"schema", "event", "commit", "registry"}, external: []string{ulid}, pure: true},
	{name: "eventstore", paths: []string{"eventstore/..."}, mayImport: []string{"schema", "event", "commit", "registry", "lmdbenv", "walk", "keytable", "journal"}, external: []string{lmdb, flatbuffers, ulid}},

	{name: "aggregate", paths: []string{"aggregate/..."}, mayImport: []string{"schema", "event"}, external: []string{flatbuffers, ulid}, pure: true},
	{name: "snapshot", paths: []string{"snapshot"}, mayImport: []string{"schema", "event", "aggregate", "lmdbenv"}},
	{name: "projection", paths: []string{"projection/..."}, mayImport: []string{"schema", "event", "lmdbenv", "walk", "keytable"}, external: []string{lmdb, flatbuffers, ulid}},

	{name: "wire", paths: []string{"wampbus/internal/..."}, mayImport: []string{"schema", "event"}, external: []string{nexus + "/wamp", nexus + "/transport/serialize", websocket, ulid}, pure: true},
	{name: "client", paths: []string{"wampbus/client/..."}, mayImport: []string{"schema", "event", "aggregate", "wire"}, external: []string{nexus + "/client", nexus + "/wamp", nexus + "/transport", nexus + "/stdlog", websocket, ulid}, pure: true},
	{name: "users", paths: []string{"wampbus/users"}, external: []string{"golang.org/x/crypto"}, pure: true},
	{name: "wampbus", paths: []string{"wampbus"}, mayImport: []string{"schema", "event", "eventstore", "aggregate", "projection", "wire", "users"}, external: []string{nexus, websocket, flatbuffers, ulid}},
	{name: "metrics", paths: []string{"metrics/..."}, mayImport: []string{"event", "eventstore", "projection", "wampbus"}, external: []string{prometheus}},

	// What is generated, and the example it is generated for. Consumers of
	// events and commands never compile LMDB, so views are kept apart.
	{name: "account", paths: []string{"examples/bank/account/..."}, mayImport: []string{"schema", "event", "aggregate"}, external: []string{flatbuffers}, pure: true},
	{name: "accountview", paths: []string{"examples/bank/account/accountview"}, mayImport: []string{"schema", "event", "projection", "account"}, external: []string{flatbuffers}},
	{name: "bank", paths: []string{"examples/bank"}, mayImport: []string{"event", "aggregate", "projection", "account", "accountview"}},

	{name: "course", paths: []string{"examples/course/course/..."}, mayImport: []string{"schema", "event", "aggregate"}, external: []string{flatbuffers}, pure: true},
	{name: "registrar", paths: []string{"examples/course"}, mayImport: []string{"event", "aggregate", "course"}, pure: true},

	// The demo reads LMDB past the store, to compare what the store says.
	{name: "cmd", paths: []string{"cmd/..."}, mayImport: []string{
		"schema", "event", "lmdbenv", "eventstore", "aggregate", "projection", "client", "users", "wampbus", "metrics", "account", "accountview", "bank", "course", "registrar",
	}, external: []string{kong, prometheus, lmdb, ulid, flatbuffers, errgroup}},

	// Only tests import these.
	{name: "suites", paths: []string{"eventstoretest/...", "aggregatetest/..."}, mayImport: []string{
		"schema", "event", "memstore", "aggregate", "account",
	}, external: []string{flatbuffers, ulid, "pgregory.net/rapid", "go.uber.org/goleak", "github.com/google/go-cmp"}},
	{name: "checks", paths: []string{"internal/floors", "internal/readme", "interop"}},
}

// pkg is the part of a package in the go command's output that is judged.
type pkg struct {
	ImportPath string
	Standard   bool
	Imports    []string
	// Deps are all packages it needs, directly or not.
	Deps     []string
	CgoFiles []string
}

// judge returns what in packages breaks the plan. packages holds those of the
// module together with all that they depend on.
func judge(plan []room, packages []pkg) []string {
	byPath := map[string]pkg{}
	for _, p := range packages {
		byPath[p.ImportPath] = p
	}
	var broken []string
	for _, p := range packages {
		name, ours := inModule(p.ImportPath)
		if !ours {
			continue
		}
		home, ok := roomOf(plan, name)
		if !ok {
			broken = append(broken, fmt.Sprintf("%s is in no room: give it one in the plan", name))
			continue
		}
		for _, imported := range p.Imports {
			if message := judgeImport(plan, home, imported, byPath[imported].Standard); message != "" {
				broken = append(broken, fmt.Sprintf("%s (%s) imports %s: %s", name, home.name, imported, message))
			}
		}
		for _, dep := range append(slices.Clone(p.Deps), p.ImportPath) {
			if d := byPath[dep]; home.pure && len(d.CgoFiles) > 0 && !d.Standard {
				broken = append(broken, fmt.Sprintf("%s (%s) must build without cgo, but needs %s", name, home.name, dep))
			}
		}
	}
	return broken
}

// judgeImport returns what is wrong with an import, "" if nothing is.
func judgeImport(plan []room, home room, imported string, standard bool) string {
	if standard || imported == "C" || imported == "unsafe" {
		return ""
	}
	name, ours := inModule(imported)
	if !ours {
		if slices.ContainsFunc(home.external, func(prefix string) bool { return within(imported, prefix) }) {
			return ""
		}
		return "this room may not import that module"
	}
	other, ok := roomOf(plan, name)
	if !ok {
		return "it is in no room"
	}
	if other.name == home.name || slices.Contains(home.mayImport, other.name) {
		return ""
	}
	return fmt.Sprintf("room %s is out of this room's reach", other.name)
}

// roomOf returns the room with the longest path that matches.
func roomOf(plan []room, name string) (home room, ok bool) {
	longest := -1
	for _, r := range plan {
		for _, path := range r.paths {
			prefix, all := strings.CutSuffix(path, "/...")
			if (name == prefix || all && within(name, prefix)) && len(prefix) > longest {
				home, longest = r, len(prefix)
			}
		}
	}
	return home, longest >= 0
}

func inModule(path string) (name string, ok bool) {
	return strings.CutPrefix(path, module+"/")
}

// within reports whether path is prefix or lies below it.
func within(path, prefix string) bool {
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}
