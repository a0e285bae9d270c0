package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func es(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(t.Context(), args, strings.NewReader(""), &out, &errs)
	return status, out.String(), errs.String()
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"--help"}, {"generate", "--help"}} {
		status, stdout, stderr := es(t, args...)
		if status != 0 || stderr != "" || !strings.Contains(stdout, "generate") {
			t.Errorf("es %q: status %d, stderr %q, stdout %q", args, status, stderr, stdout)
		}
	}
}

func TestErrorsNameWhatIsWrong(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct {
		status int
		args   []string
	}{
		"generat":           {2, []string{"generat"}},
		"--colour":          {2, []string{"generate", "--colour", "x.fbs"}},
		"<schema.fbs>":      {2, []string{"generate"}},
		"nowhere.fbs":       {1, []string{"generate", "-q", "nowhere.fbs"}},
		"not a .fbs file":   {1, []string{"generate", "-q", "main.go"}},
		"--out":             {2, []string{"generate", "x.fbs", "--out"}},
		"(es dump --help":   {2, []string{"dump"}},
		"(es views switch":  {2, []string{"views", "switch", "dir"}},
		"no-such-directory": {1, []string{"generate", "--module", "no-such-directory", "x.fbs"}},
	} {
		status, stdout, stderr := es(t, c.args...)
		if status != c.status || stdout != "" || !strings.Contains(stderr, want) || !strings.HasPrefix(stderr, "es: ") {
			t.Errorf("es %q: status %d, want %d; stderr %q, want …%s…; stdout %q", c.args, status, c.status, stderr, want, stdout)
		}
	}
}

func TestGenerateAndCheck(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("go.mod", "module example.test/x\n")
	schema := write("x.fbs", `include "es.fbs"; namespace x; table X (aggregate: "x") { n:long (id: 0); } table Made (event) {}`)
	status, stdout, stderr := es(t, "generate", schema, "--check")
	if status != 1 || !strings.Contains(stderr, "--check") || !strings.Contains(stdout, "x.es.go") {
		t.Errorf("check before: status %d\n%s%s", status, stdout, stderr)
	}
	if status, stdout, stderr := es(t, "generate", schema); status != 0 || !strings.Contains(stdout, "x/x.es.go\n") {
		t.Errorf("generate: status %d\n%s%s", status, stdout, stderr)
	}
	if status, stdout, stderr := es(t, "generate", schema, "--check"); status != 0 || stdout+stderr != "" {
		t.Errorf("check after: status %d\n%s%s", status, stdout, stderr)
	}
	write("x.fbs", "table")
	if status, stdout, stderr := es(t, "generate", schema); status != 1 || stdout != "" || !strings.Contains(stderr, schema+":1:") {
		t.Errorf("broken schema: status %d\n%s%s", status, stdout, stderr)
	}
}
