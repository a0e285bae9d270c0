package verify

import (
	"encoding/binary"
	"fmt"
	"slices"
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
// per reference followed: a table costs its vtable and the unions that its
// vtable is too short for, a string, a vector or a nested buffer its bytes,
// whether they are looked at here or only by who reads them. A tree costs little
// more than its length; only parts that are referred to many times cost more,
// and sharing of up to share times on average passes. Without it 2^64 visits fit
// into a kilobyte.
const (
	fixedBudget = 64 << 10
	share       = 32
)

// Plan checks buffers of one root table. It is immutable, and safe for use by
// any number of goroutines.
type Plan struct {
	root  *table
	share int64
	// stated is the identifier of the schema's root_type, where root can hold
	// one, and demanded the same in a plan [Plan.WithIdentifier].
	stated, demanded *identifier
}

// table is one table of a schema, flattened: its fields by id, and apart from
// them what only references and errors need, so that the fields that most
// events have lie in one cache line.
type table struct {
	fields  []field
	targets []target
	names   []string
	name    string
	// demanding are the ids of demanding fields, rising, and lastDemanding is the
	// highest, -1 for none.
	lastDemanding int
	demanding     []int
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
	entrySize       = 2 // of an entry of a vtable
	tableFixedPart  = 4 // the offset to its vtable
)

// field is what must hold for a field's entry in its table, in eight bytes.
type field struct {
	size uint32 // of the inline part
	kind kind
	mask uint8 // alignment of the inline part - 1
	// demanding says that an absent entry must be looked at: the field is
	// required, or the value of a union whose tag may be there.
	demanding bool
	required  bool
}

// target is what a field's reference leads to.
type target struct {
	elemSize uint32 // of a vector's elements
	elemMask uint8  // alignment of a vector's elements - 1
	table    *table // of a table, table vector or nested buffer
	members  []*table
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
	var w walk // filled in place: a literal is made elsewhere and copied
	w.buf = data[:len(data):len(data)]
	w.left = fixedBudget + p.share*int64(len(data))
	w.exact = exact
	w.demanded = p.demanded
	if err := w.root(p.root, root, 1); err != nil {
		return err
	}
	return nil
}

// walk is one buffer being checked. Positions are 64 bits wide on every
// platform, and sums of a few 32-bit numbers from the buffer cannot overflow.
type walk struct {
	buf   []byte // without spare capacity, see u16
	base  int    // of buf in what the caller gave, for nested buffers
	left  int64  // of the work budget
	exact bool

	demanded *identifier // nil when none is
}

// fail is kept out of line: inlined, it doubles the functions that matter.
//
//go:noinline
func (w *walk) fail(at uint64, format string, args ...any) *Error {
	return &Error{Offset: w.base + int(at), Message: fmt.Sprintf(format, args...)}
}

// u16 and u32 load a number. Written like this, and not with buf[at:], the
// compiler makes two compares and a load of it. Go compares with the capacity,
// which is why a walk's buffer has none to spare.
func u16(buf []byte, at uint64) uint64 { return uint64(binary.LittleEndian.Uint16(buf[at : at+2])) }
func u32(buf []byte, at uint64) uint64 { return uint64(binary.LittleEndian.Uint32(buf[at : at+4])) }

func (w *walk) size() uint64 { return uint64(len(w.buf)) }

// root follows the reference at position at, which may lie outside.
func (w *walk) root(t *table, at uint64, depth int) *Error {
	if size := w.size(); size < at+referenceSize {
		return w.fail(0, "%d bytes are too few for a buffer", size)
	}
	if id := w.demanded; id != nil && id.table == t {
		if err := w.identified(id, at+referenceSize); err != nil {
			return err
		}
	}
	pos := follow(w.buf, at)
	if pos == astray {
		return w.astray(at)
	}
	return w.table(t, pos, depth)
}

// astray is where references lead that must not be followed.
const astray = 0

// follow returns where the reference at position at, four bytes known to be
// inside, leads: always forward, so that no chain of references ever closes,
// and to four readable, aligned bytes.
func follow(buf []byte, at uint64) uint64 {
	distance := u32(buf, at)
	pos := at + distance
	if distance < referenceSize || pos+lengthSize > uint64(len(buf)) || pos&referenceMask != 0 {
		return astray
	}
	return pos
}

// astray says why the reference at position at is not followed.
func (w *walk) astray(at uint64) *Error {
	distance, size := u32(w.buf, at), w.size()
	pos := at + distance
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
	if w.left -= int64(cost); w.left < 0 {
		return w.spent(at)
	}
	return nil
}

func (w *walk) spent(at uint64) *Error {
	return w.fail(at, "parts are referred to too many times")
}

// table checks the table at pos, where four bytes are known to be inside and
// aligned. On the way through a sound table of scalars and ASCII strings it
// calls nothing: a call costs more than a field, as it empties all registers.
func (w *walk) table(t *table, pos uint64, depth int) *Error {
	if depth > MaxDepth {
		return w.fail(pos, "more than %d tables deep", MaxDepth)
	}
	// The offset to the vtable is signed: before 0 wraps to above any size.
	buf := w.buf
	size := uint64(len(buf))
	vtable := pos - uint64(int64(int32(u32(buf, pos))))
	if vtable > size-vtableFixedPart || vtable&1 != 0 {
		return w.fail(pos, "vtable at byte %d is outside the buffer of %d bytes, or not aligned to 2", int64(vtable), size)
	}
	sizes := u32(buf, vtable)
	vtableSize, tableSize := sizes&0xffff, sizes>>16
	if vtableSize < vtableFixedPart || vtableSize&1 != 0 || vtable+vtableSize > size {
		return w.fail(vtable, "a vtable of %d bytes is impossible here", vtableSize)
	}
	if tableSize < tableFixedPart {
		return w.fail(vtable+2, "a table of %d bytes is impossible", tableSize)
	}
	if w.left -= int64(tableFixedPart + vtableSize); w.left < 0 {
		return w.spent(pos)
	}

	entry := vtable + vtableFixedPart
	count := int(vtableSize-vtableFixedPart) / entrySize
	fields := t.fields[:min(count, len(t.fields))]
	for i := range fields {
		f := &fields[i]
		offset := u16(buf, entry+entrySize*uint64(i))
		if offset == 0 {
			if f.demanding {
				if err := w.absent(t, i, vtable, pos); err != nil {
					return err
				}
			}
			continue
		}
		at := pos + offset
		// Against the buffer, not the table's own size: the builders of Go and
		// other languages let tables share a vtable that differ in size only.
		if offset < tableFixedPart || at+uint64(f.size) > size || at&uint64(f.mask) != 0 {
			return w.misplaced(t, i, at, offset)
		}
		if f.kind == inlineValue {
			continue
		}
		if f.kind == stringValue {
			// What text finds nothing wrong with, for the most part.
			if start := follow(buf, at); start != astray {
				length, first := u32(buf, start), start+lengthSize
				end := first + length
				if end < size && buf[end] == 0 && w.left >= int64(length) && ascii(buf, first, end) {
					w.left -= int64(length)
					continue
				}
			}
		}
		if err := w.referred(t, i, vtable, pos, at, depth); err != nil {
			return err
		}
	}
	if len(fields) <= t.lastDemanding {
		if err := w.absentFrom(t, len(fields), vtable, pos); err != nil {
			return err
		}
	}
	if w.exact && count > len(fields) {
		return w.noOthers(t, vtable, count)
	}
	return nil
}

// entry returns what the vtable says about the field of id i: where it is in
// its table, 0 for nowhere.
func (w *walk) entry(vtable uint64, i int) uint64 {
	at := vtableFixedPart + entrySize*uint64(i)
	if at >= u16(w.buf, vtable) {
		return 0
	}
	return u16(w.buf, vtable+at)
}

// absentFrom judges that no field of that id or a higher one has an entry in
// the table at pos.
func (w *walk) absentFrom(t *table, id int, vtable, pos uint64) *Error {
	first, _ := slices.BinarySearch(t.demanding, id)
	if err := w.spend(pos, uint64(len(t.demanding)-first)); err != nil {
		return err
	}
	for _, i := range t.demanding[first:] {
		if err := w.absent(t, i, vtable, pos); err != nil {
			return err
		}
	}
	return nil
}

// absent judges that the field of id i has no entry in the table at pos.
func (w *walk) absent(t *table, i int, vtable, pos uint64) *Error {
	f := &t.fields[i]
	if f.required {
		return w.fail(pos, "required, but absent").under(t.names[i])
	}
	if f.kind == unionValue {
		if tag := w.tag(vtable, pos, i); tag != 0 {
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

// noOthers refuses entries, of count, for fields that the schema does not know.
func (w *walk) noOthers(t *table, vtable uint64, count int) *Error {
	for i := len(t.fields); i < count; i++ {
		if w.entry(vtable, i) != 0 {
			return w.fail(vtable+vtableFixedPart+entrySize*uint64(i), "table %s has no field of id %d in this schema: register the newer schema and name its fingerprint", t.name, i)
		}
	}
	return nil
}

// referred checks what the field of id i refers to, whose reference is at
// position at.
func (w *walk) referred(t *table, i int, vtable, pos, at uint64, depth int) (err *Error) {
	switch f := &t.fields[i]; f.kind {
	case stringValue:
		err = w.text(at)
	case unionValue:
		err = w.union(&t.targets[i], i, vtable, pos, at, depth)
	default:
		err = w.reference(f.kind, &t.targets[i], at, depth)
	}
	if err != nil {
		return err.under(t.names[i])
	}
	return nil
}

// reference checks what a reference at position at leads to, when that is
// neither a string nor a union's value.
func (w *walk) reference(k kind, t *target, at uint64, depth int) *Error {
	pos := follow(w.buf, at)
	if pos == astray {
		return w.astray(at)
	}
	if k == tableValue {
		return w.table(t.table, pos, depth+1)
	}
	count, first := u32(w.buf, pos), pos+lengthSize
	// At most 2^32 elements of 2^16 bytes.
	if first+count*uint64(t.elemSize) > w.size() {
		return w.fail(pos, "a vector of %d elements of %d bytes runs past the end", count, t.elemSize)
	}
	if count > 0 && first&uint64(t.elemMask) != 0 {
		return w.fail(first, "the elements are not aligned to %d", t.elemMask+1)
	}
	if err := w.spend(pos, count*uint64(t.elemSize)); err != nil {
		return err
	}
	switch k {
	case stringVector:
		return w.strings(first, count)
	case tableVector:
		return w.tables(t.table, first, count, depth)
	case nestedBuffer:
		return w.nested(t.table, first, count, depth)
	}
	return nil
}

// text checks the string that the reference at position at leads to.
func (w *walk) text(at uint64) *Error {
	buf := w.buf
	pos := follow(buf, at)
	if pos == astray {
		return w.astray(at)
	}
	length, first := u32(buf, pos), pos+lengthSize
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
	for ; first+8 <= end; first += 8 {
		bits |= binary.LittleEndian.Uint64(buf[first : first+8])
	}
	last := binary.LittleEndian.Uint64(buf[end-8 : end])
	bits |= last >> (8 * (8 - (end - first)) & 127) // a shift by 64 leaves nothing
	return bits&0x8080808080808080 == 0
}

func (w *walk) strings(first, count uint64) *Error {
	for i := range count {
		if err := w.text(first + i*referenceSize); err != nil {
			return err.at(i)
		}
	}
	return nil
}

func (w *walk) tables(t *table, first, count uint64, depth int) *Error {
	for i := range count {
		at := first + i*referenceSize
		pos := follow(w.buf, at)
		if pos == astray {
			return w.astray(at).at(i)
		}
		if err := w.table(t, pos, depth+1); err != nil {
			return err.at(i)
		}
	}
	return nil
}

// nested checks length bytes at first as a buffer of their own: offsets and
// alignment count from there.
func (w *walk) nested(t *table, first, length uint64, depth int) *Error {
	outer := *w
	w.buf, w.base = outer.buf[first:first+length:first+length], outer.base+int(first)
	err := w.root(t, 0, depth+1)
	w.buf, w.base = outer.buf, outer.base
	return err
}

// tag returns the tag of the union whose value has id i: the byte that the
// entry before points to, checked when it was passed. 0, NONE, when absent.
func (w *walk) tag(vtable, pos uint64, i int) byte {
	offset := w.entry(vtable, i-1)
	if offset == 0 {
		return 0
	}
	return w.buf[pos+offset]
}

// union checks the value of id i, whose reference is at position at.
func (w *walk) union(t *target, i int, vtable, pos, at uint64, depth int) *Error {
	tag := w.tag(vtable, pos, i)
	if tag == 0 {
		return w.fail(at, "the union has a value, but no tag")
	}
	if int(tag) >= len(t.members) || t.members[tag] == nil {
		return w.fail(at, "the union has tag %d, which is not in this schema", tag)
	}
	value := follow(w.buf, at)
	if value == astray {
		return w.astray(at)
	}
	return w.table(t.members[tag], value, depth+1)
}
