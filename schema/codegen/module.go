package codegen

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// importPath returns the import path of a package in directory dir, which need
// not exist yet.
func importPath(ctx context.Context, dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	existing := dir
	for {
		if info, err := os.Stat(existing); err == nil && info.IsDir() {
			break
		}
		existing = filepath.Dir(existing)
	}
	gomod, err := goOutput(ctx, existing, "env", "GOMOD")
	if err != nil {
		return "", err
	}
	file := strings.TrimSpace(string(gomod))
	if file == "" || file == os.DevNull {
		return "", fmt.Errorf("%s lies in no Go module: generated packages import each other, run go mod init first", dir)
	}
	described, err := goOutput(ctx, existing, "mod", "edit", "-json", file)
	if err != nil {
		return "", err
	}
	var mod struct{ Module struct{ Path string } }
	if err := json.Unmarshal(described, &mod); err != nil {
		return "", fmt.Errorf("read %s: %w", file, err)
	}
	// The go command names go.mod without symbolic links.
	real, err := filepath.EvalSymlinks(existing)
	if err != nil {
		return "", err
	}
	below, err := filepath.Rel(filepath.Dir(file), filepath.Join(real, strings.TrimPrefix(dir, existing)))
	if err != nil {
		return "", fmt.Errorf("place %s in its module: %w", dir, err)
	}
	return path.Join(mod.Module.Path, filepath.ToSlash(below)), nil
}

func goOutput(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s in %s: %w: %s", strings.Join(args, " "), dir, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}
