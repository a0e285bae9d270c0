package eventstore

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"github.com/PowerDNS/lmdb-go/lmdb"

	"github.com/verbatim-es/verbatim/internal/journal"
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// errPower is what every operation fails with after the power went.
var errPower = errors.New("no power")

// sector is what a disk writes whole or not at all.
const sector = 512

// powerDisk is a disk in memory for a store's journal. It keeps apart what a
// process sees and what would be there after a loss of power, and counts what
// is changed, by the journal here and by log and index elsewhere, so that the
// power can go, or an error come, at each of them. What was not synced is lost
// in part of the journal's files only: a transaction of log or index is there or
// is not. Its methods are safe for concurrent use.
type powerDisk struct {
	mu     sync.Mutex
	random *rand.Rand
	names  map[string]*powerFile
	stable map[string]*powerFile // names after a loss of power
	// pending is what happened to names since their directory was synced.
	pending []func(names map[string]*powerFile)

	// powerIn counts down with every change; at 0 the power goes. Negative:
	// never.
	powerIn int
	dead    bool
	// faultIn counts down with every change of the kind that fault hits.
	faultIn int
	fault   fault
}

// fault is an error that comes once, but no space, which lasts for a while.
type fault int

const (
	noFault        fault = iota
	failWrite            // EIO, after a part of it
	failNoSpace          // ENOSPC, after a part of it
	failShort            // a short write without an error
	failSync             // EIO, after a part of it
	failName             // ENOSPC on create, rename, remove or the sync of a directory
	failFold             // a transaction of the log fails, nothing was done
	failFolded           // it fails after it was done
	failFoldSpace        // the disk is full for a few transactions of the log
	failIndex            // as for the log
	failIndexed          //
	failIndexSpace       //
	faults
)

func newPowerDisk(seed uint64) *powerDisk {
	return &powerDisk{
		random:  rand.New(rand.NewPCG(seed, 2)),
		names:   map[string]*powerFile{},
		stable:  map[string]*powerFile{},
		powerIn: -1,
	}
}

// powerFile is one file. dirty holds, for each sector, what was written to it
// since the last sync, in order.
type powerFile struct {
	seen, stable []byte
	dirty        map[int][][]byte
}

// arm decides what goes wrong next.
func (d *powerDisk) arm(powerIn int, f fault, faultIn int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.powerIn, d.fault, d.faultIn = powerIn, f, faultIn
}

// step is called before each change, mu being held. It reports whether the
// power goes during it, and whether the fault hits it.
func (d *powerDisk) step(hits ...fault) (powerGoes bool, hit fault, err error) {
	if d.dead {
		return false, noFault, errPower
	}
	if d.powerIn > 0 {
		if d.powerIn--; d.powerIn == 0 {
			d.dead = true
			return true, noFault, nil
		}
	}
	if d.fault == noFault || !slices.Contains(hits, d.fault) {
		return false, noFault, nil
	}
	if d.faultIn--; d.faultIn > 0 {
		return false, noFault, nil
	}
	hit = d.fault
	if d.fault != failFoldSpace && d.fault != failIndexSpace || d.faultIn < -3 {
		d.fault = noFault
	}
	return false, hit, nil
}

// at is for [hooks]: log and index are on a disk that has done what it synced,
// so it is enough to let their transactions happen, or not, or both.
func (d *powerDisk) at(p point) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var hits []fault
	switch p {
	case pointFold:
		hits = []fault{failFold, failFoldSpace}
	case pointFolded:
		hits = []fault{failFolded}
	case pointIndex:
		hits = []fault{failIndex, failIndexSpace}
	case pointIndexed:
		hits = []fault{failIndexed}
	}
	powerGoes, hit, err := d.step(hits...)
	switch {
	case p == pointPersisted && (powerGoes || err != nil):
		return &journal.FailedError{Err: errPower} // it is durable already
	case err != nil:
		return err
	case powerGoes:
		return &lmdbenv.CommitError{Err: errPower}
	case hit == failFoldSpace || hit == failIndexSpace:
		return &lmdb.OpError{Op: "mdb_txn_commit", Errno: syscall.ENOSPC}
	case hit != noFault:
		return &lmdbenv.CommitError{Err: syscall.EIO}
	}
	return nil
}

// kill ends the process: what it wrote is seen by the next one.
func (d *powerDisk) kill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead, d.powerIn, d.fault = false, -1, noFault
}

// losePower leaves of what was not synced a random subset: of the sectors, each
// with any of the contents it had since the sync; of the sizes; and of the
// changes of names the first few.
func (d *powerDisk) losePower() {
	d.mu.Lock()
	for _, change := range d.pending[:d.random.IntN(len(d.pending)+1)] {
		change(d.stable)
	}
	d.pending = nil
	for _, name := range sortedNames(d.stable) {
		f := d.stable[name]
		f.settle(d.random)
		f.seen = bytes.Clone(f.stable)
	}
	d.names = map[string]*powerFile{}
	for name, f := range d.stable {
		d.names[name] = f
	}
	d.mu.Unlock()
	d.kill()
}

func sortedNames(names map[string]*powerFile) (sorted []string) {
	for name := range names {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	return sorted
}

// settle makes a random subset of what is dirty stable, and forgets the rest.
func (f *powerFile) settle(random *rand.Rand) {
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

func (d *powerDisk) MakeDir(string) error { return nil }

func (d *powerDisk) List(dir string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return nil, errPower
	}
	var names []string
	for _, name := range sortedNames(d.names) {
		if filepath.Dir(name) == dir {
			names = append(names, filepath.Base(name))
		}
	}
	return names, nil
}

// rename does a change to the names that are seen, and later to the stable ones.
func (d *powerDisk) rename(change func(names map[string]*powerFile)) error {
	powerGoes, hit, err := d.step(failName)
	switch {
	case err != nil:
		return err
	case hit != noFault:
		return syscall.ENOSPC
	}
	change(d.names)
	if d.pending = append(d.pending, change); powerGoes {
		return errPower
	}
	return nil
}

func (d *powerDisk) Create(name string) (journal.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := &powerFile{}
	if err := d.rename(func(names map[string]*powerFile) { names[name] = f }); err != nil {
		return nil, err
	}
	return &powerHandle{d, f}, nil
}

func (d *powerDisk) Open(name string) (journal.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.names[name]
	switch {
	case d.dead:
		return nil, errPower
	case f == nil:
		return nil, fs.ErrNotExist
	}
	return &powerHandle{d, f}, nil
}

func (d *powerDisk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rename(func(names map[string]*powerFile) {
		names[to] = names[from]
		delete(names, from)
	})
}

func (d *powerDisk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rename(func(names map[string]*powerFile) { delete(names, name) })
}

func (d *powerDisk) SyncDir(string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	powerGoes, hit, err := d.step(failName)
	switch {
	case err != nil:
		return err
	case powerGoes:
		return errPower
	case hit != noFault:
		return syscall.EIO
	}
	for _, change := range d.pending {
		change(d.stable)
	}
	d.pending = nil
	return nil
}

// powerHandle is an open powerFile.
type powerHandle struct {
	disk *powerDisk
	file *powerFile
}

func (h *powerHandle) Close() error { return nil }

func (h *powerHandle) Size() (int64, error) {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	return int64(len(h.file.seen)), nil
}

func (h *powerHandle) ReadAt(b []byte, offset int64) (int, error) {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
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

func (h *powerHandle) WriteAt(b []byte, offset int64) (int, error) {
	d := h.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	powerGoes, hit, err := d.step(failWrite, failNoSpace, failShort)
	if err != nil {
		return 0, err
	}
	if powerGoes || hit != noFault {
		b = b[:d.random.IntN(len(b)/sector)*sector]
	}
	f := h.file
	if missing := int(offset) + len(b) - len(f.seen); missing > 0 {
		f.seen = append(f.seen, make([]byte, missing)...)
	}
	copy(f.seen[offset:], b)
	if f.dirty == nil {
		f.dirty = map[int][][]byte{}
	}
	for at := 0; at < len(b); at += sector {
		n := (int(offset) + at) / sector
		f.dirty[n] = append(f.dirty[n], bytes.Clone(b[at:at+sector]))
	}
	switch {
	case powerGoes:
		return len(b), errPower
	case hit == failWrite:
		return len(b), syscall.EIO
	case hit == failNoSpace:
		return len(b), syscall.ENOSPC
	}
	return len(b), nil
}

func (h *powerHandle) Sync() error {
	d := h.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	powerGoes, hit, err := d.step(failSync)
	switch {
	case err != nil:
		return err
	case powerGoes:
		return errPower // losePower decides what got there
	case hit != noFault:
		// Some of it got there. The rest stays visible, and no later sync
		// will write it.
		h.file.settle(d.random)
		return syscall.EIO
	}
	f := h.file
	if missing := len(f.seen) - len(f.stable); missing > 0 {
		f.stable = append(f.stable, make([]byte, missing)...)
	}
	for n, versions := range f.dirty {
		copy(f.stable[n*sector:], versions[len(versions)-1])
	}
	f.dirty = nil
	return nil
}
