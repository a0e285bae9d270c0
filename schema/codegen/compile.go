package codegen

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/flatc"
)

// Compile returns the binary schema of the file at path, without comments: the
// same bytes that [Generate] embeds, in the same bounds of size, memory and
// time, and with the same errors, but for what is refused on account of Go. What
// [schema.Parse] refuses is refused.
func Compile(ctx context.Context, compiler *flatc.Compiler, warn io.Writer, path string) ([]byte, error) {
	dir, err := stagingDir()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	stage, err := newStage(filepath.Join(dir, "schema"), path)
	if err != nil {
		return nil, err
	}
	bfbs, err := stage.binary(ctx, compiler, warn, filepath.Join(dir, "plain"))
	if err != nil {
		return nil, err
	}
	model, err := schema.Parse(bfbs)
	if err != nil {
		return nil, stage.main.inModelError(err)
	}
	if problems := lostDefaults(stage.main, model); problems != nil {
		return nil, problems
	}
	return bfbs, nil
}

// binary has the compiler make the binary schema, in directory out.
func (s *stage) binary(ctx context.Context, compiler *flatc.Compiler, warn io.Writer, out string, extra ...string) ([]byte, error) {
	args := append([]string{"--schema", "-b", "--bfbs-builtins", "--bfbs-filenames", s.dir, "-o", out}, extra...)
	err := s.run(ctx, compiler, warn, args...)
	if refused := (*flatc.Error)(nil); errors.As(err, &refused) {
		// Where the parser of sources knows better.
		if problems := unionsBelow(s.main); problems != nil {
			return nil, problems
		}
		if strings.Contains(refused.Message, "field id's must be consecutive") {
			if problems := wrongIDs(s.main); problems != nil {
				return nil, problems
			}
		}
		if strings.Contains(refused.Message, "--require-explicit-ids") {
			if problems := withoutIDs(s.main); problems != nil {
				return nil, problems
			}
		}
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(out, trimExt(s.name)+".bfbs"))
}
