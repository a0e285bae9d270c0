package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/verbatim-es/verbatim/wampbus/users"
)

// What es user writes is a line that a bus reads.
func TestUser(t *testing.T) {
	t.Parallel()
	user := func(stdin string, args ...string) (status int, stdout, stderr string) {
		var out, errs bytes.Buffer
		status = run(t.Context(), append([]string{"user"}, args...), strings.NewReader(stdin), &out, &errs)
		return status, out.String(), errs.String()
	}
	status, stdout, stderr := user("secret\r\nnext line\n", "ann", "--roles", "reader,commander")
	c, err := users.Parse(strings.TrimSpace(stdout))
	if status != 0 || stderr != "" || err != nil || c.AuthID != "ann" || c.Roles != "reader,commander" || !c.TicketIs("secret") {
		t.Errorf("status %d, %q, %q, %v", status, stdout, stderr, err)
	}
	if status, stdout, stderr := user("secret", "ann", "--roles", "reader, writer"); status != 0 || !strings.HasPrefix(stdout, "ann\treader,writer\t") {
		t.Errorf("roles behind blanks: status %d, %q, %q", status, stdout, stderr)
	}
	for _, method := range []string{"wampcra", "cryptosign"} {
		status, stdout, _ := user(strings.Repeat("ab", 32), "bob", "--roles", "admin", "--method", method)
		if c, err := users.Parse(strings.TrimSpace(stdout)); status != 0 || err != nil || c.Method != method {
			t.Errorf("%s: status %d, %q, %v", method, status, stdout, err)
		}
	}
	for name, c := range map[string]struct {
		status int
		stdin  string
		args   []string
	}{
		"no secret": {1, "\n", []string{"ann", "--roles", "reader"}}, "no roles": {2, "x", []string{"ann"}}, "role": {1, "x", []string{"ann", "--roles", "root"}},
		"method": {2, "x", []string{"ann", "--roles", "reader", "--method", "password"}}, "key": {1, "x", []string{"ann", "--roles", "reader", "--method", "cryptosign"}},
	} {
		if status, stdout, stderr := user(c.stdin, c.args...); status != c.status || stdout != "" || stderr == "" {
			t.Errorf("%s: status %d, %q, %q", name, status, stdout, stderr)
		}
	}
}
