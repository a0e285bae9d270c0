package codegen_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/verbatim-es/verbatim/schema/codegen"
	"github.com/verbatim-es/verbatim/schema/flatc"
)

// FlatBuffers' own test schemas, as they are and made into schemas of ours, are
// generated or refused with a reason and a place; what is generated compiles.
func TestUpstreamSchemas(t *testing.T) {
	t.Parallel()
	dir := upstream(t)
	var found int
	var generated []codegen.File
	moduleDir := module(t, "example.test/upstream")
	refused := map[string]int{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".fbs" {
			return err
		}
		found++
		below, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if _, err := generate(t, codegen.Options{Out: moduleDir}, path); err == nil {
			t.Errorf("%s has nothing that is ours, and is accepted", below)
		} else {
			checkRefusal(t, below, err)
		}
		out := filepath.Join(moduleDir, strings.NewReplacer("/", "_", ".", "_").Replace(filepath.ToSlash(below)))
		ours := filepath.Join(out, filepath.Base(path))
		writeFile(t, ours, adapt(string(text)))
		files, err := generate(t, codegen.Options{}, ours)
		if err != nil {
			checkRefusal(t, below, err)
			first, _, _ := strings.Cut(err.Error(), "\n")
			t.Logf("refused  %s: %s", below, strings.TrimPrefix(first, out))
			refused[below]++
			return nil
		}
		t.Logf("accepted %s", below)
		generated = append(generated, files...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if accepted := found - len(refused); found < 60 || accepted < 12 {
		t.Errorf("%d schemas, %d accepted: these are not the tests of FlatBuffers, or we refuse too many", found, accepted)
	}
	if testing.Short() {
		return
	}
	if _, err := codegen.Write(generated); err != nil {
		t.Fatal(err)
	}
	goCommand(t, moduleDir, []string{"CGO_ENABLED=0"}, "vet", "./...")
}

// upstream is the directory of FlatBuffers' tests.
func upstream(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/google/flatbuffers").Output()
	dir := filepath.Join(strings.TrimSpace(string(out)), "tests")
	if _, statErr := os.Stat(dir); err != nil || statErr != nil {
		t.Skipf("the module's tests are not in the module cache: %v %v", err, statErr)
	}
	return dir
}

var place = regexp.MustCompile(`^[^ :]+\.fbs(:[0-9]+)*: .`)

// checkRefusal wants an error that is about the schema and says where.
func checkRefusal(t *testing.T, schema string, err error) {
	t.Helper()
	if !errors.As(err, new(codegen.Problems)) && !errors.As(err, new(*flatc.Error)) {
		t.Errorf("%s: %T %v", schema, err, err)
	}
	for line := range strings.Lines(err.Error()) {
		if !place.MatchString(line) {
			t.Errorf("%s: %q does not begin with a place", schema, line)
		}
	}
}

var (
	namespaceLine = regexp.MustCompile(`(?m)^\s*namespace\s+([\w.]+)\s*;`)
	includeLine   = regexp.MustCompile(`(?m)^\s*(?:native_)?include\s+"[^"]*"\s*;`)
	tableField    = regexp.MustCompile(`^(\s*)(\w+)(\s*:[^;(]*)(\(([^)]*)\))?(\s*;.*)$`)
	keyAttribute  = regexp.MustCompile(`\bkey\b\s*,?\s*`)
	tableLine     = regexp.MustCompile(`^\s*table\s+\w+`)
	serviceBlock  = regexp.MustCompile(`(?s)rpc_service\s+\w+\s*\{.*?\}`)
	commentLines  = regexp.MustCompile(`(?m)^\s*//.*$`)
)

// adapt makes a schema one of ours as far as text can: one namespace in lower
// case, explicit ids, an aggregate and an event. What is left is for lint.
func adapt(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	text = commentLines.ReplaceAllString(text, "")
	text = serviceBlock.ReplaceAllString(text, "")
	namespace := "upstream.tests"
	if names := namespaceLine.FindAllStringSubmatch(text, -1); len(names) == 1 {
		text = strings.ReplaceAll(text, names[0][1]+".", "")
	}
	text = namespaceLine.ReplaceAllString(text, "")
	text = includeLine.ReplaceAllString(text, "")

	var b strings.Builder
	b.WriteString("include \"es.fbs\";\nnamespace " + namespace + ";\n")
	inTable, id := false, 0
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if tableLine.MatchString(line) {
			inTable, id = true, 0
		}
		if m := tableField.FindStringSubmatch(line); inTable && m != nil && !strings.Contains(m[5], "id:") {
			attributes := keyAttribute.ReplaceAllString(m[5], "")
			if attributes != "" {
				attributes += ", "
			}
			// The space keeps flatc from taking a default for a function.
			line = m[1] + m[2] + m[3] + " (" + attributes + "id: ID)" + m[6]
		}
		if inTable && strings.Contains(line, "id: ID") {
			if isUnion(text, line) {
				id++ // of the tag before it
			}
			line = strings.Replace(line, "id: ID", "id: "+strconv.Itoa(id), 1)
			id++
		}
		if strings.HasPrefix(strings.TrimSpace(line), "}") {
			inTable = false
		}
		b.WriteString(line + "\n")
	}
	b.WriteString("table OursState (aggregate: \"ours\") { n:int (id: 0); }\ntable OursHappened (event) { n:int (id: 0); }\n")
	return b.String()
}

var fieldType = regexp.MustCompile(`:\s*\[?\s*([\w.]+)`)

// isUnion tells whether a field's type is declared as a union in text.
func isUnion(text, field string) bool {
	m := fieldType.FindStringSubmatch(field)
	return m != nil && regexp.MustCompile(`\bunion\s+`+regexp.QuoteMeta(m[1])+`\b`).MatchString(text)
}
