//go:build !unix

package flatc

import (
	"context"
	"os/exec"
)

// command runs the program; only its time is bounded here, by the context.
func command(ctx context.Context, path string, args []string) *exec.Cmd {
	return exec.CommandContext(ctx, path, args...)
}
