package codegen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/verbatim-es/verbatim/schema/verify"
)

// checkout is a directory in the working tree of a git repository that has a
// commit.
type checkout struct {
	dir string // that there is
	// below is the path from there to the directory that was asked for, with
	// slashes: what was removed is still at HEAD.
	below string
}

// checkoutOf returns where in a repository a directory is, nil when it is in
// none, when nothing is committed, or where git is not installed. Everything
// else that git ends with is an error, such as that the repository is somebody
// else's: what is committed is then not known.
func checkoutOf(ctx context.Context, dir string) (*checkout, error) {
	if _, err := exec.LookPath("git"); err != nil {
		return nil, nil
	}
	existing, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	below := ""
	for {
		if info, err := os.Stat(existing); err == nil && info.IsDir() {
			break
		}
		parent := filepath.Dir(existing)
		if parent == existing {
			return nil, nil
		}
		existing, below = parent, path.Join(filepath.Base(existing), below)
	}
	if inside, err := inRepository(existing); err != nil || !inside {
		return nil, err
	}
	c := &checkout{dir: existing, below: below}
	// Says nothing and ends with 1 where nothing is committed yet.
	if _, err := c.git(ctx, "rev-parse", "--quiet", "--verify", "HEAD"); err != nil {
		if ended := (*exec.ExitError)(nil); ctx.Err() == nil && errors.As(err, &ended) && ended.ExitCode() == 1 {
			return nil, nil
		}
		return nil, err
	}
	return c, nil
}

// inRepository tells whether git would find a repository, without asking it:
// it says "none" and "one that I don't trust" with the same status.
func inRepository(dir string) (bool, error) {
	if os.Getenv("GIT_DIR") != "" {
		return true, nil
	}
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false, err
	}
	for {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return true, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return false, nil
		}
		dir = parent
	}
}

// git returns what a git command says.
func (c *checkout) git(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", c.dir, "--literal-pathspecs"}, args...)...)
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if ended := (*exec.ExitError)(nil); errors.As(err, &ended) {
		err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(ended.Stderr))
	}
	if err != nil {
		return nil, fmt.Errorf("ask git in %s what is committed: %w", c.dir, err)
	}
	return out, nil
}

// atHead returns the committed content of a file in the directory, which has no
// more than a binary schema may have; nil where none is committed.
func (c *checkout) atHead(ctx context.Context, name string) ([]byte, error) {
	// Mode, kind, name and size, and behind a tab the path.
	entry, err := c.git(ctx, "ls-tree", "-l", "-z", "HEAD", "--", path.Join(c.below, name))
	if err != nil {
		return nil, err
	}
	before, _, _ := strings.Cut(string(entry), "\t")
	words := strings.Fields(before)
	if len(words) != 4 || words[1] != "blob" {
		return nil, nil
	}
	if size, err := strconv.Atoi(words[3]); err != nil || size > verify.MaxBFBS {
		return nil, fmt.Errorf("%s at HEAD is no binary schema: it has more than %d bytes", filepath.Join(c.dir, c.below, name), verify.MaxBFBS)
	}
	return c.git(ctx, "cat-file", "blob", words[2])
}

// tracked returns the names of the files in a directory of the directory that
// are committed or staged to be.
func (c *checkout) tracked(ctx context.Context, dir string) (map[string]bool, error) {
	out, err := c.git(ctx, "ls-files", "-z", "--", path.Join(c.below, dir))
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for name := range strings.SplitSeq(string(out), "\x00") {
		names[path.Base(name)] = true
	}
	return names, nil
}
