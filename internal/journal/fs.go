package journal

import "io"

// FS is what a journal needs of a file system. [Disk] is the real one; tests
// put one in its place that loses what was not synced.
type FS interface {
	// MakeDir makes dir, and its parents, durably. It may exist.
	MakeDir(dir string) error
	// List returns the names in dir.
	List(dir string) ([]string, error)
	// Create makes an empty file; Open opens an existing one. Both for reading
	// and writing.
	Create(name string) (File, error)
	Open(name string) (File, error)
	Rename(from, to string) error
	Remove(name string) error
	// SyncDir makes durable what Create, Rename and Remove did in dir.
	SyncDir(dir string) error
}

// File is an open segment. All offsets, lengths and memory addresses handed to
// ReadAt and WriteAt are multiples of 4096, as direct I/O wants it.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync makes durable what was written, and the size. A failure is final:
	// what was written before it may be lost even if a later Sync succeeds.
	Sync() error
	Size() (int64, error)
}
