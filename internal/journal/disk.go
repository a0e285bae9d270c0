package journal

import (
	"errors"
	"os"
	"path/filepath"
)

// Disk is the operating system's file system. It goes past the page cache
// where the file system can do that, which saves a copy and the kernel's
// bookkeeping of dirty pages for every append.
type Disk struct {
	// Cached goes through the page cache.
	Cached bool
}

// MakeDir makes dir with mode 0700, and syncs its parent, also when it exists:
// whoever made it may not have come to that.
func (d Disk) MakeDir(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		switch {
		case errors.Is(err, os.ErrExist):
			return d.SyncDir(filepath.Dir(dir))
		case !errors.Is(err, os.ErrNotExist):
			return err
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return err
		}
		if err := d.MakeDir(parent); err != nil {
			return err
		}
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return d.SyncDir(filepath.Dir(dir))
}

// List returns the names in dir.
func (Disk) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// Create makes an empty file with mode 0600.
func (d Disk) Create(name string) (File, error) {
	return d.open(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
}

// Open opens an existing file.
func (d Disk) Open(name string) (File, error) { return d.open(name, os.O_RDWR) }

// Rename moves a file within its directory.
func (Disk) Rename(from, to string) error { return os.Rename(from, to) }

// Remove removes a file.
func (Disk) Remove(name string) error { return os.Remove(name) }

// SyncDir makes durable what was done to the names in dir.
func (Disk) SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Size is the size of the file.
func (f diskFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
