package eventstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// staging is a directory on its way: it is filled under a name of its own beside
// its place, and gets its name when it is whole and durable. What a crash leaves
// has the other name, and can be removed.
type staging struct{ place, dir string }

// stagingSuffix is what the names of unfinished directories contain.
const stagingSuffix = ".unfinished-"

// stage refuses a place that is taken: by anything but an empty directory.
func stage(place string) (*staging, error) {
	place = filepath.Clean(place)
	switch entries, err := os.ReadDir(place); {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return nil, err
	case len(entries) > 0:
		return nil, fmt.Errorf("%q is not empty: %w: give a new directory", place, os.ErrExist)
	}
	parent := filepath.Dir(place)
	if err := lmdbenv.MkdirAll(parent); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(parent, filepath.Base(place)+stagingSuffix)
	return &staging{place: place, dir: dir}, err
}

// finish makes what is in the directory durable and gives it its name, unless
// err is not nil: then it is removed.
func (g *staging) finish(err error) error {
	if err == nil {
		err = g.sync()
	}
	if err == nil {
		err = os.Rename(g.dir, g.place) // never onto anything that is not empty
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(g.dir))
	}
	return lmdbenv.SyncDir(filepath.Dir(g.place))
}

func (g *staging) sync() error {
	return filepath.WalkDir(g.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return lmdbenv.SyncDir(path) // a file is synced in the same way
	})
}
