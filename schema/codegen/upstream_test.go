package codegen_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/codegen"
	"github.com/verbatim-es/verbatim/schema/dynamic"
	"github.com/verbatim-es/verbatim/schema/flatc"
	"github.com/verbatim-es/verbatim/schema/verify"
)

// FlatBuffers' own test schemas, as they are and made into schemas of ours, are
// generated, or refused with exactly the reasons that the golden file has; what is
// generated compiles.
func TestUpstreamSchemas(t *testing.T) {
	t.Parallel()
	root := upstream(t)
	var table strings.Builder
	var generated []codegen.File
	moduleDir := module(t, "example.test/upstream")
	found, refused := 0, 0
	for path := range upstreamFiles(t, root, ".fbs") {
		found++
		fmt.Fprintf(&table, "%s\n", path)
		if _, err := generate(t, codegen.Options{Out: moduleDir}, filepath.Join(root, path)); err == nil {
			t.Errorf("%s has nothing that is ours, and is accepted", path)
		} else {
			checkRefusal(t, path, err)
			indent(&table, "as it is", strings.ReplaceAll(err.Error(), root+"/", ""))
		}
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(moduleDir, strings.NewReplacer("/", "_", ".", "_").Replace(path))
		ours := filepath.Join(out, filepath.Base(path))
		writeFile(t, ours, adapt(string(text)))
		files, err := generate(t, codegen.Options{}, ours)
		if err != nil {
			checkRefusal(t, path, err)
			refused++
			indent(&table, "as ours", strings.ReplaceAll(err.Error(), out+"/", ""))
		} else {
			indent(&table, "as ours", "accepted")
			generated = append(generated, files...)
		}
	}
	if accepted := found - refused; found < 60 || accepted < 12 {
		t.Errorf("%d schemas, %d accepted: these are not the tests of FlatBuffers, or we refuse too many", found, accepted)
	}
	goldenText(t, "upstream/schemas.txt", table.String())
	if testing.Short() {
		return
	}
	if _, err := codegen.Write(generated); err != nil {
		t.Fatal(err)
	}
	goCommand(t, moduleDir, []string{"CGO_ENABLED=0"}, "vet", "./...")
}

// What FlatBuffers' own compiler makes of them is read by the model and by
// package dynamic, or refused with exactly these reasons: what of FlatBuffers
// this module does not know.
func TestUpstreamBinarySchemas(t *testing.T) {
	t.Parallel()
	c, err := compiler()
	if err != nil {
		t.Fatal(err)
	}
	root, dir := upstream(t), t.TempDir()
	var table strings.Builder
	accepted := 0
	look := func(path string, bfbs []byte) {
		tables, err := readBinary(bfbs)
		if err != nil {
			indent(&table, path, err.Error())
			return
		}
		accepted++
		indent(&table, path, fmt.Sprintf("%d tables", tables))
	}
	for path := range upstreamFiles(t, root, ".fbs") {
		tests := filepath.Join(root, "tests")
		err := c.Run(t.Context(), dir, nil, "--schema", "-b", "--bfbs-builtins", "--bfbs-comments", "--bfbs-filenames", root,
			"-I", root, "-I", filepath.Join(tests, "include_test"), "-I", filepath.Join(tests, "include_test", "sub"), "-I", filepath.Join(tests, "flatc"), "-o", dir, filepath.Join(root, path))
		if err != nil {
			indent(&table, path, "flatc: "+strings.ReplaceAll(err.Error(), root+"/", ""))
			continue
		}
		bfbs, err := os.ReadFile(filepath.Join(dir, strings.TrimSuffix(filepath.Base(path), ".fbs")+".bfbs"))
		if err != nil {
			t.Fatal(err)
		}
		look(path, bfbs)
	}
	for path := range upstreamFiles(t, root, ".bfbs") {
		bfbs, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		look(path, bfbs)
	}
	if accepted < 60 {
		t.Errorf("%d are accepted", accepted)
	}
	goldenText(t, "upstream/binaries.txt", table.String())
}

// readBinary returns how many tables of a binary schema can be built and shown,
// empty as they are.
func readBinary(bfbs []byte) (int, error) {
	if _, err := schema.Parse(bfbs); err != nil {
		return 0, err
	}
	compiled, err := dynamic.Compile(bfbs)
	if err != nil {
		return 0, err
	}
	opened, err := verify.Open(bfbs)
	if err != nil {
		return 0, err
	}
	plans, refused := opened.CompileAll()
	for _, err := range refused {
		return 0, err
	}
	for name, plan := range plans {
		table, ok := compiled.Table(name)
		if !ok {
			return 0, fmt.Errorf("package dynamic has no table %s", name)
		}
		data, err := table.ParseJSON([]byte("{}"))
		if err != nil {
			if strings.Contains(err.Error(), "required") {
				continue
			}
			return 0, err
		}
		if err := plan.VerifyExact(data); err != nil {
			return 0, err
		}
		if _, err := table.AppendJSON(nil, data); err != nil {
			return 0, err
		}
	}
	return len(plans), nil
}

// The data of FlatBuffers' own tests, by the runtimes of five languages, is
// verified and shown; of every buffer that differs from it in one byte, what the
// verifier accepts is.
func TestUpstreamData(t *testing.T) {
	t.Parallel()
	c, err := compiler()
	if err != nil {
		t.Fatal(err)
	}
	root, dir := upstream(t), t.TempDir()
	var table strings.Builder
	accepted := 0
	for _, set := range []struct{ schema, table, below, ext string }{
		{"tests/monster_test.fbs", "MyGame.Example.Monster", ".", ".mon"},
		{"tests/monster_test.fbs", "MyGame.Example.Monster", "tests", ".mon.sp"},
		{"tests/alignment_test.fbs", "SmallStructs", "tests", "_fix.bin"},
		{"tests/annotated_binary/annotated_binary.fbs", "AnnotatedBinary.Foo", "tests/annotated_binary", ".bin"},
		{"tests/64bit/test_64bit.fbs", "RootTable", "tests/64bit", ".bin"},
	} {
		err := c.Run(t.Context(), dir, nil, "--schema", "-b", "-I", filepath.Join(root, "tests", "include_test"), "-o", dir, filepath.Join(root, set.schema))
		if err != nil {
			t.Fatal(err)
		}
		bfbs, err := os.ReadFile(filepath.Join(dir, strings.TrimSuffix(filepath.Base(set.schema), ".fbs")+".bfbs"))
		if err != nil {
			t.Fatal(err)
		}
		reader, err := newDataReader(bfbs, set.table)
		for path := range upstreamFiles(t, root, set.ext) {
			if !strings.HasPrefix(path, set.below) && set.below != "." {
				continue
			}
			if err != nil {
				indent(&table, path, err.Error())
				continue
			}
			data, err := os.ReadFile(filepath.Join(root, path))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(path, "_sp.") || strings.HasSuffix(path, ".sp") {
				if err := reader.plan.VerifySizePrefixed(data); err != nil {
					t.Errorf("%s: %v", path, err)
				}
				indent(&table, path, fmt.Sprintf("%d bytes, size-prefixed", len(data)))
				continue
			}
			if err := reader.plan.Verify(data); err != nil {
				indent(&table, path, err.Error())
				continue
			}
			text, err := reader.table.AppendJSON(nil, data)
			if err != nil {
				t.Errorf("%s: verified, but can't be shown: %v", path, err)
			}
			accepted++
			indent(&table, path, fmt.Sprintf("%d bytes, %d of JSON", len(data), len(text)))
			reader.mutants(t, path, data)
		}
	}
	if accepted < 10 {
		t.Errorf("%d are accepted", accepted)
	}
	goldenText(t, "upstream/data.txt", table.String())
}

type dataReader struct {
	plan  *verify.Plan
	table *dynamic.Table
}

func newDataReader(bfbs []byte, name string) (r dataReader, err error) {
	if r.plan, err = verify.CompileBFBS(bfbs, name); err != nil {
		return r, err
	}
	compiled, err := dynamic.Compile(bfbs)
	if err != nil {
		return r, err
	}
	r.table, _ = compiled.Table(name)
	return r, nil
}

// mutants shows everything that differs from data in one byte and is accepted.
// Under -short a byte is changed in each of its bits only.
func (r dataReader) mutants(t *testing.T, path string, data []byte) {
	mutant := bytes.Clone(data)
	shown, refused := 0, 0
	var text []byte
	for at := range data {
		for by := 1; by < 256; by++ {
			if testing.Short() && by&(by-1) != 0 {
				continue
			}
			mutant[at] = data[at] ^ byte(by)
			if r.plan.Verify(mutant) != nil {
				refused++
				continue
			}
			shown++
			var err error
			if text, err = r.table.AppendJSON(text[:0], mutant); err != nil && !errors.Is(err, dynamic.ErrTooLong) {
				t.Fatalf("%s, byte %d changed by %#x: verified, but can't be shown: %v", path, at, by, err)
			}
		}
		mutant[at] = data[at]
	}
	if shown == 0 || refused == 0 {
		t.Errorf("%s: %d mutants shown, %d refused", path, shown, refused)
	}
}

// indent appends what there is to say about something, at any length.
func indent(b *strings.Builder, what, text string) {
	fmt.Fprintf(b, "  %s: %s\n", what, strings.ReplaceAll(text, "\n", "\n    "))
}

// goldenText compares text with a golden file, or writes it.
func goldenText(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", filepath.FromSlash(name))
	if *update {
		writeFile(t, path, got)
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (go test ./schema/codegen -update):\n%s", path, diff)
	}
}

// upstreamFiles are the slash paths below root of the files that end so, sorted.
func upstreamFiles(t *testing.T, root, end string) iter.Seq[string] {
	t.Helper()
	var paths []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, end) {
			below, _ := filepath.Rel(root, path)
			paths = append(paths, filepath.ToSlash(below))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return slices.Values(paths)
}

// upstream is the directory of the module of FlatBuffers, with its tests.
func upstream(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/google/flatbuffers").Output()
	dir := strings.TrimSpace(string(out))
	if _, statErr := os.Stat(filepath.Join(dir, "tests")); err != nil || statErr != nil {
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
