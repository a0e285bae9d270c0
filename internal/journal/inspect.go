package journal

import (
	"errors"
	"fmt"
	"os"
)

// Inspection is a journal that is looked at and not changed.
type Inspection struct {
	*Recovered
	// Segments there are, and the Bytes that they take on the disk.
	Segments  int
	DiskBytes int64

	segments []*segment
}

// Inspect finds out what [Open] would, of a journal that may be in use: it
// writes nothing. Beside a writer, which takes segments into use meanwhile, what
// it finds may be incomplete or look like damage. A directory that is not there
// is a journal without segments. The caller must Close what is returned.
//
// Of the options it needs Store and Folded.
func Inspect(dir string, o Options) (*Inspection, error) {
	if o.FS == nil {
		o.FS = readOnlyDisk{}
	}
	segments, err := openSegments(o.FS, dir)
	if errors.Is(err, os.ErrNotExist) && len(segments) == 0 {
		err = nil
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("inspect journal in %q: %w", dir, err), closeAll(segments))
	}
	found, err := replay(segments, o)
	if err != nil {
		return nil, errors.Join(err, closeAll(segments))
	}
	i := &Inspection{Recovered: found, Segments: len(segments), segments: segments}
	for _, s := range segments {
		i.DiskBytes += s.size
	}
	return i, nil
}

// Close closes the files. Frames can't be read any more.
func (i *Inspection) Close() error { return closeAll(i.segments) }

// readOnlyDisk is [Disk] for somebody who only looks: what would change it does
// nothing.
type readOnlyDisk struct{ Disk }

func (readOnlyDisk) Open(name string) (File, error) {
	return Disk{Cached: true}.open(name, os.O_RDONLY)
}
func (readOnlyDisk) Remove(string) error  { return nil }
func (readOnlyDisk) SyncDir(string) error { return nil }
