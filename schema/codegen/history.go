package codegen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/compat"
	"github.com/verbatim-es/verbatim/schema/verify"
)

// historyDir is the directory, beside a binary schema, of all its versions, the
// present one too: each under its fingerprint, so that two branches never write
// different files of one name, and a merge keeps those of both.
const historyDir = "history"

// historyPath is where the history of the binary schema at path keeps a version.
func historyPath(path string, fingerprint uint64) string {
	return filepath.Join(filepath.Dir(path), historyDir, fmt.Sprintf("%016x.bfbs", fingerprint))
}

// Breaking compares the binary schemas among files with all versions that they
// follow, and returns what breaks the mode, with the line it is on: that of the
// table where a field is gone, none where a table is. See package compat for the
// rules. Under mode NONE nothing is read.
//
// The versions are those in the directory "history" beside the file, where
// [Generate] puts each, and the one that is about to be replaced: what git has at
// HEAD. One that the history lists and does not have is a problem, too. What was
// generated after that, and is neither committed nor staged, may
// change freely. Where git has no version, it is the file itself; where there is
// no file, nothing.
func Breaking(ctx context.Context, mode compat.Mode, files []File) (Problems, error) {
	var problems Problems
	for _, f := range files {
		if f.source == nil || mode == compat.NoCheck {
			continue
		}
		gone, err := missing(ctx, f)
		if err != nil {
			return nil, err
		}
		problems = append(problems, gone...)
		past, _, err := pastOf(ctx, f)
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
// when these are written, besides their own being in it: the version that each
// replaces is kept for comparisons to come, if it is not yet. A version that
// breaks the mode is forgotten, which happens only when it was overruled, or when
// the mode is not transitive, and so are drafts. Mode NONE forgets all, unread. The
// list of versions is brought up to date.
func Retire(ctx context.Context, mode compat.Mode, files []File) ([]File, error) {
	var changes []File
	for _, f := range files {
		if f.source == nil {
			continue
		}
		change := retire
		if mode == compat.NoCheck {
			change = forgetAll
		}
		more, err := change(ctx, mode, f)
		if err != nil {
			return nil, err
		}
		changes = append(changes, more...)
	}
	return changes, nil
}

func forgetAll(_ context.Context, _ compat.Mode, f File) ([]File, error) {
	kept, err := keptVersions(f.Path)
	var changes []File
	for _, path := range kept {
		if path != historyPath(f.Path, f.fingerprint) {
			changes = append(changes, File{Path: path})
		}
	}
	return append(changes, listOf(f.Path, []uint64{f.fingerprint})), err
}

func retire(ctx context.Context, mode compat.Mode, f File) ([]File, error) {
	past, drafts, err := pastOf(ctx, f)
	if err != nil {
		return nil, err
	}
	var changes []File
	for _, path := range drafts {
		changes = append(changes, File{Path: path})
	}
	listed := []uint64{f.fingerprint}
	for _, v := range past {
		if v.fingerprint == f.fingerprint {
			continue // f's own
		}
		findings, err := compat.CheckHistory([][]byte{v.bfbs}, f.Content, mode)
		if err != nil {
			return nil, fmt.Errorf("compare %s with %s: %w", f.Path, v.path, err)
		}
		forget := len(findings) > 0
		if !forget {
			listed = append(listed, v.fingerprint)
		}
		switch {
		case forget && v.kept:
			changes = append(changes, File{Path: v.path})
		case !forget && !v.kept:
			changes = append(changes, File{Path: historyPath(f.Path, v.fingerprint), Content: v.bfbs})
		}
	}
	return append(changes, listOf(f.Path, listed)), nil
}

// version is an earlier version of a binary schema.
type version struct {
	path        string
	bfbs        []byte
	fingerprint uint64
	kept        bool // in the history
}

// parseVersion reads the version that a file holds.
func parseVersion(path string, bfbs []byte, kept bool) (version, error) {
	parsed, err := schema.Parse(bfbs)
	if err != nil {
		return version{}, fmt.Errorf("%s: %w: restore it, or remove it if nobody ever used that version", path, err)
	}
	return version{path, bfbs, parsed.Fingerprint, kept}, nil
}

// pastOf returns the versions that a binary schema follows: the history, in any
// order, and last what it replaces. Apart from them are the paths of drafts,
// which the history has and git has not: no version that anybody used.
func pastOf(ctx context.Context, f File) (past []version, drafts []string, err error) {
	kept, err := keptVersions(f.Path)
	if err != nil {
		return nil, nil, err
	}
	old, in, err := replaced(ctx, f.Path)
	if err != nil {
		return nil, nil, err
	}
	var tracked map[string]bool
	if in != nil {
		if tracked, err = in.tracked(ctx, historyDir); err != nil {
			return nil, nil, err
		}
	}
	for _, path := range kept {
		if in != nil && !tracked[filepath.Base(path)] {
			if path != historyPath(f.Path, f.fingerprint) {
				drafts = append(drafts, path)
			}
			continue
		}
		bfbs, err := readBinary(path)
		if err != nil {
			return nil, nil, err
		}
		v, err := parseVersion(path, bfbs, true)
		if err != nil {
			return nil, nil, err
		}
		past = append(past, v)
	}
	if old == nil {
		return past, drafts, nil
	}
	last, err := parseVersion(f.Path, old, false)
	if err != nil {
		return nil, nil, err
	}
	if i := slices.IndexFunc(past, func(v version) bool { return v.fingerprint == last.fingerprint }); i >= 0 {
		last = past[i]
		return append(slices.Delete(past, i, i+1), last), drafts, nil
	}
	if in != nil && len(kept) > 0 {
		// Taken out of the history since the last commit: it was overruled.
		committed, err := in.atHead(ctx, historyDir+"/"+filepath.Base(historyPath(f.Path, last.fingerprint)))
		if err != nil || committed != nil {
			return past, drafts, err
		}
	}
	return append(past, last), drafts, nil
}

// keptVersions returns the paths of the versions in the history of the binary
// schema at path, sorted.
func keptVersions(path string) ([]string, error) {
	return matching(filepath.Join(filepath.Dir(path), historyDir), "", ".bfbs")
}

// replaced returns the version that a binary schema at path replaces, and the
// checkout that it is committed in: what is at HEAD, or where nothing is, the
// present file and no checkout; nil where there is none.
func replaced(ctx context.Context, path string) ([]byte, *checkout, error) {
	in, err := checkoutOf(ctx, filepath.Dir(path))
	if err != nil {
		return nil, nil, err
	}
	if in != nil {
		if committed, err := in.atHead(ctx, filepath.Base(path)); err != nil || committed != nil {
			return committed, in, err
		}
	}
	content, err := readBinary(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	return content, nil, err
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
