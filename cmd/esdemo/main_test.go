package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestCommandLine(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args           []string
		status         int
		stdout, stderr string
	}{
		"help":         {[]string{"--help"}, 0, "esdemo demo", ""},
		"serve help":   {[]string{"serve", "--help"}, 0, "--http", ""},
		"no arguments": {nil, 0, "serve", ""},
		"unknown":      {[]string{"sreve"}, 2, "", "sreve"},
		"missing flag": {[]string{"serve"}, 2, "", "--data"},
		"bad number":   {[]string{"demo", "--clients", "many"}, 2, "", "--clients"},
		"bad bound":    {[]string{"demo", "--clients", "0"}, 2, "", "--clients"},
		"no directory": {[]string{"serve", "--data", ""}, 1, "", "--data"},
	} {
		var out, errs bytes.Buffer
		status := run(t.Context(), tc.args, &out, &errs)
		if status != tc.status || !strings.Contains(out.String(), tc.stdout) || !strings.Contains(errs.String(), tc.stderr) {
			t.Errorf("%s: status %d, stdout %q, stderr %q", name, status, out.String(), errs.String())
		}
		if tc.stdout == "" && out.Len() > 0 || tc.stderr == "" && errs.Len() > 0 {
			t.Errorf("%s: the other stream has %q%q", name, out.String(), errs.String())
		}
	}
}
