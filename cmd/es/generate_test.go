package main

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/verbatim-es/verbatim/schema/flatc"
	"github.com/verbatim-es/verbatim/schema/verify"
)

// project is a module with one schema.
type project struct {
	t           *testing.T
	dir, schema string
}

func newProject(t *testing.T) *project {
	t.Helper()
	// A name that means something else to filepath.Glob.
	dir := filepath.Join(t.TempDir(), "x[1]")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p := &project{t: t, dir: dir, schema: filepath.Join(dir, "x.fbs")}
	p.write("go.mod", "module example.test/x\n")
	return p
}

func (p *project) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

func (p *project) read(name string) string {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, name))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// declare writes the schema: an event with these fields, and a view.
func (p *project) declare(event, view string) {
	p.t.Helper()
	p.write("x.fbs", "include \"es.fbs\";\nnamespace x;\ntable X (aggregate: \"x\") { n:long (id: 0); }\n"+
		"table Made (event) {\n"+event+"\n}\n"+view+"\n")
}

// generate runs es generate and fails the test when it fails.
func (p *project) generate(args ...string) (stdout, stderr string) {
	p.t.Helper()
	status, stdout, stderr := es(p.t, append([]string{"generate", p.schema}, args...)...)
	if status != 0 {
		p.t.Fatalf("es generate %q: status %d\n%s%s", args, status, stdout, stderr)
	}
	return stdout, stderr
}

func (p *project) binary() string {
	p.t.Helper()
	bfbs, err := os.ReadFile(filepath.Join(p.dir, "x", "x.bfbs"))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(bfbs)
}

// history returns what is kept, contents by path.
func (p *project) history() map[string]string {
	p.t.Helper()
	dir := filepath.Join(p.dir, "x", "history")
	entries, err := os.ReadDir(dir)
	if err != nil {
		p.t.Fatal(err)
	}
	kept := map[string]string{}
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		if entry.Name() == "VERSIONS" {
			continue // which lists them
		}
		bfbs, err := os.ReadFile(path)
		if err != nil {
			p.t.Fatal(err)
		}
		kept[path] = string(bfbs)
	}
	return kept
}

// wantHistory fails the test where the history is not of these versions.
func (p *project) wantHistory(when string, versions ...string) {
	p.t.Helper()
	got := slices.Sorted(maps.Values(p.history()))
	slices.Sort(versions)
	if !slices.Equal(got, versions) {
		p.t.Errorf("%s the history has %d versions, not the %d wanted", when, len(got), len(versions))
	}
}

// git runs git in the project.
func (p *project) git(args ...string) {
	p.t.Helper()
	args = append([]string{"-C", p.dir, "-c", "user.name=x", "-c", "user.email=x@example.test", "-c", "commit.gpgsign=false"}, args...)
	if out, err := exec.CommandContext(p.t.Context(), "git", args...).CombinedOutput(); err != nil {
		p.t.Fatalf("git %q: %v\n%s", args, err, out)
	}
}

// commit commits everything, in a repository that it makes if need be.
func (p *project) commit() {
	p.t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		p.t.Skip("git is not installed")
	}
	p.git("init", "-q", "-b", "main")
	p.git("add", ".")
	p.git("commit", "-q", "-m", "x")
}

func TestGenerateKeepsWhatIsStoredReadable(t *testing.T) {
	t.Parallel()
	const view = `table Row (view: "rows", version: "1") { n:long (id: 0, pk); }`
	p := newProject(t)
	p.declare("n:long (id: 0);\ntext:string (id: 1);", view)
	p.generate()
	before := p.binary()

	p.declare("n:int (id: 0);", view)
	status, stdout, stderr := es(t, "generate", p.schema)
	if status != 1 || stdout != "" || p.binary() != before {
		t.Errorf("a breaking change: status %d, stdout %q, and the binary schema has changed: %v", status, stdout, p.binary() != before)
	}
	for _, want := range []string{
		p.schema + ":5: x.Made.n: field-retyped:",
		p.schema + ":4: x.Made.text: field-deleted:",
		"FULL_TRANSITIVE", "--force",
	} {
		if !strings.Contains(stderr, want) {
			t.Errorf("does not say %q:\n%s", want, stderr)
		}
	}
	if status, _, stderr := es(t, "generate", p.schema, "--compat", "forward"); status != 1 || strings.Contains(stderr, "field-deleted") || !strings.Contains(stderr, "field-retyped") {
		t.Errorf("forward only: status %d\n%s", status, stderr)
	}
	if status, _, stderr := es(t, "generate", p.schema, "--compat", "sideways"); status != 2 || !strings.Contains(stderr, "sideways") {
		t.Errorf("a mode that there is not: status %d\n%s", status, stderr)
	}
	if _, stderr := p.generate("--force"); !strings.Contains(stderr, "WARNING: --force") || !strings.Contains(stderr, "field-retyped") || p.binary() == before {
		t.Errorf("--force says\n%s", stderr)
	}
	if _, stderr := p.generate(); stderr != "" {
		t.Errorf("what was forced is complained about again:\n%s", stderr)
	}
}

func TestGenerateLetsViewsChangeWithTheirVersion(t *testing.T) {
	t.Parallel()
	const event = "n:long (id: 0);"
	p := newProject(t)
	p.declare(event, `table Row (view: "rows", version: "1") { n:long (id: 0, pk); }`)
	p.generate()
	p.declare(event, `table Row (view: "rows", version: "1") { n:string (id: 0, pk, required); }`)
	if status, _, stderr := es(t, "generate", p.schema); status != 1 || !strings.Contains(stderr, p.schema+":7: x.Row") {
		t.Errorf("the same version: status %d\n%s", status, stderr)
	}
	p.declare(event, `table Row (view: "rows", version: "2") { n:string (id: 0, pk, required); }`)
	p.generate()
}

// A view that names no version has version "1", and is held to it.
func TestGenerateHoldsViewsWithoutAVersion(t *testing.T) {
	t.Parallel()
	const event = "n:long (id: 0);"
	p := newProject(t)
	p.declare(event, `table Row (view: "rows") { n:long (id: 0, pk); }`)
	p.generate()
	p.declare(event, `table Row (view: "rows") { n:string (id: 0, pk, required); }`)
	if status, _, stderr := es(t, "generate", p.schema); status != 1 || !strings.Contains(stderr, p.schema+":7: x.Row") {
		t.Errorf("another layout: status %d\n%s", status, stderr)
	}
	p.declare(event, `table Row (view: "rows", version: "1") { n:long (id: 0, pk); }`)
	if _, stderr := p.generate(); stderr != "" {
		t.Errorf("the same version, written down:\n%s", stderr)
	}
	p.declare(event, `table Row (view: "rows", version: "2") { n:string (id: 0, pk, required); }`)
	p.generate()
}

// What was generated since the last commit was never used by anybody.
func TestGenerateComparesWithWhatIsCommitted(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.declare("n:long (id: 0);", "")
	p.generate()
	first := p.binary()
	p.commit()
	p.declare("n:long (id: 0);\nm:long (id: 1);", "")
	p.generate()
	p.wantHistory("with a draft", first, p.binary())
	p.declare("n:long (id: 0);\nm:string (id: 1);", "")
	p.generate()
	p.wantHistory("with another draft", first, p.binary())
	p.git("add", ".") // which is to be committed
	p.declare("n:long (id: 0);\nm:int (id: 1);", "")
	if status, _, stderr := es(t, "generate", p.schema); status != 1 || !strings.Contains(stderr, "x.Made.m: field-retyped") {
		t.Errorf("against what is staged: status %d\n%s", status, stderr)
	}
	if err := os.RemoveAll(filepath.Join(p.dir, "x")); err != nil {
		t.Fatal(err)
	}
	p.declare("n:string (id: 0);", "")
	if status, _, stderr := es(t, "generate", p.schema); status != 1 || !strings.Contains(stderr, "x.Made.n: field-retyped") {
		t.Errorf("against what is committed: status %d\n%s", status, stderr)
	}
}

// Two branches each append a field of the same id. Whoever merges them takes one
// of the two: the other's events are there all the same.
func TestGenerateComparesWithBothSidesOfAMerge(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.declare("n:long (id: 0);", "")
	p.generate()
	first := p.binary()
	p.commit()
	p.git("checkout", "-q", "-b", "theirs")
	p.declare("n:long (id: 0);\nm:string (id: 1);", "")
	p.generate()
	theirs := p.binary()
	p.commit()
	p.git("checkout", "-q", "main")
	p.declare("n:long (id: 0);\nm:long (id: 1);", "")
	p.generate()
	ours := p.binary()
	p.commit()
	if _, stderr := p.generate("--check"); stderr != "" {
		t.Errorf("before they are merged:\n%s", stderr)
	}
	p.git("merge", "-q", "--no-commit", "-X", "ours", "theirs")
	p.wantHistory("merged,", first, ours, theirs)
	for _, when := range []string{"before the merge is committed", "after that"} {
		if when == "after that" {
			p.commit()
		}
		for _, args := range [][]string{{"--check"}, nil} {
			if status, _, stderr := es(t, append([]string{"generate", p.schema}, args...)...); status != 1 || !strings.Contains(stderr, "x.Made.m: field-retyped") || !strings.Contains(stderr, "(against "+filepath.Join(p.dir, "x", "history")) {
				t.Errorf("%s, %q: status %d\n%s", when, args, status, stderr)
			}
		}
	}
	p.generate("--force")
	p.wantHistory("overruled,", first, ours)
	p.generate()
}

// A version that was broken deliberately is compared with no more: neither where
// git still has it at HEAD, nor after the next commit.
func TestGenerateForgetsWhatWasOverruled(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"--force", "--compat=NONE"} {
		p := newProject(t)
		p.declare("n:long (id: 0);", "")
		p.generate()
		p.commit()
		p.declare("n:string (id: 0);", "")
		p.generate(how)
		p.wantHistory(how, p.binary())
		if stdout, stderr := p.generate(); stdout+stderr != "" {
			t.Errorf("%s: the next one says\n%s%s", how, stdout, stderr)
		}
		p.generate("--check")
		p.commit()
		p.generate()
		p.wantHistory(how+" and committed", p.binary())
	}
}

func TestGenerateWithoutComparing(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.declare("n:long (id: 0);", "")
	p.generate()
	for path := range p.history() {
		if err := os.WriteFile(path, []byte("nonsense"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p.declare("n:string (id: 0);", "")
	if status, _, stderr := es(t, "generate", p.schema); status != 1 || !strings.Contains(stderr, "--compat NONE") {
		t.Errorf("a history that is none: status %d\n%s", status, stderr)
	}
	p.generate("--compat", "NONE")
	p.wantHistory("begun anew,", p.binary())
	if stdout, stderr := p.generate(); stdout+stderr != "" {
		t.Errorf("the next one says\n%s%s", stdout, stderr)
	}
}

// The committed version is not there to compare with, and may not be guessed.
func TestGenerateNeedsToKnowWhatIsCommitted(t *testing.T) {
	p := newProject(t)
	p.declare("n:long (id: 0);", "")
	p.generate()
	p.commit()
	bin := t.TempDir()
	fake := "#!/bin/sh\necho 'fatal: detected dubious ownership in repository' >&2\nexit 128\n"
	if err := os.WriteFile(filepath.Join(bin, "git"), []byte(fake), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
	if status, _, stderr := es(t, "generate", p.schema); status != 1 || !strings.Contains(stderr, "dubious ownership") {
		t.Errorf("status %d\n%s", status, stderr)
	}
}

func TestGenerateRefusesACommittedFileThatIsHuge(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.declare("n:long (id: 0);", "")
	p.generate()
	if err := os.Truncate(filepath.Join(p.dir, "x", "x.bfbs"), verify.MaxBFBS+1); err != nil {
		t.Fatal(err)
	}
	p.commit()
	if status, _, stderr := es(t, "generate", p.schema); status != 1 || !strings.Contains(stderr, "at HEAD is no binary schema") {
		t.Errorf("status %d\n%s", status, stderr)
	}
}

// All versions that were ever committed count, not the last one only, and a
// checkout without git's history has them.
func TestGenerateComparesWithTheWholeHistory(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.declare("n:long (id: 0);\nm:long (id: 1);", "")
	p.generate()
	first := p.binary()
	p.wantHistory("after one version", first)
	var kept string
	for path := range p.history() {
		kept = path
	}
	p.declare("n:long (id: 0);", "") // which only breaks the way back
	p.generate("--compat", "FORWARD_TRANSITIVE")
	second := p.binary()
	p.wantHistory("after two versions", first, second)
	p.declare("n:long (id: 0);\nm:string (id: 1);", "")
	status, _, stderr := es(t, "generate", p.schema)
	if status != 1 || !strings.Contains(stderr, p.schema+":6: x.Made.m: field-retyped") || !strings.Contains(stderr, "(against "+kept+")") {
		t.Errorf("against a version before the last: status %d\n%s", status, stderr)
	}
	if status, _, stderr := es(t, "generate", p.schema, "--check"); status != 1 || !strings.Contains(stderr, "field-retyped") {
		t.Errorf("check: status %d\n%s", status, stderr)
	}
	if status, _, stderr := es(t, "generate", p.schema, "--compat", "FULL", "--check"); status != 1 || strings.Contains(stderr, "field-retyped") {
		t.Errorf("check: status %d\n%s", status, stderr)
	}
	p.generate("--force")
	p.wantHistory("after --force", second, p.binary())
	if _, stderr := p.generate(); stderr != "" {
		t.Errorf("what was forced is complained about again:\n%s", stderr)
	}
	secondAt := historyOf(t, p, second)
	if err := os.Remove(secondAt); err != nil {
		t.Fatal(err)
	}
	for _, check := range []string{"--check", "--quiet"} {
		if status, _, stderr := es(t, "generate", p.schema, check); status != 1 || !strings.Contains(stderr, secondAt+" is gone, a version that VERSIONS") {
			t.Errorf("%s without an old version: status %d\n%s", check, status, stderr)
		}
	}
	p.generate("--force")
	p.generate("--check")
	third := historyOf(t, p, p.binary())
	if err := os.Remove(third); err != nil {
		t.Fatal(err)
	}
	if status, stdout, _ := es(t, "generate", p.schema, "--check"); status != 1 || stdout != filepath.ToSlash(third)+"\n" {
		t.Errorf("check of a history without the present version: status %d\n%s", status, stdout)
	}
	if err := os.WriteFile(third, []byte("nonsense"), 0o644); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := es(t, "generate", p.schema); status != 1 || !strings.Contains(stderr, third+": ") {
		t.Errorf("a history that is none: status %d\n%s", status, stderr)
	}
}

// A version that is gone is missed where it was committed, whether that it is gone
// is committed or not, and whatever became of the list.
func TestGenerateMissesWhatIsCommitted(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.declare("n:long (id: 0);", "")
	p.generate()
	first := historyOf(t, p, p.binary())
	p.commit()
	p.declare("n:long (id: 0);\nm:long (id: 1);", "")
	p.generate()
	p.commit()
	p.declare("n:long (id: 0);\nm:long (id: 1);\no:long (id: 2);", "")
	p.generate()
	draft := historyOf(t, p, p.binary())
	if err := os.Remove(draft); err != nil { // cleaned away, with the list left behind
		t.Fatal(err)
	}
	p.declare("n:long (id: 0);\nm:long (id: 1);", "")
	p.generate()
	p.generate("--check")

	if err := os.Remove(first); err != nil {
		t.Fatal(err)
	}
	gone := func(when string) {
		t.Helper()
		for _, args := range [][]string{{"--check"}, nil} {
			if status, _, stderr := es(t, append([]string{"generate", p.schema}, args...)...); status != 1 || !strings.Contains(stderr, first+" is gone") {
				t.Errorf("%s, %q: status %d\n%s", when, args, status, stderr)
			}
		}
	}
	gone("removed")
	list := p.read(filepath.Join("x", "history", "VERSIONS"))
	if err := os.Remove(filepath.Join(p.dir, "x", "history", "VERSIONS")); err != nil {
		t.Fatal(err)
	}
	gone("removed with its list")
	p.write(filepath.Join("x", "history", "VERSIONS"), "<<<<<<< ours\n"+list+"=======\n>>>>>>> theirs\n")
	gone("a merged list")
	p.write(filepath.Join("x", "history", "VERSIONS"), list)
	p.commit()
	gone("committed")
	p.git("checkout", "-q", "HEAD~1", "--", first)
	p.generate("--check")
}

// historyOf returns where a version is kept.
func historyOf(t *testing.T, p *project, version string) string {
	t.Helper()
	for path, bfbs := range p.history() {
		if bfbs == version {
			return path
		}
	}
	t.Fatal("a version is not in the history")
	return ""
}

func TestHelpNamesAllLanguages(t *testing.T) {
	t.Parallel()
	_, help, _ := es(t, "generate", "--help")
	words := strings.Join(strings.Fields(help), " ")
	if all := strings.Join(flatc.Languages(), ", "); !strings.Contains(words, all) {
		t.Errorf("help does not name %s", all)
	}
	if status, _, stderr := es(t, "generate", "x.fbs", "--lang", "go,cobol"); status != 1 || !strings.Contains(stderr, `"cobol"`) {
		t.Errorf("status %d, %s", status, stderr)
	}
}

func TestGenerateForOtherLanguages(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.declare("n:long (id: 0);", "")
	out := filepath.Join(p.dir, "clients")
	stdout, _ := p.generate("--lang", "ts,python", "-o", out)
	for _, want := range []string{"/clients/python/x/Made.py\n", "/clients/ts/x/made.ts\n", "/clients/python/es/Event.py\n"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("did not write %s", want)
		}
	}
	if strings.Contains(stdout, ".go\n") {
		t.Errorf("wrote Go, which was not asked for:\n%s", stdout)
	}
	if stdout, stderr := p.generate("--lang", "ts,python,go", "-o", out); !strings.Contains(stdout, "/clients/x/x.es.go\n") || strings.Contains(stdout, "python") {
		t.Errorf("then Go wrote\n%s%s", stdout, stderr)
	}
	// What a schema no longer has goes: Made2, but not what others wrote, or what
	// another schema has as well.
	p.write("y.fbs", "namespace y;\nstruct S { n:int; }\n")
	if status, stdout, stderr := es(t, "generate", filepath.Join(p.dir, "y.fbs"), "--lang", "ts,python", "-o", out); status != 0 {
		t.Fatal(stdout, stderr)
	}
	p.write("x.fbs", strings.ReplaceAll(p.read("x.fbs"), "table Made", "table Made2 (event) {}\ntable Made"))
	p.generate("--lang", "ts,python", "-o", out)
	list := filepath.Join("clients", "python", "x.fbs.manifest")
	by := filepath.Join(out, "python", "x", "ByHand.py")
	if err := os.WriteFile(by, []byte("print(1)\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(p.dir, "outside.py")
	if err := os.WriteFile(outside, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	p.write(list, p.read(list)+"x/ByHand.py\n../../outside.py\n"+outside+"\n")
	p.declare("n:long (id: 0);", "")
	stdout, _ = p.generate("--lang", "ts,python", "-o", out)
	for path, want := range map[string]bool{
		"clients/python/x/Made2.py": false, "clients/ts/x/made2.ts": false,
		"clients/python/x/Made.py": true, "clients/python/x/__init__.py": true, "clients/python/es/Event.py": true,
		"clients/python/x/ByHand.py": true, "outside.py": true, "clients/python/y/S.py": true,
	} {
		_, err := os.Stat(filepath.Join(p.dir, path))
		if got := err == nil; got != want {
			t.Errorf("%s: there is %v, want %v", path, got, want)
		}
		if wrote := strings.Contains(stdout, path+"\n"); wrote == want {
			t.Errorf("%s: said to have changed: %v", path, wrote)
		}
	}
	if status, stdout, stderr := es(t, "generate", p.schema, "--lang", "go,python,ts", "-o", out, "--check"); status != 0 {
		t.Errorf("check: status %d\n%s%s", status, stdout, stderr)
	}
}
