package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
)

// errPower is what every operation fails with after the power went.
var errPower = errors.New("no power")

// operation is what a fault can hit.
type operation int

const (
	opWrite operation = iota
	opSync
	opMeta // create, rename, remove, sync of a directory
)

// simDisk is an FS that keeps apart what programs see and what would be there
// after a loss of power: sectors that were not synced, sizes, and names.
// It is not safe for concurrent use.
type simDisk struct {
	random *rand.Rand
	sector int
	seen   map[string]*simFile
	// stable are the names after a loss of power; pending is what happened to
	// them since the directory was synced.
	stable  map[string]*simFile
	pending []func(names map[string]*simFile)
	// powerAfter counts down with every operation that changes something; when
	// it gets to 0 the power goes in the middle of that operation. Negative:
	// never.
	powerAfter int
	dead       bool
	// fault decides about an operation before it happens; nil means none.
	fault func(op operation, name string) error
	// changes counts the operations that changed something.
	changes int
}

func newSimDisk(seed uint64, sector int) *simDisk {
	return &simDisk{
		random:     rand.New(rand.NewPCG(seed, 1)),
		sector:     sector,
		seen:       map[string]*simFile{},
		stable:     map[string]*simFile{},
		powerAfter: -1,
	}
}

// simFile is one file. dirty holds, for each sector, what was written to it
// since the last sync, in order.
type simFile struct {
	seen   []byte
	stable []byte
	dirty  map[int][][]byte
}

// step is called before each change. It reports whether the power goes during
// it.
func (d *simDisk) step(op operation, name string) (powerGoes bool, err error) {
	if d.dead {
		return false, errPower
	}
	d.changes++
	if d.powerAfter > 0 {
		d.powerAfter--
		if d.powerAfter == 0 {
			d.dead = true
			return true, nil
		}
	}
	if d.fault != nil {
		return false, d.fault(op, name)
	}
	return false, nil
}

// kill ends the process: what it wrote is seen by the next one.
func (d *simDisk) kill() {
	d.dead = false
	d.powerAfter = -1
	d.fault = nil
}

// losePower leaves of what was not synced a random subset: of the sectors, each
// with any of the contents it had since the sync; of the sizes; and of the
// changes of names the first few.
func (d *simDisk) losePower() {
	for _, change := range d.pending[:d.random.IntN(len(d.pending)+1)] {
		change(d.stable)
	}
	files := map[*simFile]bool{}
	for _, f := range d.seen {
		files[f] = true
	}
	for _, f := range d.stable {
		files[f] = true
	}
	for f := range files {
		f.persist(d.random, d.sector)
		f.seen = bytes.Clone(f.stable)
	}
	d.pending = nil
	d.seen = map[string]*simFile{}
	for name, f := range d.stable {
		d.seen[name] = f
	}
	d.kill()
}

// persist makes a random subset of what is dirty stable, and forgets the rest.
func (f *simFile) persist(random *rand.Rand, sector int) {
	if len(f.seen) > len(f.stable) && random.IntN(2) == 0 {
		f.stable = append(f.stable, make([]byte, len(f.seen)-len(f.stable))...)
	}
	numbers := make([]int, 0, len(f.dirty))
	for n := range f.dirty {
		numbers = append(numbers, n)
	}
	slices.Sort(numbers) // the same subset for the same seed
	for _, n := range numbers {
		versions := f.dirty[n]
		keep := random.IntN(len(versions) + 1)
		if at := n * sector; keep > 0 && at < len(f.stable) {
			copy(f.stable[at:], versions[keep-1])
		}
	}
	f.dirty = nil
}

func (d *simDisk) MakeDir(string) error {
	if d.dead {
		return errPower
	}
	return nil
}

func (d *simDisk) List(dir string) ([]string, error) {
	if d.dead {
		return nil, errPower
	}
	var names []string
	for name := range d.seen {
		if filepath.Dir(name) == dir {
			names = append(names, filepath.Base(name))
		}
	}
	return names, nil
}

// rename does change to the names that are seen, and later to the stable ones.
func (d *simDisk) rename(name string, change func(names map[string]*simFile)) error {
	powerGoes, err := d.step(opMeta, name)
	if err != nil {
		return err
	}
	change(d.seen)
	d.pending = append(d.pending, change)
	if powerGoes {
		return errPower
	}
	return nil
}

func (d *simDisk) Create(name string) (File, error) {
	f := &simFile{}
	if err := d.rename(name, func(names map[string]*simFile) { names[name] = f }); err != nil {
		return nil, err
	}
	return &simHandle{d, f, name}, nil
}

func (d *simDisk) Open(name string) (File, error) {
	if d.dead {
		return nil, errPower
	}
	f := d.seen[name]
	if f == nil {
		return nil, fs.ErrNotExist
	}
	return &simHandle{d, f, name}, nil
}

func (d *simDisk) Rename(from, to string) error {
	f := d.seen[from]
	if f == nil {
		return fs.ErrNotExist
	}
	return d.rename(to, func(names map[string]*simFile) {
		delete(names, from)
		names[to] = f
	})
}

func (d *simDisk) Remove(name string) error {
	return d.rename(name, func(names map[string]*simFile) { delete(names, name) })
}

func (d *simDisk) SyncDir(dir string) error {
	powerGoes, err := d.step(opMeta, dir)
	if err != nil {
		return err
	}
	if powerGoes {
		return errPower
	}
	for _, change := range d.pending {
		change(d.stable)
	}
	d.pending = nil
	return nil
}

// simHandle is an open simFile.
type simHandle struct {
	disk *simDisk
	file *simFile
	name string
}

func (h *simHandle) Close() error { return nil }

func (h *simHandle) Size() (int64, error) { return int64(len(h.file.seen)), nil }

func (h *simHandle) ReadAt(b []byte, offset int64) (int, error) {
	if h.disk.dead {
		return 0, errPower
	}
	if offset >= int64(len(h.file.seen)) {
		return 0, io.EOF
	}
	n := copy(b, h.file.seen[offset:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (h *simHandle) WriteAt(b []byte, offset int64) (int, error) {
	if offset%blockSize != 0 || len(b)%blockSize != 0 {
		return 0, fmt.Errorf("write of %d bytes at %d is not aligned", len(b), offset)
	}
	powerGoes, err := h.disk.step(opWrite, h.name)
	if errors.Is(err, errPower) {
		return 0, err
	}
	whole := len(b)
	if err != nil || powerGoes {
		b = b[:h.disk.random.IntN(whole/h.disk.sector+1)*h.disk.sector]
	}
	f := h.file
	if missing := int(offset) + len(b) - len(f.seen); missing > 0 {
		f.seen = append(f.seen, make([]byte, missing)...)
	}
	copy(f.seen[offset:], b)
	if f.dirty == nil {
		f.dirty = map[int][][]byte{}
	}
	for at := 0; at < len(b); at += h.disk.sector {
		n := (int(offset) + at) / h.disk.sector
		f.dirty[n] = append(f.dirty[n], bytes.Clone(b[at:at+h.disk.sector]))
	}
	switch {
	case powerGoes:
		return len(b), errPower
	case errors.Is(err, io.ErrShortWrite):
		return len(b), nil // a device that lies; the journal has to notice
	}
	return len(b), err
}

func (h *simHandle) Sync() error {
	powerGoes, err := h.disk.step(opSync, h.name)
	if errors.Is(err, errPower) {
		return err
	}
	if powerGoes {
		return errPower // losePower decides what got there
	}
	if err != nil {
		// Some of it got there. The rest stays visible, and no later sync
		// will write it.
		h.file.persist(h.disk.random, h.disk.sector)
		return err
	}
	f := h.file
	if missing := len(f.seen) - len(f.stable); missing > 0 {
		f.stable = append(f.stable, make([]byte, missing)...)
	}
	for n, versions := range f.dirty {
		copy(f.stable[n*h.disk.sector:], versions[len(versions)-1])
	}
	f.dirty = nil
	return nil
}

// failNth returns a fault that hits the nth operation of a kind, and how to see
// whether it did.
func failNth(op operation, n int, err error) (fault func(operation, string) error, hit *bool) {
	hit = new(bool)
	return func(o operation, _ string) error {
		if o != op || *hit {
			return nil
		}
		if n--; n > 0 {
			return nil
		}
		*hit = true
		return err
	}, hit
}

// segmentsIn lists the paths of the segments that are seen, sorted.
func (d *simDisk) segmentsIn() []string {
	var names []string
	for name := range d.seen {
		if strings.HasSuffix(name, segmentSuffix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// clone copies the disk as it is seen; the copy is stable.
func (d *simDisk) clone() *simDisk {
	c := newSimDisk(0, d.sector)
	for name, f := range d.seen {
		copied := &simFile{seen: bytes.Clone(f.seen), stable: bytes.Clone(f.seen)}
		c.seen[name], c.stable[name] = copied, copied
	}
	return c
}
