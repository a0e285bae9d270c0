//go:build unix

package flatc

import (
	"context"
	"fmt"
	"os/exec"
)

// bounds sets what a process may use, for itself and the program that it then
// becomes: a shell is the portable way. A bound that the system does not have is
// left out silently.
var bounds = fmt.Sprintf(`{ ulimit -c 0; ulimit -v %d; ulimit -t %d; ulimit -f %d; } 2>/dev/null; exec "$0" "$@"`,
	maxMemory>>10, int(maxTime.Seconds()), maxOutput>>9)

// command runs the program within bounds.
func command(ctx context.Context, path string, args []string) *exec.Cmd {
	return exec.CommandContext(ctx, "/bin/sh", append([]string{"-c", bounds, path}, args...)...)
}
