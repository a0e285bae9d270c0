package floors

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestFloors holds the packages of this module against the plan, as built for
// every supported system.
func TestFloors(t *testing.T) {
	t.Parallel()
	for _, system := range []string{"linux", "darwin"} {
		t.Run(system, func(t *testing.T) {
			t.Parallel()
			packages := list(t, system)
			if !slices.ContainsFunc(packages, func(p pkg) bool { return p.ImportPath == module+"/event" }) {
				t.Fatalf("the go command lists %d packages, but not %s/event", len(packages), module)
			}
			for _, broken := range judge(plan, packages) {
				t.Error(broken)
			}
		})
	}
}

// TestPlan keeps the plan itself in order: a room may import only what stands
// above it, so no two can import each other.
func TestPlan(t *testing.T) {
	t.Parallel()
	var above []string
	for _, r := range plan {
		for _, name := range r.mayImport {
			if !slices.Contains(above, name) {
				t.Errorf("room %s may import %s, which does not stand above it", r.name, name)
			}
		}
		above = append(above, r.name)
	}
}

// TestJudge breaks each rule in turn.
func TestJudge(t *testing.T) {
	t.Parallel()
	ours := func(name string, imports ...string) pkg {
		return pkg{ImportPath: module + "/" + name, Imports: imports, Deps: imports}
	}
	standard := pkg{ImportPath: "net", Standard: true, CgoFiles: []string{"cgo_linux.go"}}
	liblmdb := pkg{ImportPath: lmdb + "/lmdb", CgoFiles: []string{"lmdb.go"}}
	cases := []struct {
		name     string
		packages []pkg
		want     string
	}{
		{"what is allowed", []pkg{standard, ours("event", "net", flatbuffers, module+"/schema/verify"), ours("schema/verify")}, ""},
		{"cgo where it belongs", []pkg{liblmdb, ours("projection", lmdb+"/lmdb")}, ""},
		{"an import upwards", []pkg{ours("schema", module+"/event")}, "room event is out of this room's reach"},
		{"two on one floor", []pkg{ours("aggregate", module+"/projection")}, "room projection is out of this room's reach"},
		{"two on one floor, the other way", []pkg{ours("projection", module+"/aggregate")}, "room aggregate is out of this room's reach"},
		{"the client and the views", []pkg{ours("wampbus/client", module+"/projection")}, "room projection is out of this room's reach"},
		{"events and views", []pkg{ours("examples/bank/account", module+"/projection")}, "room projection is out of this room's reach"},
		{"a test suite outside of tests", []pkg{ours("eventstore", module+"/eventstoretest")}, "room suites is out of this room's reach"},
		{"prometheus elsewhere", []pkg{ours("eventstore", prometheus+"/client_golang/prometheus")}, "may not import that module"},
		{"the router in the client", []pkg{ours("wampbus/client", nexus+"/router")}, "may not import that module"},
		{"the router in a command", []pkg{ours("cmd/esdemo", nexus+"/router")}, "may not import that module"},
		{"LMDB on the bus", []pkg{liblmdb, ours("wampbus", lmdb+"/lmdb")}, "may not import that module"},
		{"a module nobody planned", []pkg{ours("event", "example.com/new")}, "may not import that module"},
		{"a module with a similar name", []pkg{ours("event", ulid+"extra")}, "may not import that module"},
		{"cgo by a detour", []pkg{liblmdb, {ImportPath: module + "/aggregate", Deps: []string{liblmdb.ImportPath}}}, "must build without cgo"},
		{"cgo of its own", []pkg{{ImportPath: module + "/event", CgoFiles: []string{"fast.go"}}}, "must build without cgo"},
		{"a package without a room", []pkg{ours("util")}, "is in no room"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			broken := judge(plan, c.packages)
			if c.want == "" && len(broken) > 0 {
				t.Fatalf("judged %q, want no objection", broken)
			}
			if c.want != "" && !slices.ContainsFunc(broken, func(b string) bool { return strings.Contains(b, c.want) }) {
				t.Fatalf("judged %q, want one with %q", broken, c.want)
			}
		})
	}
}

// list asks the go command for the module's packages and their dependencies.
func list(t *testing.T, system string) []pkg {
	t.Helper()
	watch(t)
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Standard,Imports,Deps,CgoFiles", "./...")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "GOOS="+system, "CGO_ENABLED=1")
	cmd.Stderr = t.Output()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []pkg
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		packages = append(packages, p)
	}
}

// watch opens the module's directories. The go command keeps the result of a
// test until a file changes that the test itself has opened, and what "go list"
// reads does not count.
func watch(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules") {
			return fs.SkipDir
		}
		if errors.Is(err, fs.ErrNotExist) { // another test's scratch, gone meanwhile
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
