package journal

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/verbatim-es/verbatim/event"
)

const (
	// DefaultSegmentSize and DefaultSegments bound a journal to 256 MiB.
	DefaultSegmentSize = 64 << 20
	DefaultSegments    = 4

	// initialSegments is how many [Open] sees to: one to append to, one to go
	// on with while the first is being folded.
	initialSegments = 2
)

// Options of a journal. Store is needed.
type Options struct {
	// Store is the id of the store the journal belongs to.
	Store event.ID
	// Folded is the last position that the owner's log holds durably.
	Folded uint64
	// SegmentSize is the size of a segment in bytes, a multiple of 4096 and at
	// least 8192; 0 means [DefaultSegmentSize]. A frame must fit into one, see
	// [Journal.MaxPayload]. Segments of another size are replaced once free.
	SegmentSize int64
	// Segments is how many there may be, at least 2; 0 means
	// [DefaultSegments].
	Segments int
	// FS is where the files are; nil means [Disk].
	FS FS
	// Announce is called with the numbers of all segments, ascending: before Open
	// removes one, before Open returns, and before one that [Journal.Grow] made is
	// used. So those announced last are all there, until the journal is opened
	// again: one that is missing then was lost. When it fails, so does its caller.
	Announce func(segments []int) error

	// generation makes the generation of a segment's next use; nil means a
	// random one.
	generation func() uint64
}

// Journal is an open journal. Its methods are safe for concurrent use; appends
// happen one after the other.
type Journal struct {
	dir        string
	fs         FS
	store      event.ID
	size       int64
	segments   int
	generation func() uint64
	announce   func(segments []int) error

	appending sync.Mutex // held for a whole append, its sync included
	buffer    []byte     // aligned, for a frame
	block     []byte     // aligned, for a segment header, else zeros
	chain     uint32     // checksum of the previous frame of the current segment

	growing sync.Mutex // held while a segment is made

	mu       sync.Mutex
	all      []*segment
	current  *segment   // nil until the first append
	used     []*segment // full or replayed, oldest first
	free     []*segment // of the right size
	last     uint64     // last position appended or recovered, or folded before
	recycled uint64
	replayed uint64 // to be recycled before the first append
	sequence uint64 // of the newest use of a segment
	frames   uint64
	bytes    uint64
	failure  *FailedError
	closed   bool
}

// Stats are counts since the journal was opened, and its present state.
type Stats struct {
	// Frames and Bytes were appended; Bytes is what was written, padding
	// included.
	Frames, Bytes uint64
	// Segments exist, Free of them can be appended to next. When none is free
	// and Segments is below Options.Segments, it is time for [Journal.Grow].
	Segments, Free int
	// Last is the last durable position, Recycled the last one recycled.
	Last, Recycled uint64
}

// Append makes a batch durable: when it returns nil, the records are found by
// Open until they are recycled. first is the position of the first record and
// must be the one after the last; every record is one event. The records are
// not kept. It allocates nothing, except when a batch is larger than any
// before.
//
// It fails with [ErrFull], [ErrUnfolded], [ErrClosed] or an
// [*event.TooLargeError] when nothing was written and the journal is as it was.
// When a write or a sync failed it is a [*FailedError], then and for ever
// after.
func (j *Journal) Append(first uint64, records [][]byte) error {
	j.appending.Lock()
	defer j.appending.Unlock()

	length := 0
	for _, r := range records {
		length += len(r)
	}
	if length == 0 {
		return errors.New("append to the journal: no records")
	}
	if limit := j.MaxPayload(); int64(length) > limit {
		return &event.TooLargeError{Bound: "journal frame", Limit: uint64(limit), Actual: uint64(length)}
	}
	h := frameHeader{
		store:  j.store,
		first:  first,
		count:  uint32(len(records)),
		length: uint32(length),
	}
	s, err := j.segmentFor(&h)
	if err != nil {
		return err
	}
	h.generation = s.header.generation
	h.chain = j.chain
	h.block = uint32(s.end / blockSize)

	frame := j.frameBuffer(int(h.blocks()))
	at := frameHeaderSize
	for _, r := range records {
		at += copy(frame[at:], r)
	}
	clear(frame[at:])
	h.seal(frame)
	err = writeAt(s.file, frame, s.end)
	if err == nil && seeded != bugAckBeforeSync {
		err = s.file.Sync()
	}
	if err != nil && seeded != bugForgetFailure {
		return j.fail(&h, fmt.Errorf("append to %q at offset %d: %w", s.name, s.end, err))
	}
	if err != nil {
		return err
	}

	j.chain = h.checksum
	j.mu.Lock()
	defer j.mu.Unlock()
	s.end += h.blocks()
	s.last = h.last()
	j.last = h.last()
	j.frames++
	j.bytes += uint64(h.blocks())
	return nil
}

// frameBuffer is size bytes of the buffer, with what was in them before.
func (j *Journal) frameBuffer(size int) []byte {
	if len(j.buffer) < size {
		j.buffer = alignedBuffer(min(max(size, 2*len(j.buffer)), int(j.size)))
	}
	return j.buffer[:size]
}

// segmentFor returns the segment that the frame goes to at its end. It takes a
// free one into use when the frame doesn't fit into the current one.
func (j *Journal) segmentFor(h *frameHeader) (*segment, error) {
	next, header, err := j.takeFree(h)
	if err != nil || header == nil {
		return next, err
	}
	if err := next.write(*header, j.block); err != nil {
		return nil, j.fail(h, fmt.Errorf("start %q: %w", next.name, err))
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.retireCurrent()
	j.current = next
	j.chain = next.header.checksum
	return next, nil
}

// takeFree returns the current segment when there is room for the frame, or a
// free one with the header that it needs first.
func (j *Journal) takeFree(h *frameHeader) (*segment, *segmentHeader, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.closed:
		return nil, nil, ErrClosed
	case j.failure != nil:
		return nil, nil, j.failure
	case j.recycled < j.replayed:
		return nil, nil, ErrUnfolded
	case h.first != j.last+1 || h.last() < h.first:
		return nil, nil, fmt.Errorf("append %d records at position %d to the journal: position %d is next", h.count, h.first, j.last+1)
	case j.current != nil && j.current.end+h.blocks() <= j.current.size:
		return j.current, nil, nil
	case len(j.free) == 0 && j.current != nil && j.current.last <= j.recycled:
		// Nothing of it is needed: it follows itself.
		j.retireCurrent()
	}
	if len(j.free) == 0 {
		return nil, nil, ErrFull
	}
	s := j.free[0]
	j.free = append(j.free[:0], j.free[1:]...)
	j.sequence++
	header := j.header(s, stateInUse)
	header.generation = j.generation()
	header.sequence = j.sequence
	header.first = h.first
	if seeded == bugStaleSegment && s.header.generation != 0 {
		header.generation = s.header.generation
	}
	return s, &header, nil
}

// header is the beginning of a header for s.
func (j *Journal) header(s *segment, st state) segmentHeader {
	return segmentHeader{
		format: formatVersion,
		state:  st,
		store:  j.store,
		folded: j.recycled,
		size:   uint64(s.size),
	}
}

// retireCurrent puts the current segment where it belongs once nothing is
// appended to it any more. mu is held.
func (j *Journal) retireCurrent() {
	if j.current == nil {
		return
	}
	j.used = append(j.used, j.current)
	j.current = nil
	j.release()
}

// release frees the used segments that hold nothing newer than what was
// recycled. Those of another size are left for the next Open to remove. mu is
// held.
func (j *Journal) release() {
	n := 0
	for _, s := range j.used {
		switch {
		case s.last > j.recycled && (seeded != bugRecycleEarly || s.header.first > j.recycled):
			j.used[n] = s
			n++
		case s.size == j.size:
			j.free = append(j.free, s)
		}
	}
	clear(j.used[n:])
	j.used = j.used[:n]
}

// fail makes err final.
func (j *Journal) fail(h *frameHeader, err error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.failure = &FailedError{First: h.first, Last: h.last(), Err: err}
	return j.failure
}

// Recycle says that the owner's log holds everything up to a position durably,
// synced. Segments with nothing newer are free from then on; nothing is
// written. Going back is ignored; a position that was never appended is an
// error.
func (j *Journal) Recycle(upTo uint64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.closed:
		return ErrClosed
	case upTo > j.last:
		return fmt.Errorf("recycle the journal up to position %d: it ends at %d", upTo, j.last)
	case upTo <= j.recycled:
		return nil
	}
	j.recycled = upTo
	j.release()
	return nil
}

// Grow makes one more segment and reports whether it did: not when there are
// Options.Segments already. It writes a whole segment, so it is called beside
// the appends, by whoever folds, when [Stats.Free] is 0 or after [ErrFull]. An
// error, of a full disk for example, leaves the journal as it was.
func (j *Journal) Grow() (bool, error) {
	j.growing.Lock()
	defer j.growing.Unlock()
	j.mu.Lock()
	all, closed := slices.Clone(j.all), j.closed
	header := j.header(&segment{size: j.size}, stateFree)
	j.mu.Unlock()
	if closed {
		return false, ErrClosed
	}
	fitting := 0
	for _, s := range all {
		if s.size == j.size {
			fitting++
		}
	}
	if fitting >= j.segments {
		return false, nil
	}
	s, err := createSegment(j.fs, j.dir, unusedNumber(all), header)
	if err != nil {
		return false, err
	}
	if err := j.announce(numbers(append(all, s))); err != nil {
		// The file stays, since it may have been announced. The next one that is
		// made takes its place.
		return false, errors.Join(err, s.file.Close())
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.all = append(j.all, s)
	j.free = append(j.free, s)
	return true, nil
}

// unusedNumber is the lowest that none of the segments has.
func unusedNumber(segments []*segment) int {
	taken := numbers(segments)
	number := 1
	for slices.Contains(taken, number) {
		number++
	}
	return number
}

// numbers are those of the segments, ascending.
func numbers(segments []*segment) []int {
	numbers := make([]int, len(segments))
	for i, s := range segments {
		numbers[i] = s.number
	}
	slices.Sort(numbers)
	return numbers
}

// MaxPayload is how many bytes of records one Append may have.
func (j *Journal) MaxPayload() int64 {
	return min(j.size-blockSize-frameHeaderSize, math.MaxUint32)
}

// Stats returns the present state.
func (j *Journal) Stats() Stats {
	j.mu.Lock()
	defer j.mu.Unlock()
	return Stats{
		Frames:   j.frames,
		Bytes:    j.bytes,
		Segments: len(j.all),
		Free:     len(j.free),
		Last:     j.last,
		Recycled: j.recycled,
	}
}

// Close closes the files. When everything was recycled it also marks all
// segments free, so that the next Open has nothing to read; when not, or after
// a failure, the next Open recovers what is left. Closing again does nothing.
func (j *Journal) Close() error {
	j.appending.Lock()
	defer j.appending.Unlock()
	j.growing.Lock()
	defer j.growing.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil
	}
	j.closed = true
	var err error
	if j.failure == nil && j.recycled == j.last {
		for _, s := range j.all {
			if s.header.state == stateInUse && err == nil {
				err = j.empty(s)
			}
		}
	}
	return errors.Join(err, closeAll(j.all))
}

// empty marks s as free. It keeps its place in the order of uses.
func (j *Journal) empty(s *segment) error {
	header := j.header(s, stateFree)
	header.generation = s.header.generation
	header.sequence = s.header.sequence
	header.first = s.header.first
	if err := s.write(header, j.block); err != nil {
		return fmt.Errorf("empty %q: %w", s.name, err)
	}
	return nil
}

func closeAll(segments []*segment) error {
	var err error
	for _, s := range segments {
		err = errors.Join(err, s.file.Close())
	}
	return err
}

func randomGeneration() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}
