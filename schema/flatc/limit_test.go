//go:build unix

package flatc

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// program returns a compiler that is a shell script.
func program(t *testing.T, script string) *Compiler {
	t.Helper()
	path := filepath.Join(t.TempDir(), "flatc")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return &Compiler{Path: path}
}

func TestRunIsBounded(t *testing.T) {
	t.Parallel()
	var said strings.Builder
	if err := program(t, "ulimit -t; ulimit -c; ulimit -v; echo $1; echo \"$2\"").Run(t.Context(), "", &said, "a b", "c'd"); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(said.String(), "\n")
	if len(lines) < 5 || lines[0] != "60" || lines[1] != "0" || lines[3] != "a b" || lines[4] != "c'd" {
		t.Errorf("runs with %q", lines)
	}
	if lines[2] != "2097152" && lines[2] != "unlimited" { // not every system bounds memory
		t.Errorf("memory: %s KiB", lines[2])
	}
	err := program(t, "kill -9 $$").Run(t.Context(), "", nil)
	if broken := (*BoundsError)(nil); !errors.As(err, &broken) || !strings.Contains(err.Error(), "signal: killed") {
		t.Errorf("a compiler that is killed: %T %v", err, err)
	}
	err = program(t, "i=0; while [ $i -lt 3000 ]; do echo 'a line of many that it says about itself'; i=$((i+1)); done; exit 1").Run(t.Context(), "", nil)
	if refused := (*Error)(nil); !errors.As(err, &refused) || len(refused.Message) > maxMessages || len(refused.Message) < maxMessages/2 {
		t.Errorf("a compiler that goes on and on: %T", err)
	}
}
