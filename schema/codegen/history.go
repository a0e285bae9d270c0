package codegen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/verbatim-es/verbatim/schema/compat"
	"github.com/verbatim-es/verbatim/schema/verify"
)

// Breaking compares the binary schemas among files with those that they are
// about to replace, and returns what breaks the mode, with the line it is on:
// that of the table where a field is gone, none where a table is. See package
// compat for the rules.
//
// What a schema is compared with is the version that git has of it at HEAD: what
// was generated since then and not committed may change freely. Where git has
// none, it is the file itself; where there is no file, nothing.
func Breaking(ctx context.Context, mode compat.Mode, files []File) (Problems, error) {
	var problems Problems
	for _, f := range files {
		if f.source == nil || mode == compat.NoCheck {
			continue
		}
		old, err := checkedIn(ctx, f.Path)
		if err != nil {
			return nil, err
		}
		if old == nil || bytes.Equal(old, f.Content) {
			continue
		}
		findings, err := compat.Check(old, f.Content, mode)
		if err != nil {
			return nil, fmt.Errorf("compare with %s: %w", f.Path, err)
		}
		for _, finding := range findings {
			problems = append(problems, Problem{File: f.source.file, Line: f.source.nearest(finding.Location), Message: finding.String()})
		}
	}
	return problems.sorted(), nil
}

// checkedIn returns the committed content of a file, its present one where
// nothing is committed, nil where there is none.
func checkedIn(ctx context.Context, path string) ([]byte, error) {
	f, err := os.Open(path)
	present := err == nil
	if present {
		defer f.Close()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if committed, ok := inGit(ctx, path); ok {
		return committed, nil
	}
	if !present {
		return nil, nil
	}
	content, err := io.ReadAll(io.LimitReader(f, verify.MaxBFBS+1))
	if err == nil && len(content) > verify.MaxBFBS {
		err = fmt.Errorf("%s is no binary schema: it has more than %d bytes", path, verify.MaxBFBS)
	}
	return content, err
}

// inGit returns a file's content at HEAD. Without git, outside of a repository
// and for a file that is not in it there is none.
func inGit(ctx context.Context, path string) ([]byte, bool) {
	dir := filepath.Dir(path)
	for { // what was removed is still at HEAD
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			break
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return nil, false
		}
		dir = parent
	}
	below, err := filepath.Rel(dir, path)
	if err != nil {
		return nil, false
	}
	cmd := exec.CommandContext(ctx, "git", "-C", dir, "cat-file", "blob", "HEAD:./"+filepath.ToSlash(below))
	content, err := cmd.Output()
	return content, err == nil && len(content) <= verify.MaxBFBS
}

// nearest is the line of what a name means or, where that is gone, of what it
// was in; 0 where that is gone, too.
func (s *source) nearest(name string) int {
	for {
		if line := s.lineOf(name); line > 0 {
			return line
		}
		dot := strings.LastIndexByte(name, '.')
		if dot < 0 {
			return 0
		}
		name = name[:dot]
	}
}
