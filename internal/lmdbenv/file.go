//go:build cgo

package lmdbenv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// DataFile is the name of an environment's data file.
const DataFile = "data.mdb"

// DamagedError says that a data file is not whole. [IsDamaged] recognizes it.
// When the file never was one of LMDB, it is an [ErrForeign] too.
type DamagedError struct {
	File string
	// Size of the file, and how large it must be at least, in bytes; Need is 0
	// when that can't be known.
	Size, Need int64
	// Cause is what else is wrong, or nil.
	Cause error
}

func (e *DamagedError) Error() string {
	const remedy = "restore a log from a backup; an index or views are rebuilt once their directory is deleted"
	if e.Need > 0 {
		return fmt.Sprintf("%q is cut off: it has %d bytes and needs %d: %s", e.File, e.Size, e.Need, remedy)
	}
	return fmt.Sprintf("%q, of %d bytes, is no whole LMDB file: %v: %s", e.File, e.Size, e.Cause, remedy)
}

func (e *DamagedError) Unwrap() error { return e.Cause }

// Check looks at the data file in dir without LMDB: it takes no lock, creates
// nothing and touches no page that is not there, where LMDB would be killed by
// SIGBUS. A file that is cut off or is none of LMDB fails with a
// [*DamagedError], one of another kind with [ErrForeign]. Without a file, or
// with an empty one, there is nothing to object to.
//
// While another process writes to the environment, the answer may be wrong.
func Check(dir, kind string) error {
	file, err := os.Open(filepath.Join(dir, DataFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	for {
		d := &dataFile{file: file}
		err := d.check(kind)
		if err == nil {
			return nil
		}
		// A commit meanwhile may have reused the pages that were read.
		now := &dataFile{file: file}
		if now.header() != nil || now.txn == d.txn {
			return err
		}
	}
}

// The format of LMDB 0.9 on 64 bits, in the order of bytes of the machine.
const (
	lmdbMagic   = 0xBEEFC0DE
	lmdbVersion = 1

	pageHeader = 16 // number 8, pad 2, flags 2, then lower 2 and upper 2
	metaSize   = pageHeader + 136
	treeSize   = 48 // a tree's record; its root are the last 8 bytes
	nodeHeader = 8

	pageBranch, pageLeaf, pageMeta = 1, 2, 8
	nodeBig, nodeSub               = 1, 2

	noRoot   = 1<<64 - 1
	maxDepth = 32 // of LMDB's own cursors
)

var errMangled = errors.New("a page is not what it should be")

// dataFile reads a data file as of its last commit.
type dataFile struct {
	file       *os.File
	size       int64
	pageSize   int64
	last       uint64 // number of the last page that was ever in use
	txn        uint64 // the last commit
	free, main uint64 // roots of the free pages and of the named databases
}

func (d *dataFile) check(kind string) error {
	if err := d.header(); err != nil || d.size == 0 {
		return err
	}
	short := d.short()
	found, err := d.kind()
	switch {
	case short != nil:
		if err == nil && found != "" && found != kind {
			return foreign(d.file.Name(), kind, found)
		}
		return short
	case err != nil:
		return d.damaged(err)
	case found != kind && (found != "" || d.main != noRoot):
		return foreign(d.file.Name(), kind, found)
	}
	return nil
}

func foreign(name, want, found string) error {
	return fmt.Errorf("%q: %w: want %q, found %q", filepath.Dir(name), ErrForeign, want, found)
}

func (d *dataFile) damaged(cause error) error {
	return &DamagedError{File: d.file.Name(), Size: d.size, Cause: cause}
}

// header reads both meta pages and follows the newer one.
func (d *dataFile) header() error {
	info, err := d.file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return d.damaged(ErrForeign)
	}
	if d.size = info.Size(); d.size == 0 {
		return nil
	}
	for page := range int64(2) {
		meta := make([]byte, metaSize)
		if _, err := d.file.ReadAt(meta, page*d.pageSize); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		word := func(at int) uint64 { return binary.NativeEndian.Uint64(meta[at:]) }
		if binary.NativeEndian.Uint32(meta[16:]) != lmdbMagic || binary.NativeEndian.Uint16(meta[10:])&pageMeta == 0 {
			if page == 0 {
				return d.damaged(ErrForeign)
			}
			return d.damaged(errors.New("its second page is missing"))
		}
		if version := binary.NativeEndian.Uint32(meta[20:]); version != lmdbVersion {
			return d.damaged(fmt.Errorf("%w: it has version %d of LMDB's format", ErrForeign, version))
		}
		if page == 0 {
			d.pageSize = int64(binary.NativeEndian.Uint32(meta[40:]))
			if d.pageSize < 256 || d.pageSize > 1<<16 || d.pageSize&(d.pageSize-1) != 0 {
				return d.damaged(fmt.Errorf("its pages have %d bytes", d.pageSize))
			}
		}
		if page == 0 || word(144) > d.txn {
			d.free, d.main, d.last, d.txn = word(80), word(128), word(136), word(144)
		}
	}
	if d.last > 1<<48 {
		return d.damaged(errMangled)
	}
	// Only now: a commit meanwhile may have made the file longer before it said so.
	if info, err = d.file.Stat(); err == nil {
		d.size = info.Size()
	}
	return err
}

// short reports whether pages are missing that hold something. LMDB writes no
// pages that a transaction took and gave back, so a healthy file may lack some
// at its end.
func (d *dataFile) short() error {
	present := uint64(d.size / d.pageSize)
	if present > d.last {
		return nil
	}
	if present >= 2 {
		missing := d.last + 1 - present
		err := d.walk(d.free, func(_ []byte, value func() ([]byte, error), _ uint16) error {
			ids, err := value()
			if err != nil {
				return err
			}
			for at := 8; at+8 <= len(ids); at += 8 {
				if id := binary.NativeEndian.Uint64(ids[at:]); id >= present && id <= d.last {
					missing--
				}
			}
			return nil
		})
		if err == nil && missing == 0 || d.whole(d.main) == nil && d.whole(d.free) == nil {
			return nil
		}
	}
	return &DamagedError{File: d.file.Name(), Size: d.size, Need: int64(d.last+1) * d.pageSize}
}

// whole reads everything below a root.
func (d *dataFile) whole(root uint64) error {
	return d.walk(root, func(_ []byte, value func() ([]byte, error), flags uint16) error {
		v, err := value()
		if err == nil && flags&nodeSub != 0 {
			err = d.subtree(v, d.whole)
		}
		return err
	})
}

func (d *dataFile) subtree(record []byte, fn func(root uint64) error) error {
	if len(record) != treeSize {
		return errMangled
	}
	return fn(binary.NativeEndian.Uint64(record[treeSize-8:]))
}

// kind returns what [Env.checkMeta] wrote, "" when there is nothing.
func (d *dataFile) kind() (kind string, err error) {
	err = d.walk(d.main, func(key []byte, value func() ([]byte, error), flags uint16) error {
		if string(key) != metaDB || flags&nodeSub == 0 {
			return nil
		}
		record, err := value()
		if err != nil {
			return err
		}
		return d.subtree(record, func(root uint64) error {
			return d.walk(root, func(key []byte, value func() ([]byte, error), _ uint16) error {
				if string(key) != kindKey {
					return nil
				}
				v, err := value()
				kind = string(v)
				return err
			})
		})
	})
	return kind, err
}

// walk calls fn for every entry of a tree. value reads the entry's value.
func (d *dataFile) walk(root uint64, fn func(key []byte, value func() ([]byte, error), flags uint16) error) error {
	if root == noRoot {
		return nil
	}
	return d.walkPage(root, maxDepth, fn)
}

func (d *dataFile) walkPage(number uint64, depth int, fn func(key []byte, value func() ([]byte, error), flags uint16) error) error {
	page, err := d.read(number, d.pageSize)
	if err != nil {
		return err
	}
	u16 := func(at int) int { return int(binary.NativeEndian.Uint16(page[at:])) }
	flags, lower := u16(10), u16(12)
	if depth == 0 || flags&(pageBranch|pageLeaf) == 0 || lower < pageHeader || lower > len(page) {
		return errMangled
	}
	for at := pageHeader; at+2 <= lower; at += 2 {
		node := u16(at)
		if node+nodeHeader > len(page) {
			return errMangled
		}
		low := uint64(u16(node)) | uint64(u16(node+2))<<16
		if flags&pageBranch != 0 {
			if err := d.walkPage(low|uint64(u16(node+4))<<32, depth-1, fn); err != nil {
				return err
			}
			continue
		}
		start := node + nodeHeader + u16(node+6)
		if start > len(page) {
			return errMangled
		}
		nodeFlags := uint16(u16(node + 4))
		value := func() ([]byte, error) {
			if nodeFlags&nodeBig == 0 {
				if low > uint64(len(page)-start) {
					return nil, errMangled
				}
				return page[start : start+int(low)], nil
			}
			if start+8 > len(page) {
				return nil, errMangled
			}
			big, err := d.read(binary.NativeEndian.Uint64(page[start:]), pageHeader+int64(low))
			if err != nil {
				return nil, err
			}
			return big[pageHeader:], nil
		}
		if err := fn(page[node+nodeHeader:start], value, nodeFlags); err != nil {
			return err
		}
	}
	return nil
}

// read returns the first bytes of a page and those behind it.
func (d *dataFile) read(number uint64, n int64) ([]byte, error) {
	pages := uint64((n + d.pageSize - 1) / d.pageSize)
	if number < 2 || number > d.last || number+pages > uint64(d.size/d.pageSize) {
		return nil, errMangled
	}
	b := make([]byte, n)
	_, err := d.file.ReadAt(b, int64(number)*d.pageSize)
	return b, err
}
