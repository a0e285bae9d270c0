package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// standard is the name under which Go's own library and runtime are listed:
// they are in every binary.
const standard = "std"

// platforms are those that are supported; each may import other modules.
var platforms = []string{"linux", "darwin"}

// module is a dependency with the files that say how it is licensed.
type module struct {
	Path    string
	Version string
	// Shipped is false for a module that only tests import.
	Shipped bool
	// Root is the module's directory, Texts the absolute paths of its licence
	// files and notices in or above an imported package.
	Root  string
	Texts []string
}

// listed is the part of a package in the go command's output that is used here.
type listed struct {
	Dir      string
	Standard bool
	Module   *struct {
		Path, Version, Dir string
		Main               bool
	}
}

// modules returns every module that the packages of the module in root import,
// sorted by path, and Go's own library.
func modules(root string) ([]module, error) {
	found := map[string]*module{}
	for _, tests := range []bool{false, true} {
		for _, platform := range platforms {
			packages, err := list(root, platform, tests)
			if err != nil {
				return nil, err
			}
			if err := add(found, packages, !tests); err != nil {
				return nil, err
			}
		}
	}
	goroot, err := output(root, nil, "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	dir := strings.TrimSpace(string(goroot))
	texts, err := texts(dir, dir)
	if err != nil {
		return nil, err
	}
	all := []module{{Path: standard, Shipped: true, Root: dir, Texts: texts}}
	for _, m := range found {
		all = append(all, *m)
	}
	slices.SortFunc(all, func(a, b module) int { return strings.Compare(a.Path, b.Path) })
	return all, nil
}

func add(found map[string]*module, packages []listed, shipped bool) error {
	for _, p := range packages {
		if p.Standard || p.Module == nil || p.Module.Main {
			continue
		}
		if p.Module.Dir == "" || p.Dir == "" {
			return fmt.Errorf("module %s is not in the module cache: run \"go mod download\" first", p.Module.Path)
		}
		m := found[p.Module.Path]
		if m == nil {
			m = &module{Path: p.Module.Path, Version: p.Module.Version, Shipped: shipped, Root: p.Module.Dir}
			found[m.Path] = m
		}
		// A module that is shipped is judged by the packages that are.
		if m.Shipped != shipped {
			continue
		}
		files, err := texts(p.Module.Dir, p.Dir)
		if err != nil {
			return err
		}
		for _, f := range files {
			if !slices.Contains(m.Texts, f) {
				m.Texts = append(m.Texts, f)
			}
		}
		slices.Sort(m.Texts)
	}
	return nil
}

// texts returns the licence files and notices in dir and its parents up to root.
func texts(root, dir string) ([]string, error) {
	var found []string
	for {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.Type().IsRegular() && (isLicence(e.Name()) || isNotice(e.Name())) {
				found = append(found, filepath.Join(dir, e.Name()))
			}
		}
		if dir == root || dir == filepath.Dir(dir) {
			return found, nil
		}
		dir = filepath.Dir(dir)
	}
}

func isLicence(name string) bool {
	upper := strings.ToUpper(name)
	return strings.HasPrefix(upper, "LICENSE") || strings.HasPrefix(upper, "LICENCE") || strings.HasPrefix(upper, "COPYING")
}

// isNotice reports whether the file goes with the licence and grants nothing of
// its own that an SPDX expression would name.
func isNotice(name string) bool {
	upper := strings.ToUpper(name)
	return strings.HasPrefix(upper, "NOTICE") || strings.HasPrefix(upper, "PATENTS")
}

// spdx returns the SPDX expression of the module's licence files. A file that
// is not a known licence as good as word by word is an error: a person has to
// read it.
func (m module) spdx() (string, error) {
	var ids []string
	for _, path := range m.Texts {
		if !isLicence(filepath.Base(path)) {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		coverage := licensecheck.Scan(text)
		if coverage.Percent < 75 || len(coverage.Match) == 0 {
			return "", fmt.Errorf("%s is no licence known to this tool (%.0f%% recognized): read it", path, coverage.Percent)
		}
		for _, match := range coverage.Match {
			if !match.IsURL && !slices.Contains(ids, match.ID) {
				ids = append(ids, match.ID)
			}
		}
	}
	if len(ids) == 0 {
		return "", errors.New("it has no licence file")
	}
	slices.Sort(ids)
	return strings.Join(ids, " AND "), nil
}

// list asks the go command for what the module's packages import: those that
// are shipped, or all of them with their tests.
func list(root, platform string, tests bool) ([]listed, error) {
	environment := []string{"GOOS=" + platform, "CGO_ENABLED=1"}
	args := []string{"list", "-deps", "-json=Dir,Standard,Module"}
	if tests {
		args = append(args, "-test", "./...")
	} else {
		names, err := output(root, environment, "list", "./...")
		if err != nil {
			return nil, err
		}
		args = append(args, shipped(strings.Fields(string(names)))...)
	}
	out, err := output(root, environment, args...)
	if err != nil {
		return nil, err
	}
	var packages []listed
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		packages = append(packages, p)
	}
}

// shipped leaves out the exported test suites, such as eventstoretest: only
// tests import them.
func shipped(packages []string) []string {
	return slices.DeleteFunc(packages, func(name string) bool { return strings.HasSuffix(name, "test") })
}

func output(dir string, environment []string, args ...string) ([]byte, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), environment...)
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return nil, fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(exit.Stderr))
	}
	return out, err
}
