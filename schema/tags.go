package schema

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	flatbuffers "github.com/google/flatbuffers/go"

	"github.com/verbatim-es/verbatim/schema/flat"
	"github.com/verbatim-es/verbatim/schema/verify"
)

// Bounds of the tags derived from one event.
const (
	// MaxTags is how many there may be. A vector may repeat one string a
	// million times in little space.
	MaxTags = 256
	// MaxTag is the length of one in bytes, its key and the colon included.
	MaxTag = 255
)

// checkTags judges the tags that verified data would get.
func checkTags(t *Table, data []byte) error {
	count := 0
	for _, f := range t.tagged {
		value := openField(f, data)
		if f.Type.Base == Vector {
			n := value.len()
			for i := range min(n, MaxTags) {
				if err := checkTag(f, value.element(i)); err != nil {
					return &verify.Error{Path: fmt.Sprintf("%s[%d]", f.Name, i), Message: err.Error()}
				}
			}
			count += n
		} else {
			if f.Type.Base == String {
				if err := checkTag(f, value.text()); err != nil {
					return &verify.Error{Path: f.Name, Message: err.Error()}
				}
			}
			count++
		}
		if count > MaxTags {
			return &verify.Error{Path: f.Name, Message: fmt.Sprintf("gives an event %d tags, at most %d are allowed", count, MaxTags)}
		}
	}
	return nil
}

func checkTag(f *Field, value string) error {
	if length := len(f.Tag) + len(":") + len(value); length > MaxTag {
		return fmt.Errorf("gives a tag of %d bytes, at most %d are allowed", length, MaxTag)
	}
	if strings.ContainsFunc(value, unicode.IsControl) {
		return fmt.Errorf("gives a tag with control characters, %q", value)
	}
	return nil
}

func appendTags(dst []string, t *Table, data []byte) []string {
	for _, f := range t.tagged {
		value := openField(f, data)
		switch {
		case f.Type.Base == Vector:
			for i := range value.len() {
				dst = appendTag(dst, f.Tag, value.element(i))
			}
		case f.Type.Base == String:
			dst = appendTag(dst, f.Tag, value.text())
		default:
			dst = appendTag(dst, f.Tag, value.decimal())
		}
	}
	return dst
}

// appendTagsUnverified is checkTags and appendTags for bytes that may be
// anything. FlatBuffers' accessors slice the bytes that they are given and
// nothing else, so what leads astray is a panic of Go's bounds checks, once the
// bytes have no capacity behind them that would count as theirs. They never
// follow more than two references, and checkTags bounds how many strings.
func appendTagsUnverified(dst []string, t *Table, data []byte) (tags []string, err error) {
	if len(t.tagged) == 0 {
		return dst, nil
	}
	before := len(dst)
	defer func() {
		if reason := recover(); reason != nil {
			tags, err = dst[:before], &verify.Error{Message: fmt.Sprintf("the fields that give tags can't be read: %v", reason)}
		}
	}()
	data = slices.Clip(data)
	if err := checkTags(t, data); err != nil {
		return dst, err
	}
	tags = appendTags(dst, t, data)
	for _, tag := range tags[before:] {
		if !utf8.ValidString(tag) {
			return dst, &verify.Error{Message: fmt.Sprintf("gives the tag %q, which is not valid UTF-8", tag)}
		}
	}
	return tags, nil
}

func appendTag(dst []string, key, value string) []string {
	if value == "" {
		return dst
	}
	tag := key + ":" + value
	if slices.Contains(dst, tag) {
		return dst
	}
	return append(dst, tag)
}

// fieldValue is a field of the root table of verified data.
type fieldValue struct {
	field *Field
	table flatbuffers.Table
	at    flatbuffers.UOffsetT // in the table; 0 when absent
}

func openField(f *Field, data []byte) fieldValue {
	table := flatbuffers.Table{Bytes: data, Pos: flatbuffers.GetUOffsetT(data)}
	return fieldValue{field: f, table: table, at: flatbuffers.UOffsetT(table.Offset(flatbuffers.VOffsetT(f.Offset)))}
}

// text returns a string in place, "" when it is absent.
func (v fieldValue) text() string {
	if v.at == 0 {
		return ""
	}
	return flat.String(v.table.ByteVector(v.table.Pos + v.at))
}

func (v fieldValue) len() int {
	if v.at == 0 {
		return 0
	}
	return v.table.VectorLen(v.at)
}

// element returns a string of a vector in place.
func (v fieldValue) element(i int) string {
	return flat.String(v.table.ByteVector(v.table.Vector(v.at) + flatbuffers.UOffsetT(i)*flatbuffers.SizeUOffsetT))
}

// decimal returns a whole number or a bool as text, "" when it is absent and
// has no default.
func (v fieldValue) decimal() string {
	base := v.field.Type.Base
	if v.at == 0 {
		switch {
		case v.field.Optional:
			return ""
		case base == Bool:
			return strconv.FormatBool(v.field.DefaultInt != 0)
		case base == ULong:
			return strconv.FormatUint(uint64(v.field.DefaultInt), 10)
		}
		return strconv.FormatInt(v.field.DefaultInt, 10)
	}
	at := v.table.Pos + v.at
	switch base {
	case Bool:
		return strconv.FormatBool(v.table.GetBool(at))
	case Byte:
		return strconv.FormatInt(int64(v.table.GetInt8(at)), 10)
	case Short:
		return strconv.FormatInt(int64(v.table.GetInt16(at)), 10)
	case UShort:
		return strconv.FormatUint(uint64(v.table.GetUint16(at)), 10)
	case Int:
		return strconv.FormatInt(int64(v.table.GetInt32(at)), 10)
	case UInt:
		return strconv.FormatUint(uint64(v.table.GetUint32(at)), 10)
	case Long:
		return strconv.FormatInt(v.table.GetInt64(at), 10)
	case ULong:
		return strconv.FormatUint(v.table.GetUint64(at), 10)
	}
	return strconv.FormatUint(uint64(v.table.GetUint8(at)), 10)
}
