package journal

import (
	"encoding/binary"
	"hash/crc32"
	"math"

	"github.com/verbatim-es/verbatim/event"
)

const (
	// blockSize is what everything is aligned to: a disk's sector or a multiple
	// of it, and a page of the cache.
	blockSize = 4096

	segmentMagic  = "VBJS"
	frameMagic    = "VBJF"
	formatVersion = 1

	segmentHeaderSize = 72
	frameHeaderSize   = 56
)

// state of a segment, as in its header.
type state uint32

const (
	stateFree  state = 1
	stateInUse state = 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// segmentHeader is the beginning of a segment.
type segmentHeader struct {
	checksum   uint32
	format     uint32
	state      state
	store      event.ID
	generation uint64
	sequence   uint64
	first      uint64
	folded     uint64
	size       uint64
}

// seal writes the header to the beginning of b and sets its checksum.
func (h *segmentHeader) seal(b []byte) {
	b = b[:segmentHeaderSize]
	le := binary.LittleEndian
	copy(b, segmentMagic)
	le.PutUint32(b[8:], h.format)
	le.PutUint32(b[12:], uint32(h.state))
	copy(b[16:], h.store[:])
	le.PutUint64(b[32:], h.generation)
	le.PutUint64(b[40:], h.sequence)
	le.PutUint64(b[48:], h.first)
	le.PutUint64(b[56:], h.folded)
	le.PutUint64(b[64:], h.size)
	h.checksum = crc32.Checksum(b[8:], castagnoli)
	le.PutUint32(b[4:], h.checksum)
}

// parseSegmentHeader reports whether b, of at least segmentHeaderSize bytes,
// begins with a header as it was written.
func parseSegmentHeader(b []byte) (h segmentHeader, ok bool) {
	b = b[:segmentHeaderSize]
	le := binary.LittleEndian
	h = segmentHeader{
		checksum:   le.Uint32(b[4:]),
		format:     le.Uint32(b[8:]),
		state:      state(le.Uint32(b[12:])),
		store:      event.ID(b[16:32]),
		generation: le.Uint64(b[32:]),
		sequence:   le.Uint64(b[40:]),
		first:      le.Uint64(b[48:]),
		folded:     le.Uint64(b[56:]),
		size:       le.Uint64(b[64:]),
	}
	return h, string(b[:4]) == segmentMagic && crc32.Checksum(b[8:], castagnoli) == h.checksum
}

// frameHeader is the beginning of a frame.
type frameHeader struct {
	magic      [4]byte
	checksum   uint32
	store      event.ID
	generation uint64
	first      uint64
	count      uint32
	length     uint32
	chain      uint32
	block      uint32
}

// last is the position of the frame's last event.
func (h *frameHeader) last() uint64 { return h.first + uint64(h.count) - 1 }

// blocks is the number of bytes that the frame takes in its segment.
func (h *frameHeader) blocks() int64 { return frameBlocks(int64(h.length)) }

// frameBlocks is the number of bytes that a frame with that payload takes.
func frameBlocks(length int64) int64 {
	return (frameHeaderSize + length + blockSize - 1) &^ (blockSize - 1)
}

// seal writes the header to the beginning of b, whose payload is in place, and
// sets the frame's checksum.
func (h *frameHeader) seal(b []byte) {
	le := binary.LittleEndian
	copy(b, frameMagic)
	copy(b[8:], h.store[:])
	le.PutUint64(b[24:], h.generation)
	le.PutUint64(b[32:], h.first)
	le.PutUint32(b[40:], h.count)
	le.PutUint32(b[44:], h.length)
	le.PutUint32(b[48:], h.chain)
	le.PutUint32(b[52:], h.block)
	h.checksum = crc32.Checksum(b[8:frameHeaderSize+int(h.length)], castagnoli)
	le.PutUint32(b[4:], h.checksum)
}

// parseFrameHeader reads what may be a frame's header from the beginning of b,
// which has at least frameHeaderSize bytes. Nothing is checked.
func parseFrameHeader(b []byte) frameHeader {
	b = b[:frameHeaderSize]
	le := binary.LittleEndian
	return frameHeader{
		magic:      [4]byte(b),
		checksum:   le.Uint32(b[4:]),
		store:      event.ID(b[8:24]),
		generation: le.Uint64(b[24:]),
		first:      le.Uint64(b[32:]),
		count:      le.Uint32(b[40:]),
		length:     le.Uint32(b[44:]),
		chain:      le.Uint32(b[48:]),
		block:      le.Uint32(b[52:]),
	}
}

// plausible reports whether the header can be that of a frame at offset in a
// segment of that size.
func (h *frameHeader) plausible(offset, size int64) bool {
	return string(h.magic[:]) == frameMagic && h.count > 0 && h.length > 0 && h.first > 0 &&
		h.last() >= h.first && h.last() < math.MaxUint64 && int64(h.block)*blockSize == offset && h.blocks() <= size-offset
}
