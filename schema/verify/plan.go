package verify

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

const (
	// MaxDepth is how many tables deep a buffer may be, nested buffers
	// included. Deeper data is refused, also when it is finite.
	MaxDepth = 64
	// MaxSize is the largest buffer there is: offsets are 32 bits, those to
	// vtables signed.
	MaxSize = 1<<31 - 1
)

// The work budget of one buffer is fixedBudget + share * length. It is spent
// per reference followed: a table costs its vtable, a string or a vector of
// references its bytes. A tree costs less than its length; only parts that are
// referred to many times cost more, and sharing of up to share times on average
// passes. Without it 2^64 visits fit into a kilobyte.
const (
	fixedBudget = 64 << 10
	share       = 32
)

// Plan checks buffers of one root table. It is immutable, and safe for use by
// any number of goroutines.
type Plan struct {
	root  *table
	share int64
}

// table is one table of a schema, flattened: its fields by id.
type table struct {
	name   string
	fields []field
	names  []string // of fields, apart because only errors need them
	// lastDemanding is the highest id of a demanding field, -1 for none.
	lastDemanding int
}

type kind uint8

const (
	inlineValue  kind = iota // scalar or struct
	stringValue              // reference to a string
	tableValue               // reference to a table
	unionValue               // reference to the table that the tag before it names
	inlineVector             // of scalars or structs
	stringVector             // of references to strings
	tableVector              // of references to tables
	nestedBuffer             // a vector of bytes that is a buffer of its own
)

const (
	referenceSize   = 4 // of an offset to a table, string or vector
	referenceMask   = referenceSize - 1
	lengthSize      = 4 // of the length before strings, vectors and prefixed buffers
	vtableFixedPart = 4 // its size and its table's size, before the entries
	tableFixedPart  = 4 // the offset to its vtable
)

type field struct {
	kind     kind
	required bool
	// demanding says that an absent entry must be looked at: the field is
	// required, or the value of a union whose tag may be there.
	demanding bool
	size      uint32 // of the inline part
	elemSize  uint32 // of a vector's elements
	mask      uint64 // alignment of the inline part - 1
	elemMask  uint64 // alignment of a vector's elements - 1
	target    *table // of a table, table vector or nested buffer
	members   []*table
}

// Table returns the full name of the root table.
func (p *Plan) Table() string { return p.root.name }

// Verify accepts data when it is a finished buffer of the root table, without
// size prefix, and returns an [*Error] otherwise. Fields that the schema does
// not know are stepped over. It does not write to data, keeps nothing of it,
// and allocates only for an error.
func (p *Plan) Verify(data []byte) error {
	return p.run(data, 0, false)
}

// VerifyExact is [Plan.Verify] for data that claims to be written with
// precisely this schema: a field that the schema does not know is an error.
func (p *Plan) VerifyExact(data []byte) error {
	return p.run(data, 0, true)
}

// VerifySizePrefixed is [Plan.Verify] for a buffer that begins with the length
// of what follows as four little-endian bytes. The length must be that of data
// exactly. Alignment counts from the prefix.
func (p *Plan) VerifySizePrefixed(data []byte) error {
	if len(data) < lengthSize {
		return &Error{Offset: 0, Message: fmt.Sprintf("%d bytes are too few for a size prefix", len(data))}
	}
	if size := uint64(binary.LittleEndian.Uint32(data)); size != uint64(len(data)-lengthSize) {
		return &Error{Offset: 0, Message: fmt.Sprintf("the size prefix says %d bytes, %d follow it", size, len(data)-lengthSize)}
	}
	return p.run(data, lengthSize, false)
}

func (p *Plan) run(data []byte, root uint64, exact bool) error {
	if len(data) > MaxSize {
		return &Error{Message: fmt.Sprintf("%d bytes are more than a buffer can have", len(data))}
	}
	w := walk{buf: data, left: fixedBudget + p.share*int64(len(data)), exact: exact}
	if err := w.root(p.root, root, 1); err != nil {
		return err
	}
	return nil
}

// walk is one buffer being checked. Positions are 64 bits wide on every
// platform, and sums of a few 32-bit numbers from the buffer cannot overflow.
type walk struct {
	buf   []byte
	base  int   // of buf in what the caller gave, for nested buffers
	left  int64 // of the work budget
	exact bool
}

// fail is kept out of line: inlined, it doubles the functions that matter.
//
//go:noinline
func (w *walk) fail(at uint64, format string, args ...any) *Error {
	return &Error{Offset: w.base + int(at), Message: fmt.Sprintf(format, args...)}
}

func (w *walk) u32(at uint64) uint64 { return uint64(binary.LittleEndian.Uint32(w.buf[at:])) }
func (w *walk) size() uint64         { return uint64(len(w.buf)) }

// root follows the reference at position at, which may lie outside.
func (w *walk) root(t *table, at uint64, depth int) *Error {
	if size := w.size(); size < at+referenceSize {
		return w.fail(0, "%d bytes are too few for a buffer", size)
	}
	pos, err := w.follow(at)
	if err != nil {
		return err
	}
	return w.table(t, pos, depth)
}

// follow returns where the reference at position at, four bytes known to be
// inside, leads: always forward, so that no chain of references ever closes,
// and to four readable, aligned bytes.
func (w *walk) follow(at uint64) (uint64, *Error) {
	distance := w.u32(at)
	pos := at + distance
	if distance < referenceSize || pos+lengthSize > w.size() || pos&referenceMask != 0 {
		return 0, w.astray(at, distance)
	}
	return pos, nil
}

func (w *walk) astray(at, distance uint64) *Error {
	pos, size := at+distance, w.size()
	switch {
	case distance < referenceSize:
		return w.fail(at, "offset %d does not lead past itself", distance)
	case pos+lengthSize > size:
		return w.fail(at, "offset %d leads outside the buffer of %d bytes", distance, size)
	}
	return w.fail(at, "offset %d leads to byte %d, which is not aligned to 4", distance, pos)
}

// spend takes cost from the budget before the work is done.
func (w *walk) spend(at, cost uint64) *Error {
	w.left -= int64(cost)
	if w.left < 0 {
		return w.fail(at, "parts are referred to too many times")
	}
	return nil
}

// table checks the table at pos, where four bytes are known to be inside and
// aligned.
func (w *walk) table(t *table, pos uint64, depth int) *Error {
	if depth > MaxDepth {
		return w.fail(pos, "more than %d tables deep", MaxDepth)
	}
	// The offset to the vtable is signed: before 0 wraps to above any size.
	buf, size := w.buf, w.size()
	vtable := pos - uint64(int64(int32(binary.LittleEndian.Uint32(buf[pos:]))))
	if vtable > size-vtableFixedPart || vtable&1 != 0 {
		return w.fail(pos, "vtable at byte %d is outside the buffer of %d bytes, or not aligned to 2", int64(vtable), size)
	}
	sizes := binary.LittleEndian.Uint32(buf[vtable:])
	vtableSize, tableSize := uint64(sizes&0xffff), uint64(sizes>>16)
	if vtableSize < vtableFixedPart || vtableSize&1 != 0 || vtable+vtableSize > size {
		return w.fail(vtable, "a vtable of %d bytes is impossible here", vtableSize)
	}
	if tableSize < tableFixedPart {
		return w.fail(vtable+2, "a table of %d bytes is impossible", tableSize)
	}
	if err := w.spend(pos, tableFixedPart+vtableSize); err != nil {
		return err
	}

	entries := buf[vtable+vtableFixedPart : vtable+vtableSize]
	known := min(len(entries)/2, len(t.fields))
	fields := t.fields[:known]
	for i := range fields {
		f := &fields[i]
		offset := uint64(binary.LittleEndian.Uint16(entries[2*i:]))
		if offset == 0 {
			if f.demanding {
				if err := w.absent(t, i, entries, pos); err != nil {
					return err
				}
			}
			continue
		}
		at := pos + offset
		// Against the buffer, not the table's own size: the builders of Go and
		// other languages let tables share a vtable that differ in size only.
		if offset < tableFixedPart || at+uint64(f.size) > size || at&f.mask != 0 {
			return w.misplaced(t, i, at, offset)
		}
		var err *Error
		switch f.kind {
		case inlineValue:
			continue
		case stringValue:
			err = w.text(at)
		case unionValue:
			err = w.union(f, i, entries, pos, at, depth)
		default:
			err = w.reference(f, at, depth)
		}
		if err != nil {
			return err.under(t.names[i])
		}
	}
	for i := known; i <= t.lastDemanding; i++ {
		if t.fields[i].demanding {
			if err := w.absent(t, i, entries, pos); err != nil {
				return err
			}
		}
	}
	if w.exact {
		return w.noOthers(t, entries[2*known:], known, vtable)
	}
	return nil
}

// absent judges that the field of id i has no entry in the table at pos.
func (w *walk) absent(t *table, i int, entries []byte, pos uint64) *Error {
	f := &t.fields[i]
	if f.required {
		return w.fail(pos, "required, but absent").under(t.names[i])
	}
	if f.kind == unionValue {
		if tag := w.tag(entries, pos, i); tag != 0 {
			return w.fail(pos, "the union has tag %d, but no value", tag).under(t.names[i])
		}
	}
	return nil
}

func (w *walk) misplaced(t *table, i int, at, offset uint64) *Error {
	f := &t.fields[i]
	switch {
	case offset < tableFixedPart:
		return w.fail(at, "at byte %d of its table it is over the reference to the vtable", offset).under(t.names[i])
	case at+uint64(f.size) > w.size():
		return w.fail(at, "its %d bytes are outside the buffer of %d bytes", f.size, w.size()).under(t.names[i])
	}
	return w.fail(at, "not aligned to %d", f.mask+1).under(t.names[i])
}

// noOthers refuses entries of fields that the schema does not know. entries
// are those from id first on.
func (w *walk) noOthers(t *table, entries []byte, first int, vtable uint64) *Error {
	for i := range len(entries) / 2 {
		if binary.LittleEndian.Uint16(entries[2*i:]) != 0 {
			return w.fail(vtable+vtableFixedPart+2*uint64(first+i), "table %s has no field of id %d in this schema: register the newer schema and name its fingerprint", t.name, first+i)
		}
	}
	return nil
}

// reference checks what the reference of f at position at leads to, when that
// is not a string.
func (w *walk) reference(f *field, at uint64, depth int) *Error {
	pos, err := w.follow(at)
	if err != nil {
		return err
	}
	if f.kind == tableValue {
		return w.table(f.target, pos, depth+1)
	}
	count, first := w.u32(pos), pos+lengthSize
	// At most 2^32 elements of 2^16 bytes.
	if first+count*uint64(f.elemSize) > w.size() {
		return w.fail(pos, "a vector of %d elements of %d bytes runs past the end", count, f.elemSize)
	}
	if count > 0 && first&f.elemMask != 0 {
		return w.fail(first, "the elements are not aligned to %d", f.elemMask+1)
	}
	switch f.kind {
	case stringVector:
		return w.strings(first, count)
	case tableVector:
		return w.tables(f.target, first, count, depth)
	case nestedBuffer:
		return w.nested(f.target, first, count, depth)
	}
	return nil
}

// text checks the string that the reference at position at leads to.
func (w *walk) text(at uint64) *Error {
	buf := w.buf
	distance := uint64(binary.LittleEndian.Uint32(buf[at:]))
	pos := at + distance
	first := pos + lengthSize
	// As in follow, which is too large to be inlined where it matters most.
	if distance < referenceSize || first > uint64(len(buf)) || pos&referenceMask != 0 {
		return w.astray(at, distance)
	}
	length := uint64(binary.LittleEndian.Uint32(buf[pos:]))
	end := first + length
	if end >= uint64(len(buf)) {
		return w.fail(pos, "a string of %d bytes and its zero byte run past the end", length)
	}
	if buf[end] != 0 {
		return w.fail(end, "a string of %d bytes is not followed by a zero byte", length)
	}
	if err := w.spend(pos, length); err != nil {
		return err
	}
	if !ascii(buf, first, end) && !utf8.Valid(buf[first:end]) {
		return w.fail(first, "the string is not valid UTF-8")
	}
	return nil
}

// ascii tells whether buf[first:end] has no byte above 127. It reads eight
// bytes at a time, and for what is left over the eight bytes before end: first
// comes after a root reference and a length, so there are as many.
func ascii(buf []byte, first, end uint64) bool {
	var bits uint64
	at := first
	for ; at+8 <= end; at += 8 {
		bits |= binary.LittleEndian.Uint64(buf[at:])
	}
	last := binary.LittleEndian.Uint64(buf[end-8:])
	bits |= last >> (8 * (8 - (end - at))) // a shift by 64 leaves nothing
	return bits&0x8080808080808080 == 0
}

func (w *walk) strings(first, count uint64) *Error {
	if err := w.spend(first, count*referenceSize); err != nil {
		return err
	}
	for i := range count {
		if err := w.text(first + i*referenceSize); err != nil {
			return err.at(i)
		}
	}
	return nil
}

func (w *walk) tables(t *table, first, count uint64, depth int) *Error {
	if err := w.spend(first, count*referenceSize); err != nil {
		return err
	}
	for i := range count {
		pos, err := w.follow(first + i*referenceSize)
		if err == nil {
			err = w.table(t, pos, depth+1)
		}
		if err != nil {
			return err.at(i)
		}
	}
	return nil
}

// nested checks length bytes at first as a buffer of their own: offsets and
// alignment count from there.
func (w *walk) nested(t *table, first, length uint64, depth int) *Error {
	outer := *w
	w.buf, w.base = outer.buf[first:first+length], outer.base+int(first)
	err := w.root(t, 0, depth+1)
	w.buf, w.base = outer.buf, outer.base
	return err
}

// tag returns the tag of the union whose value has id i: the byte that the
// entry before points to, checked when it was passed. 0, NONE, when absent.
func (w *walk) tag(entries []byte, pos uint64, i int) byte {
	if 2*i > len(entries) {
		return 0
	}
	offset := uint64(binary.LittleEndian.Uint16(entries[2*(i-1):]))
	if offset == 0 {
		return 0
	}
	return w.buf[pos+offset]
}

// union checks the value of id i, whose reference is at position at.
func (w *walk) union(f *field, i int, entries []byte, pos, at uint64, depth int) *Error {
	tag := w.tag(entries, pos, i)
	if tag == 0 {
		return w.fail(at, "the union has a value, but no tag")
	}
	if int(tag) >= len(f.members) || f.members[tag] == nil {
		return w.fail(at, "the union has tag %d, which is not in this schema", tag)
	}
	target, err := w.follow(at)
	if err != nil {
		return err
	}
	return w.table(f.members[tag], target, depth+1)
}
