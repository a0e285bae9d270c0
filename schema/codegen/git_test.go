package codegen

import (
	"context"
	"errors"
	"os/exec"
	"testing"
)

// An interrupted question is no answer, in particular not that nothing is
// committed.
func TestCheckoutIsInterrupted(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "git", "-C", dir, "init", "-q").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if c, err := checkoutOf(t.Context(), dir); c != nil || err != nil {
		t.Errorf("nothing is committed: %v, %v", c, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if c, err := checkoutOf(ctx, dir); c != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v, %v", c, err)
	}
}
