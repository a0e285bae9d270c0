package journal

import (
	"errors"
	"os"
	"runtime"
	"syscall"
)

// diskFile is a file with its descriptor, since [os.File.Fd] is not free.
type diskFile struct {
	*os.File
	fd int
}

// open opens a file, for direct I/O unless that is not wanted or not possible.
func (d Disk) open(name string, flags int) (File, error) {
	if !d.Cached {
		f, err := os.OpenFile(name, flags|syscall.O_DIRECT, 0o600)
		if err == nil {
			return newDiskFile(f), nil
		}
		if !errors.Is(err, syscall.EINVAL) {
			return nil, err
		}
	}
	f, err := os.OpenFile(name, flags, 0o600)
	if err != nil {
		return nil, err
	}
	return newDiskFile(f), nil
}

func newDiskFile(f *os.File) diskFile { return diskFile{File: f, fd: int(f.Fd())} }

// Sync is fdatasync: it leaves out the times of the file, nothing that is
// needed to read it.
func (f diskFile) Sync() error {
	for {
		err := syscall.Fdatasync(f.fd)
		if err == syscall.EINTR {
			continue
		}
		runtime.KeepAlive(f.File)
		return os.NewSyscallError("fdatasync", err)
	}
}

// ReadAt and WriteAt fall back to the page cache when the device wants a larger
// alignment than ours.
func (f diskFile) ReadAt(b []byte, offset int64) (int, error) {
	n, err := f.File.ReadAt(b, offset)
	if n == 0 && errors.Is(err, syscall.EINVAL) && f.useCache() {
		return f.File.ReadAt(b, offset)
	}
	return n, err
}

// WriteAt writes b at offset.
func (f diskFile) WriteAt(b []byte, offset int64) (int, error) {
	n, err := f.File.WriteAt(b, offset)
	if n == 0 && errors.Is(err, syscall.EINVAL) && f.useCache() {
		return f.File.WriteAt(b, offset)
	}
	return n, err
}

// useCache ends direct I/O, and reports whether it was in use.
func (f diskFile) useCache() bool {
	flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(f.fd), syscall.F_GETFL, 0)
	if errno != 0 || flags&syscall.O_DIRECT == 0 {
		return false
	}
	_, _, errno = syscall.Syscall(syscall.SYS_FCNTL, uintptr(f.fd), syscall.F_SETFL, flags&^syscall.O_DIRECT)
	return errno == 0
}
