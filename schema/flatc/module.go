package flatc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

const modulePath = "github.com/google/flatbuffers"

// module is a version of flatbuffers in the module cache.
type module struct {
	Path    string
	Version string
	Dir     string
	Sum     string // "h1:…", what go.sum holds for it
	Replace *module
}

// number is the version as flatc writes it: "v25.12.19+incompatible" is
// "25.12.19".
func (m *module) number() string {
	number, _, _ := strings.Cut(strings.TrimPrefix(m.Version, "v"), "+")
	return number
}

// selectModule asks the go command which version the module around dir selects
// and has it downloaded and verified.
func selectModule(ctx context.Context, dir string) (*module, error) {
	var selected, downloaded module
	// -mod=readonly also where a vendor directory would answer "unknown".
	err := goCommand(ctx, dir, &selected, "list", "-mod=readonly", "-m", "-json", modulePath)
	if err != nil {
		return nil, fmt.Errorf("which version of %s does this module select? %w (run es inside a module that requires github.com/verbatim-es/verbatim)", modulePath, err)
	}
	if r := selected.Replace; r != nil {
		if r.Version == "" {
			return nil, fmt.Errorf("%s is replaced by the directory %s, which no go.sum vouches for: replace it by a module version, or remove the replace directive", modulePath, r.Path)
		}
		selected.Path, selected.Version = r.Path, r.Version
	}
	err = goCommand(ctx, dir, &downloaded, "mod", "download", "-json", selected.Path+"@"+selected.Version)
	if err != nil {
		return nil, fmt.Errorf("download %s@%s: %w", selected.Path, selected.Version, err)
	}
	if downloaded.Dir == "" || downloaded.Sum == "" {
		return nil, fmt.Errorf("download %s@%s: go mod download reported no directory or no sum", selected.Path, selected.Version)
	}
	return &downloaded, nil
}

// goCommand decodes the JSON that go prints into result.
func goCommand(ctx context.Context, dir string, result any, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		// go mod download -json reports its errors as JSON on stdout.
		var reported struct{ Error string }
		if json.Unmarshal(stdout.Bytes(), &reported) == nil && reported.Error != "" {
			return errors.New(reported.Error)
		}
		if message := strings.TrimSpace(stderr.String()); message != "" {
			return errors.New(message)
		}
		return fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	if err := json.Unmarshal(stdout.Bytes(), result); err != nil {
		return fmt.Errorf("go %s printed something else than expected: %w", strings.Join(args, " "), err)
	}
	return nil
}
