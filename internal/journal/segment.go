package journal

import (
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"
)

const (
	segmentSuffix   = ".seg"
	temporarySuffix = ".tmp"
	// chunkSize is what is written at a time when a segment is made, and read
	// at a time when one is replayed.
	chunkSize = 1 << 20
)

// segment is one file of the journal.
type segment struct {
	number int
	name   string
	file   File
	size   int64
	header segmentHeader
	// end is where the next frame goes; last is the position of the last event
	// in it, 0 when nothing was appended to it or replayed from it.
	end  int64
	last uint64
}

// segmentName is the path of the segment with that number.
func segmentName(dir string, number int) string {
	return filepath.Join(dir, SegmentName(number))
}

// segmentNumber is the number of the segment whose file has that name, and false
// if no segment's has.
func segmentNumber(name string) (number int, ok bool) {
	number, err := strconv.Atoi(strings.TrimSuffix(name, segmentSuffix))
	return number, err == nil && SegmentName(number) == name
}

// createSegment makes a free segment, filled with zeros and durable under its
// name.
func createSegment(fs FS, dir string, number int, header segmentHeader) (_ *segment, err error) {
	s := &segment{number: number, name: segmentName(dir, number), size: int64(header.size)}
	temporary := s.name + temporarySuffix
	if s.file, err = fs.Create(temporary); err != nil {
		return nil, fmt.Errorf("make a journal segment: %w", err)
	}
	defer func() {
		if err != nil {
			_ = s.file.Close()
			_ = fs.Remove(temporary) // Open removes it too
			err = fmt.Errorf("make journal segment %q of %d bytes: %w", s.name, s.size, err)
		}
	}()
	zeros := alignedBuffer(int(min(s.size, chunkSize)))
	for offset := int64(0); offset < s.size; offset += int64(len(zeros)) {
		if err := writeAt(s.file, zeros[:min(int64(len(zeros)), s.size-offset)], offset); err != nil {
			return nil, err
		}
	}
	if err := s.write(header, zeros[:blockSize]); err != nil {
		return nil, err
	}
	if err := fs.Rename(temporary, s.name); err != nil {
		return nil, err
	}
	if seeded == bugNoDirSync {
		return s, nil
	}
	return s, fs.SyncDir(dir)
}

// write replaces the segment's header and syncs it, by way of block, which is
// an aligned block of zeros and is left as one.
func (s *segment) write(header segmentHeader, block []byte) error {
	header.seal(block)
	err := writeAt(s.file, block, 0)
	clear(block[:segmentHeaderSize])
	if err != nil {
		return err
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	s.header = header
	s.end = blockSize
	s.last = 0
	return nil
}

// writeAt writes all of b, or fails.
func writeAt(f File, b []byte, offset int64) error {
	n, err := f.WriteAt(b, offset)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}

// alignedBuffer makes a buffer of n bytes for direct I/O.
func alignedBuffer(n int) []byte {
	b := make([]byte, n+blockSize)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) & (blockSize - 1))
	return b[skip : skip+n : skip+n]
}
