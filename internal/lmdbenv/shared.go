//go:build cgo && unix

package lmdbenv

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/PowerDNS/lmdb-go/lmdb"
)

// LMDB must not open a file twice in one process: closing one of the two drops
// the process's locks on the reader table and clears the slots of both, and the
// writer would then reuse pages that are being read. So an [Env] that is opened
// beside another one on the same data file shares what LMDB has open.
type shared struct {
	*lmdb.Env
	file     fileID
	readOnly bool
	opening  sync.Mutex    // one handle at a time
	slots    chan struct{} // one for each reader in flight
	users    int           // guarded by opened
}

// fileID identifies a data file for as long as it is open.
type fileID struct{ device, inode uint64 }

// opened are the environments that this process has open.
var opened = struct {
	sync.Mutex
	by map[fileID]*shared
}{by: make(map[fileID]*shared)}

// share opens the environment in dir, or takes part in the one that is open. It
// returns with the opening of handles locked, so that who takes part finds what
// the first one has to write.
func share(dir string, o Options) (*shared, error) {
	s, first, err := openShared(dir, o)
	if err == nil && !first {
		s.opening.Lock()
	}
	return s, err
}

// openShared locks the opening of handles if it is the first.
func openShared(dir string, o Options) (s *shared, first bool, err error) {
	opened.Lock()
	defer opened.Unlock()
	file, err := identify(dir)
	if err != nil && o.ReadOnly {
		return nil, false, err
	}
	if s := opened.by[file]; err == nil && s != nil {
		if s.readOnly && !o.ReadOnly {
			return nil, false, errors.New("it is open for reading only in this process: close that first")
		}
		s.users++
		return s, false, nil
	}
	if o.ReadOnly && !o.NoLock && !Lockable(dir) {
		return nil, false, fmt.Errorf("its reader table %q can't be written, so a writer would not know of this reader: %w", filepath.Join(dir, tableFile), os.ErrPermission)
	}
	raw, err := openRaw(dir, o)
	if err != nil {
		return nil, false, err
	}
	if file, err = identify(dir); err != nil {
		return nil, false, errors.Join(err, raw.Close())
	}
	s = &shared{Env: raw, file: file, readOnly: o.ReadOnly, slots: make(chan struct{}, ownReaders), users: 1}
	s.opening.Lock()
	opened.by[file] = s
	return s, true, nil
}

// release closes the environment when nobody uses it any more.
func (s *shared) release() error {
	opened.Lock()
	defer opened.Unlock()
	if s.users--; s.users > 0 {
		return nil
	}
	delete(opened.by, s.file)
	return s.Close()
}

func identify(dir string) (fileID, error) {
	info, err := os.Stat(filepath.Join(dir, DataFile))
	if err != nil {
		return fileID{}, err
	}
	stat := info.Sys().(*syscall.Stat_t)
	return fileID{uint64(stat.Dev), stat.Ino}, nil
}

// tableFile is the name of LMDB's reader table.
const tableFile = "lock.mdb"

// Lockable reports whether this process can enter its readers into the table of
// the environment in dir. Where it can't, because it may not write there or
// nobody may, [Options].NoLock is the way to read.
func Lockable(dir string) bool {
	const write = 2
	err := syscall.Access(filepath.Join(dir, tableFile), write)
	if errors.Is(err, os.ErrNotExist) {
		err = syscall.Access(dir, write)
	}
	if errors.Is(err, os.ErrNotExist) {
		return true // to open it tells more
	}
	return err == nil
}
