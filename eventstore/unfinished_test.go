package eventstore

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// TestReaderOfAStoreThatIsBeingMade opens one whose log, and then whose index, has
// been made and holds nothing yet.
func TestReaderOfAStoreThatIsBeingMade(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, part := range []struct {
		name, kind string
		format     uint32
	}{{logDir, logKind, format}, {indexDir, indexKind, indexFormat}} {
		env, err := lmdbenv.Open(filepath.Join(dir, part.name), lmdbenv.Options{Kind: part.kind, Format: part.format})
		if err != nil {
			t.Fatal(err)
		}
		if err := env.Close(); err != nil {
			t.Fatal(err)
		}
		_, err = Open(dir, Options{ReadOnly: true})
		if !errors.Is(err, lmdbenv.ErrUnfinished) || errors.Is(err, ErrNotStore) {
			t.Errorf("the %s holds nothing: %v", part.name, err)
		}
		if part.name == logDir {
			l, err := openLog(filepath.Join(dir, logDir), lmdbenv.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := l.env.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
