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
	"slices"
	"strings"

	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/compat"
	"github.com/verbatim-es/verbatim/schema/verify"
)

// historyDir is the directory, beside a binary schema, of the versions that it
// has replaced: each under its fingerprint, so that two branches never write
// different files of one name.
const historyDir = "history"

// Breaking compares the binary schemas among files with all versions that they
// follow, and returns what breaks the mode, with the line it is on: that of the
// table where a field is gone, none where a table is. See package compat for the
// rules.
//
// The versions are those in the directory "history" beside the file, which
// [Retire] keeps, and the one that is about to be replaced: what git has at HEAD,
// since what was generated after that and not committed may change freely.
// Where git has none, it is the file itself; where there is no file, nothing.
func Breaking(ctx context.Context, mode compat.Mode, files []File) (Problems, error) {
	var problems Problems
	for _, f := range files {
		if f.source == nil || mode == compat.NoCheck {
			continue
		}
		past, err := pastOf(ctx, f)
		if err != nil {
			return nil, err
		}
		history := make([][]byte, len(past))
		for i, v := range past {
			history[i] = v.bfbs
		}
		findings, err := compat.CheckHistory(history, f.Content, mode)
		if err != nil {
			return nil, fmt.Errorf("compare %s with its history: %w", f.Path, err)
		}
		for _, finding := range findings {
			message := finding.String()
			if v := past[finding.Against]; v.kept {
				message += " (against " + v.path + ")"
			}
			problems = append(problems, Problem{File: f.source.file, Line: f.source.nearest(finding.Location), Message: message})
		}
	}
	return problems.sorted(), nil
}

// Retire returns what happens to the history of the binary schemas among files
// when these are written: the version that each replaces is kept for comparisons
// to come. A version that breaks the mode is forgotten, which happens only when
// it was overruled, or when the mode is not transitive.
func Retire(ctx context.Context, mode compat.Mode, files []File) ([]File, error) {
	var changes []File
	for _, f := range files {
		if f.source == nil {
			continue
		}
		past, err := pastOf(ctx, f)
		if err != nil {
			return nil, err
		}
		for _, v := range past {
			findings, err := compat.CheckHistory([][]byte{v.bfbs}, f.Content, mode)
			if err != nil {
				return nil, fmt.Errorf("compare %s with %s: %w", f.Path, v.path, err)
			}
			forget := bytes.Equal(v.bfbs, f.Content) || len(findings) > 0
			switch {
			case forget && v.kept:
				changes = append(changes, File{Path: v.path})
			case !forget && !v.kept:
				parsed, err := schema.Parse(v.bfbs)
				if err != nil {
					return nil, fmt.Errorf("keep the version of %s: %w", f.Path, err)
				}
				name := fmt.Sprintf("%016x.bfbs", parsed.Fingerprint)
				changes = append(changes, File{Path: filepath.Join(filepath.Dir(f.Path), historyDir, name), Content: v.bfbs})
			}
		}
	}
	return changes, nil
}

// version is an earlier version of a binary schema.
type version struct {
	path string
	bfbs []byte
	kept bool // in the history, and not about to be replaced
}

// pastOf returns the versions that a binary schema follows: the history, in any
// order, and last what it replaces.
func pastOf(ctx context.Context, f File) ([]version, error) {
	kept, err := filepath.Glob(filepath.Join(filepath.Dir(f.Path), historyDir, "*.bfbs"))
	if err != nil {
		return nil, err
	}
	var past []version
	for _, path := range kept {
		bfbs, err := readBinary(path)
		if err != nil {
			return nil, err
		}
		if _, err := schema.Parse(bfbs); err != nil {
			return nil, fmt.Errorf("%s: %w: restore it, or remove it if nobody ever used that version", path, err)
		}
		past = append(past, version{path, bfbs, true})
	}
	old, err := checkedIn(ctx, f.Path)
	if err != nil || old == nil {
		return past, err
	}
	for i, v := range past {
		if bytes.Equal(v.bfbs, old) { // a version that came back
			return append(slices.Delete(past, i, i+1), v), nil
		}
	}
	return append(past, version{f.Path, old, false}), nil
}

// checkedIn returns the committed content of a file, its present one where
// nothing is committed, nil where there is none.
func checkedIn(ctx context.Context, path string) ([]byte, error) {
	if committed, ok := inGit(ctx, path); ok {
		return committed, nil
	}
	content, err := readBinary(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return content, err
}

// readBinary reads no more than a binary schema may have.
func readBinary(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
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
