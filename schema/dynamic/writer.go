package dynamic

import (
	"encoding/binary"
	"fmt"
	"math"
)

// writer builds a buffer from its end to its front, as FlatBuffers' builders
// do. Places are counted from the end, which is where they stay.
//
// It exists because flatbuffers.Builder, of v25.12.19, shares a vtable between
// tables whose fields are at the same offsets, but have different sizes: one of
// the two then claims a wrong size, which the verifier refuses. And it compares
// each table with all vtables before it, which untrusted input can make slow.
type writer struct {
	buf      []byte // used from head on
	head     int
	minalign int
	vtables  map[string]int // places by contents
	start    int            // of the table being written: what was there before it
	entries  []int          // places of its fields by id, 0 for none
	vtable   []byte
}

func newWriter() *writer {
	return &writer{buf: make([]byte, 256), head: 256, minalign: referenceSize, vtables: make(map[string]int)}
}

// place returns how much was written, which is the place of what was last.
func (w *writer) place() int { return len(w.buf) - w.head }

// room makes room for n bytes and returns them, to be filled.
func (w *writer) room(n int) []byte {
	if n > w.head {
		grown := make([]byte, 2*len(w.buf)+n)
		head := len(grown) - w.place()
		copy(grown[head:], w.buf[w.head:])
		w.buf, w.head = grown, head
	}
	w.head -= n
	return w.buf[w.head : w.head+n]
}

// align pads so that after n more bytes the place is a multiple of align.
func (w *writer) align(align, n int) {
	w.minalign = max(w.minalign, align)
	if padding := -(w.place() + n) & (align - 1); padding > 0 {
		clear(w.room(padding))
	}
}

func (w *writer) bytes(b []byte) { copy(w.room(len(b)), b) }

func (w *writer) u32(v int) {
	binary.LittleEndian.PutUint32(w.room(referenceSize), uint32(v))
}

// reference writes an offset to a place. The caller has aligned.
func (w *writer) reference(to int) { w.u32(w.place() + referenceSize - to) }

// text writes a string and returns its place.
func (w *writer) text(s []byte) int {
	w.align(lengthSize, len(s)+1)
	end := w.room(1)
	end[0] = 0
	w.bytes(s)
	w.u32(len(s))
	return w.place()
}

// vector writes a vector of elements that are held inline.
func (w *writer) vector(size, align int, elements []byte) int {
	w.align(lengthSize, len(elements))
	w.align(align, len(elements))
	w.bytes(elements)
	w.u32(len(elements) / size)
	return w.place()
}

// references writes a vector of offsets to places.
func (w *writer) references(to []int) int {
	w.align(referenceSize, len(to)*referenceSize)
	for i := len(to) - 1; i >= 0; i-- {
		w.reference(to[i])
	}
	w.u32(len(to))
	return w.place()
}

// startTable begins a table whose fields have ids below slots. Whatever it
// refers to has been written.
func (w *writer) startTable(slots int) {
	w.start = w.place()
	w.entries = w.entries[:0]
	for range slots {
		w.entries = append(w.entries, 0)
	}
}

// inline writes a field's own bytes.
func (w *writer) inline(id, align int, value []byte) {
	w.align(align, len(value))
	w.bytes(value)
	w.entries[id] = w.place()
}

// refer writes a field that is a reference.
func (w *writer) refer(id, to int) {
	w.align(referenceSize, referenceSize)
	w.reference(to)
	w.entries[id] = w.place()
}

// endTable writes the vtable, unless it is there already, and returns the
// table's place.
func (w *writer) endTable() (int, error) {
	w.align(referenceSize, referenceSize)
	w.u32(0) // the offset to the vtable, known below
	table := w.place()
	size := table - w.start
	if size > math.MaxUint16 {
		return 0, fmt.Errorf("the table needs %d bytes of its own, more than the %d it can have", size, math.MaxUint16)
	}
	known := len(w.entries)
	for known > 0 && w.entries[known-1] == 0 {
		known--
	}
	w.vtable = binary.LittleEndian.AppendUint16(w.vtable[:0], uint16(4+2*known))
	w.vtable = binary.LittleEndian.AppendUint16(w.vtable, uint16(size))
	for _, place := range w.entries[:known] {
		offset := 0
		if place != 0 {
			offset = table - place
		}
		w.vtable = binary.LittleEndian.AppendUint16(w.vtable, uint16(offset))
	}
	vtable, ok := w.vtables[string(w.vtable)]
	if !ok {
		w.bytes(w.vtable)
		vtable = w.place()
		w.vtables[string(w.vtable)] = vtable
	}
	binary.LittleEndian.PutUint32(w.buf[len(w.buf)-table:], uint32(int32(vtable-table)))
	return table, nil
}

// finish writes the reference to the root and the identifier, of four bytes or
// none, and returns the buffer.
func (w *writer) finish(root int, identifier string) []byte {
	w.align(w.minalign, referenceSize+len(identifier))
	w.bytes([]byte(identifier))
	w.reference(root)
	return w.buf[w.head:]
}
