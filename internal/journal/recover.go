package journal

import (
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"math"
	"path/filepath"
	"slices"
	"strings"
)

// Frame is a batch as it was appended.
type Frame struct {
	// First is the position of its first event, Last of its last.
	First, Last uint64
	// Payload is the records, concatenated. It is valid until the next frame.
	Payload []byte
}

// Cut is where a torn frame was left out: the append that a crash interrupted,
// which nobody was told had happened.
type Cut struct {
	File   string
	Offset int64
	// Position is that of the first event of the frame.
	Position uint64
}

func (c *Cut) String() string {
	return fmt.Sprintf("journal %q: torn frame at offset %d, from position %d on", c.File, c.Offset, c.Position)
}

// Recovered is what Open found. Its frames can be read, more than once, until
// the journal recycles or is closed.
type Recovered struct {
	// First and Last are the positions of what the log does not have yet, both
	// 0 when there is nothing.
	First, Last uint64
	// Frames and Bytes are the number of frames that [Recovered.Unfolded]
	// yields, and the length of their payloads.
	Frames int
	Bytes  int64
	// Cut is where the last frame was torn, nil when it was not.
	Cut *Cut

	live   []*found
	folded uint64
}

// Unfolded yields the frames that hold something the log doesn't have, densely
// and in order, as an error at most the last. The first of them may begin
// within the log if the log ends in the middle of a frame.
func (r *Recovered) Unfolded() iter.Seq2[Frame, error] {
	return r.frames(false)
}

// Folded yields older frames that are still there, in order, up to where
// Unfolded begins: the log has all of them, and the same ones if it is the log
// that this journal belongs to.
func (r *Recovered) Folded() iter.Seq2[Frame, error] {
	return r.frames(true)
}

// frames yields the frames that are folded, or those that are not. The folded
// ones are the first, so that one frame behind them ends their pass.
func (r *Recovered) frames(folded bool) iter.Seq2[Frame, error] {
	return func(yield func(Frame, error) bool) {
		var payload []byte
		for _, f := range r.live {
			w := newWindow(f.file, f.size)
			for at := int64(blockSize); at < f.tail; {
				h, err := w.frame(at)
				if err != nil {
					yield(Frame{}, fmt.Errorf("read journal %q at offset %d: %w", f.name, at, err))
					return
				}
				known := h.last() <= r.folded
				if folded && !known {
					return
				}
				if folded == known {
					payload = slices.Grow(payload[:0], int(h.length))[:h.length]
					if err := w.copy(payload, at+frameHeaderSize); err != nil {
						yield(Frame{}, fmt.Errorf("read journal %q at offset %d: %w", f.name, at, err))
						return
					}
					if !yield(Frame{First: h.first, Last: h.last(), Payload: payload}, nil) {
						return
					}
				}
				at += h.blocks()
			}
		}
	}
}

// Open opens the journal in dir, and makes it when there is none: the first
// time it writes two whole segments. It reads what a crash left behind, checks
// all of it, and leaves it as it is.
//
// The owner then folds [Recovered.Unfolded], syncs its log, and calls
// [Journal.Recycle] with [Recovered.Last]. Only then can it append.
//
// Errors are a [*CorruptError], a [*ForeignError], a [*BehindError], those of
// bad options, and the file system's.
func Open(dir string, o Options) (*Journal, *Recovered, error) {
	o.SegmentSize = cmp.Or(o.SegmentSize, DefaultSegmentSize)
	o.Segments = cmp.Or(o.Segments, DefaultSegments)
	if o.FS == nil {
		o.FS = Disk{}
	}
	if o.generation == nil {
		o.generation = randomGeneration
	}
	if o.Announce == nil {
		o.Announce = func([]int) error { return nil }
	}
	switch {
	case o.Folded == math.MaxUint64:
		return nil, nil, errors.New("open journal: no position follows the last folded one")
	case o.Store.IsZero():
		return nil, nil, errors.New("open journal: options need a store")
	case o.SegmentSize < 2*blockSize || o.SegmentSize%blockSize != 0 || o.SegmentSize/blockSize > math.MaxUint32:
		return nil, nil, fmt.Errorf("open journal: a segment size of %d is not a multiple of %d of at least %d", o.SegmentSize, blockSize, 2*blockSize)
	case o.Segments < initialSegments:
		return nil, nil, fmt.Errorf("open journal: %d segments are fewer than %d", o.Segments, initialSegments)
	}
	if err := o.FS.MakeDir(dir); err != nil {
		return nil, nil, fmt.Errorf("open journal: %w", err)
	}
	segments, err := openSegments(o.FS, dir)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open journal in %q: %w", dir, err), closeAll(segments))
	}
	r, err := replay(segments, o)
	if err != nil {
		return nil, nil, errors.Join(err, closeAll(segments))
	}
	j := &Journal{
		dir:        dir,
		fs:         o.FS,
		store:      o.Store,
		size:       o.SegmentSize,
		segments:   o.Segments,
		generation: o.generation,
		announce:   o.Announce,
		block:      alignedBuffer(blockSize),
		all:        segments,
		last:       max(o.Folded, r.Last),
		recycled:   o.Folded,
		replayed:   max(o.Folded, r.Last),
	}
	for _, s := range segments {
		j.sequence = max(j.sequence, s.header.sequence)
	}
	if err := j.arrange(r); err != nil {
		return nil, nil, errors.Join(err, closeAll(j.all))
	}
	return j, r, nil
}

// openSegments opens the segments in dir and reads their headers. A header that
// is damaged is left zero. It removes what was being made when a crash came.
// The segments are returned with an error, too, to be closed.
func openSegments(fs FS, dir string) ([]*segment, error) {
	names, err := fs.List(dir)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var segments []*segment
	block := alignedBuffer(blockSize)
	for _, name := range names {
		path := filepath.Join(dir, name)
		if strings.HasSuffix(name, segmentSuffix+temporarySuffix) {
			if err := fs.Remove(path); err != nil {
				return segments, err
			}
			continue
		}
		number, ok := segmentNumber(name)
		if !ok {
			return segments, fmt.Errorf("%q is no journal segment: move it away", path)
		}
		file, err := fs.Open(path)
		if err != nil {
			return segments, err
		}
		s := &segment{number: number, name: path, file: file}
		segments = append(segments, s)
		if s.size, err = file.Size(); err != nil {
			return segments, err
		}
		if s.size < 2*blockSize || s.size%blockSize != 0 {
			return segments, &CorruptError{File: path, Offset: s.size, Message: "the file was cut off, what it held is not known"}
		}
		if err := readAt(file, block, 0); err != nil {
			return segments, fmt.Errorf("read %q: %w", path, err)
		}
		if h, ok := parseSegmentHeader(block); ok {
			s.header = h
		}
	}
	if seeded == bugNoDirSync {
		return segments, nil
	}
	// A process that was killed between the rename of a segment and the sync of
	// its name leaves one that is there, and that a loss of power can take away.
	return segments, fs.SyncDir(dir)
}

// arrange sorts the segments into those that hold something to recycle and the
// free ones, replaces what does not fit, and makes what is missing.
func (j *Journal) arrange(r *Recovered) error {
	for _, f := range r.live {
		f.segment.last = f.next - 1
		if f.segment.last > j.recycled {
			j.used = append(j.used, f.segment)
		}
	}
	var kept, dropped []*segment
	fitting := 0
	for _, s := range j.all {
		if !slices.Contains(j.used, s) {
			if s.size != j.size || fitting >= j.segments {
				dropped = append(dropped, s)
				continue
			}
			j.free = append(j.free, s)
		}
		if s.size == j.size {
			fitting++
		}
		kept = append(kept, s)
	}
	if err := j.drop(kept, dropped); err != nil {
		return err
	}
	for range initialSegments - min(fitting, initialSegments) {
		if _, err := j.Grow(); err != nil {
			return err
		}
	}
	return j.announce(numbers(j.all))
}

// drop leaves the journal with the segments that are kept.
func (j *Journal) drop(kept, dropped []*segment) error {
	if len(dropped) == 0 {
		return nil
	}
	if err := j.announce(numbers(kept)); err != nil {
		return err
	}
	for _, s := range dropped {
		if err := errors.Join(s.file.Close(), j.fs.Remove(s.name)); err != nil {
			return fmt.Errorf("remove journal segment: %w", err)
		}
	}
	j.all = kept
	return nil
}

// found is a segment and what was found in it.
type found struct {
	*segment
	// frames, bytes and first are of the frames the log does not have.
	frames int
	bytes  int64
	first  uint64
	// next is the position after its last frame, whose blocks end at tail.
	next uint64
	tail int64
	torn bool
}

// replay finds out what the segments hold that is in use. It writes nothing.
func replay(segments []*segment, o Options) (*Recovered, error) {
	// A damaged header makes a segment look free. It is, if a crash came while
	// it was taken into use; then it holds nothing that the log does not have.
	for _, s := range segments {
		if s.header.state == 0 && seeded != bugCutAnywhere {
			if err := checkLost(s, o); err != nil {
				return nil, err
			}
		}
	}
	live, err := inUse(segments, o)
	if err != nil {
		return nil, err
	}
	r := &Recovered{folded: o.Folded}
	for i, s := range live {
		f, err := scan(s, o)
		if err != nil {
			return nil, err
		}
		if i+1 < len(live) && live[i+1].header.first != f.next && seeded != bugCutAnywhere {
			return nil, &CorruptError{File: s.name, Offset: f.tail, Position: f.next,
				Message: fmt.Sprintf("the next segment begins at position %d", live[i+1].header.first)}
		}
		if f.torn && i == len(live)-1 && f.next > o.Folded {
			r.Cut = &Cut{File: s.name, Offset: f.tail, Position: f.next}
		}
		if f.frames > 0 {
			if r.Frames == 0 {
				r.First = f.first
			}
			r.Frames += f.frames
			r.Bytes += f.bytes
			r.Last = f.next - 1
		}
		r.live = append(r.live, f)
	}
	return r, nil
}

// inUse returns the segments that may hold something the log does not have, in
// the order of their use.
func inUse(segments []*segment, o Options) ([]*segment, error) {
	var live []*segment
	for _, s := range segments {
		h := s.header
		switch {
		case h.state == 0:
			continue
		case h.format != formatVersion:
			return nil, fmt.Errorf("journal %q has format %d, this program reads %d: use the program that wrote it", s.name, h.format, formatVersion)
		case h.store != o.Store && h.state != stateFree:
			return nil, &ForeignError{File: s.name, Store: h.store, Want: o.Store}
		case h.store == o.Store && h.folded > o.Folded:
			return nil, &BehindError{File: s.name, Folded: o.Folded, Recycled: h.folded}
		case h.state == stateInUse && h.first > 0 && h.sequence < math.MaxUint64:
			live = append(live, s)
		case h.state != stateFree:
			return nil, &CorruptError{File: s.name, Position: h.first, Message: "the segment header makes no sense"}
		}
	}
	slices.SortFunc(live, func(a, b *segment) int { return cmp.Compare(a.header.sequence, b.header.sequence) })
	for len(live) > 1 && live[1].header.first <= o.Folded+1 {
		live = live[1:]
	}
	if len(live) > 0 && live[0].header.first > o.Folded+1 {
		return nil, &CorruptError{File: live[0].name, Offset: 0, Position: o.Folded + 1,
			Message: fmt.Sprintf("the oldest segment begins at position %d", live[0].header.first)}
	}
	for _, s := range live {
		if int64(s.header.size) != s.size {
			return nil, &CorruptError{File: s.name, Offset: s.size, Position: s.header.first,
				Message: fmt.Sprintf("the file has %d bytes instead of %d", s.size, s.header.size)}
		}
	}
	return live, nil
}

// scan follows the frames of a segment.
func scan(s *segment, o Options) (*found, error) {
	f := &found{segment: s, next: s.header.first, tail: blockSize}
	w := newWindow(s.file, s.size)
	chain := s.header.checksum
	for f.tail < s.size {
		h, err := w.frame(f.tail)
		if errors.Is(err, errNoFrame) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read journal %q at offset %d: %w", s.name, f.tail, err)
		}
		follows := h.generation == s.header.generation && h.first == f.next && h.chain == chain
		if h.store != o.Store || !follows && seeded != bugStaleSegment {
			break
		}
		if h.last() > o.Folded {
			if f.frames == 0 {
				f.first = h.first
			}
			f.frames++
			f.bytes += int64(h.length)
		}
		f.next = h.last() + 1
		f.tail += h.blocks()
		chain = h.checksum
	}
	if seeded == bugStaleSegment {
		return f, nil
	}
	return f, f.checkRest(w, chain, o)
}

// checkRest looks at what is behind the last frame: a whole frame of this use
// of the segment that the log does not have can't be there, and the beginning
// of one means a torn frame.
func (f *found) checkRest(w *window, chain uint32, o Options) error {
	for at := f.tail; at < f.size; at += blockSize {
		b, err := w.at(at, frameHeaderSize)
		if err != nil {
			return fmt.Errorf("read journal %q at offset %d: %w", f.name, at, err)
		}
		h := parseFrameHeader(b)
		ours := h.generation == f.header.generation
		if at == f.tail {
			// One damaged byte leaves one of the two intact.
			f.torn = ours || h.chain == chain && h.store == o.Store
		}
		if !ours || seeded == bugCutAnywhere {
			continue
		}
		if h, err = w.frame(at); errors.Is(err, errNoFrame) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read journal %q at offset %d: %w", f.name, at, err)
		}
		if h.last() > o.Folded {
			return &CorruptError{File: f.name, Offset: f.tail, Position: f.next,
				Message: fmt.Sprintf("not the frame that was written, while a later one at offset %d, of positions %d to %d, is whole", at, h.first, h.last())}
		}
	}
	return nil
}

// checkLost fails when a segment with a damaged header holds a frame of the
// store that the log does not have.
func checkLost(s *segment, o Options) error {
	w := newWindow(s.file, s.size)
	for at := int64(blockSize); at+blockSize <= s.size; at += blockSize {
		h, err := w.frame(at)
		if errors.Is(err, errNoFrame) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read journal %q at offset %d: %w", s.name, at, err)
		}
		if h.store == o.Store && h.last() > o.Folded {
			return &CorruptError{File: s.name, Offset: 0, Position: h.first,
				Message: fmt.Sprintf("the segment header is not what was written, but there is a frame at offset %d with positions %d to %d", at, h.first, h.last())}
		}
	}
	return nil
}

// errNoFrame means that there is no whole frame.
var errNoFrame = errors.New("no frame as it was written")

// window reads a segment through one buffer.
type window struct {
	file   File
	size   int64
	buffer []byte // aligned
	offset int64  // of data
	data   []byte // part of buffer that is read
}

func newWindow(f File, size int64) *window {
	size &^= blockSize - 1
	return &window{file: f, size: size, buffer: alignedBuffer(int(min(size, chunkSize)))}
}

// at returns the bytes from offset on, at least one and at most n, none past
// the end. Bytes within one block come together. They are valid until the next
// call.
func (w *window) at(offset int64, n int) ([]byte, error) {
	if offset < w.offset || offset >= w.offset+int64(len(w.data)) {
		start := offset &^ (blockSize - 1)
		if start >= w.size {
			return nil, io.ErrUnexpectedEOF
		}
		b := w.buffer[:min(int64(len(w.buffer)), w.size-start)]
		w.data = nil
		if err := readAt(w.file, b, start); err != nil {
			return nil, err
		}
		w.offset, w.data = start, b
	}
	b := w.data[offset-w.offset:]
	return b[:min(n, len(b))], nil
}

// frame returns the header of the whole frame at offset. It is errNoFrame when
// there is none.
func (w *window) frame(offset int64) (frameHeader, error) {
	b, err := w.at(offset, frameHeaderSize)
	if err != nil {
		return frameHeader{}, err
	}
	h := parseFrameHeader(b)
	if !h.plausible(offset, w.size) {
		return frameHeader{}, errNoFrame
	}
	sum := crc32.Checksum(b[8:], castagnoli)
	from := offset + frameHeaderSize
	for to := from + int64(h.length); from < to; {
		b, err := w.at(from, int(to-from))
		if err != nil {
			return frameHeader{}, err
		}
		sum = crc32.Update(sum, castagnoli, b)
		from += int64(len(b))
	}
	if sum != h.checksum && seeded != bugTrustPayload {
		return frameHeader{}, errNoFrame
	}
	return h, nil
}

// copy fills dst with the bytes from offset on.
func (w *window) copy(dst []byte, offset int64) error {
	for len(dst) > 0 {
		b, err := w.at(offset, len(dst))
		if err != nil {
			return err
		}
		n := copy(dst, b)
		dst = dst[n:]
		offset += int64(n)
	}
	return nil
}

// readAt reads all of b, or fails.
func readAt(f File, b []byte, offset int64) error {
	n, err := f.ReadAt(b, offset)
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}
