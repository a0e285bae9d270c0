package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// gather copies the licence texts and notices of everything that is shipped to
// dir, one directory per module, and replaces what was there before.
func gather(dir string, all []module) (files int, err error) {
	if err := os.RemoveAll(dir); err != nil {
		return 0, err
	}
	for _, m := range all {
		if !m.Shipped {
			continue
		}
		for _, path := range m.Texts {
			relative, err := filepath.Rel(m.Root, path)
			if err != nil {
				return files, err
			}
			if err := copyFile(filepath.Join(dir, versioned(m), relative), path); err != nil {
				return files, err
			}
			files++
		}
	}
	if files == 0 {
		return 0, fmt.Errorf("no licence text found to copy to %q", dir)
	}
	return files, nil
}

func versioned(m module) string {
	if m.Version == "" {
		return m.Path
	}
	return filepath.FromSlash(m.Path) + "@" + strings.ReplaceAll(m.Version, "/", "_")
}

// copyFile writes new files, never with the module cache's read-only mode.
func copyFile(target, source string) error {
	text, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	return os.WriteFile(target, text, 0o644)
}
