package dynamic

import (
	"io"
	"strconv"

	"github.com/verbatim-es/verbatim/schema"
)

// Bounds of what a tree shows of one value; it says how much it leaves out.
const (
	treeString   = 1024 // bytes of a string
	treeBytes    = 64   // of a [ubyte]
	treeElements = 64   // of a list
)

// AppendTree verifies data and appends it to dst as text for people: a line for
// each field, indented by two spaces a level, values aligned. Long strings,
// bytes and lists are cut, saying by how much. No line holds a control
// character. Errors are those of [Table.AppendJSON].
func (t *Table) AppendTree(dst, data []byte) ([]byte, error) {
	if err := t.plan.Verify(data); err != nil {
		return dst, err
	}
	return appendTo(dst, func(o *output) { o.tree(t.object, data, follow(data, 0), 0) })
}

// WriteTree is [Table.AppendTree] to a writer, in pieces.
func (t *Table) WriteTree(w io.Writer, data []byte) error {
	if err := t.plan.Verify(data); err != nil {
		return err
	}
	return writeTo(w, func(o *output) { o.tree(t.object, data, follow(data, 0), 0) })
}

// tree writes the lines of the object at pos.
func (o *output) tree(obj *object, buf []byte, pos, depth int) {
	width := 0
	for _, f := range obj.fields {
		if obj.lines(buf, pos, f) {
			width = max(width, len(f.name))
		}
	}
	for _, f := range obj.fields {
		if !obj.lines(buf, pos, f) {
			continue
		}
		if !o.ok() {
			return
		}
		o.indent(depth)
		o.raw(f.name)
		at, present := obj.find(buf, pos, f)
		switch {
		case !present:
			o.pad(width - len(f.name))
			o.treeScalar(&f.shape, f.absent)
			o.raw("\n")
		case f.kind == union:
			v := obj.member(buf, pos, f)
			o.pad(width - len(f.name))
			o.raw(v.name)
			o.treeObject(v.member, buf, follow(buf, at), depth+1)
		default:
			o.treeValue(&f.shape, buf, at, depth, width-len(f.name))
		}
	}
}

// lines tells whether the field has any: the tag of a union is on its line.
func (o *object) lines(buf []byte, pos int, f *field) bool {
	if f.value != nil {
		return false
	}
	if f.kind == union && o.member(buf, pos, f) == nil {
		return false
	}
	_, present := o.find(buf, pos, f)
	return present || f.shown()
}

func (o *output) indent(depth int) {
	for range depth {
		o.raw("  ")
	}
}

// pad separates a name from its value.
func (o *output) pad(missing int) {
	for range missing + 2 {
		o.buf = append(o.buf, ' ')
	}
}

// treeObject ends the line, and writes the lines of an object below it.
func (o *output) treeObject(obj *object, buf []byte, pos, depth int) {
	for _, f := range obj.fields {
		if obj.lines(buf, pos, f) {
			o.raw("\n")
			o.tree(obj, buf, pos, depth)
			return
		}
	}
	o.raw(" (empty)\n")
}

// treeValue ends the line that begins with the value's name.
func (o *output) treeValue(s *shape, buf []byte, at, depth, missing int) {
	switch s.kind {
	case table:
		o.treeObject(s.object, buf, follow(buf, at), depth+1)
		return
	case structure:
		o.treeObject(s.object, buf, at, depth+1)
		return
	case nested:
		inner := contents(buf, at)
		o.treeObject(s.object, inner, follow(inner, 0), depth+1)
		return
	case list, array:
		first, count := s.elements(buf, at)
		if element := s.element; count > 0 && (element.kind == table || element.kind == structure) {
			o.treeList(element, buf, first, count, depth+1)
			return
		}
	}
	o.pad(missing)
	o.treeInline(s, buf, at)
	o.raw("\n")
}

// treeList writes a list of objects, each below a line with its index.
func (o *output) treeList(element *shape, buf []byte, first, count, depth int) {
	o.raw("\n")
	for i := range min(count, treeElements) {
		if !o.ok() {
			return
		}
		o.indent(depth)
		o.raw("[")
		o.buf = strconv.AppendInt(o.buf, int64(i), 10)
		o.raw("]")
		o.treeValue(element, buf, first+i*element.size, depth, 0)
	}
	if count > treeElements {
		o.indent(depth)
		o.more(count-treeElements, "more")
		o.raw("\n")
	}
}

// more says how much is left out.
func (o *output) more(count int, what string) {
	o.raw("… ")
	o.buf = strconv.AppendInt(o.buf, int64(count), 10)
	o.raw(" ")
	o.raw(what)
}

// treeInline writes a value that takes a part of a line.
func (o *output) treeInline(s *shape, buf []byte, at int) {
	switch s.kind {
	case scalar:
		o.treeScalar(s, load(s.base, buf, at))
	case text:
		o.treeString(contents(buf, at))
	case blob:
		o.treeBytes(contents(buf, at))
	case list, array:
		o.raw("[")
		first, count := s.elements(buf, at)
		for i := range min(count, treeElements) {
			if i > 0 {
				o.raw(", ")
			}
			o.treeInline(s.element, buf, first+i*s.element.size)
		}
		if count > treeElements {
			o.raw(", ")
			o.more(count-treeElements, "more")
		}
		o.raw("]")
	}
}

func (o *output) treeString(s []byte) {
	if len(s) <= treeString {
		o.quoted(s)
		return
	}
	n := treeString
	for n > 0 && s[n]&0xc0 == 0x80 { // not in the middle of a character
		n--
	}
	o.quoted(s[:n])
	o.raw(" ")
	o.more(len(s)-n, "more bytes")
}

func (o *output) treeBytes(b []byte) {
	if len(b) == 0 {
		o.raw("(no bytes)")
		return
	}
	o.hex(b[:min(len(b), treeBytes)])
	if len(b) > treeBytes {
		o.raw(" ")
		o.more(len(b)-treeBytes, "more bytes")
	}
}

func (o *output) treeScalar(s *shape, bits uint64) {
	if s.enum != nil {
		var named bool
		if o.buf, named = s.enum.appendNames(o.buf, bits); named {
			return
		}
	}
	switch {
	case s.base == schema.Bool:
		o.raw(boolean(bits))
	case s.base.Real():
		o.buf = appendReal(o.buf, s.base, bits)
	default:
		o.buf = appendDecimal(o.buf, s.base, bits)
	}
}
