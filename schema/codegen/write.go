package codegen

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Changed returns the files whose content on disk differs.
func Changed(files []File) ([]File, error) {
	var changed []File
	for _, f := range files {
		content, err := os.ReadFile(f.Path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if f.Content != nil {
				changed = append(changed, f)
			}
		case err != nil:
			return nil, err
		case f.Content == nil || !bytes.Equal(content, f.Content):
			changed = append(changed, f)
		}
	}
	return changed, nil
}

// Write brings the files on disk up to date and returns those that it changed:
// a file that is right already keeps its time, so that nothing is rebuilt for
// it. Each file is replaced at once.
func Write(files []File) ([]File, error) {
	changed, err := Changed(files)
	if err != nil {
		return nil, err
	}
	for _, f := range changed {
		if f.Content == nil {
			err = os.Remove(f.Path)
		} else {
			err = replace(f)
		}
		if err != nil {
			return nil, fmt.Errorf("write generated code: %w", err)
		}
	}
	return changed, nil
}

// matching returns the paths of what a directory has with names that begin and
// end so, sorted; none where there is no such directory. Unlike with
// filepath.Glob, the directory may have any name.
func matching(dir, prefix, suffix string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, entry := range entries {
		if name := entry.Name(); strings.HasPrefix(name, prefix) && strings.HasSuffix(name, suffix) {
			paths = append(paths, filepath.Join(dir, name))
		}
	}
	return paths, nil
}

func replace(f File) error {
	dir := filepath.Dir(f.Path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	temp, err := os.CreateTemp(dir, ".es-generate-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	_, err = temp.Write(f.Content)
	if err = errors.Join(err, temp.Chmod(0o644), temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), f.Path)
}
