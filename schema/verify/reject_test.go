package verify

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

// refused is a buffer that must not be accepted.
type refused struct {
	name   string
	table  string
	data   []byte
	path   string
	says   string
	prefix bool
}

// buffer writes little-endian numbers: of 1, 2, 4 or 8 bytes by their type.
func buffer(parts ...any) []byte {
	var b []byte
	for _, part := range parts {
		switch v := part.(type) {
		case uint8:
			b = append(b, v)
		case uint16:
			b = binary.LittleEndian.AppendUint16(b, v)
		case uint32:
			b = binary.LittleEndian.AppendUint32(b, v)
		case int32:
			b = binary.LittleEndian.AppendUint32(b, uint32(v))
		case uint64:
			b = binary.LittleEndian.AppendUint64(b, v)
		case string:
			b = append(b, v...)
		default:
			panic("a part of unknown type")
		}
	}
	return b
}

// node is a shapes.Node whose field of one id is a reference, followed by rest
// at byte 60.
func node(id int, distance uint32, rest ...any) []byte {
	entries := make([]any, 0, 32)
	entries = append(entries, uint32(52), uint16(4+2*21), uint16(8)) // at 0, 4 and 6
	for i := range 21 {
		if i == id {
			entries = append(entries, uint16(4))
		} else {
			entries = append(entries, uint16(0))
		}
	}
	// Padding at 50, the table at 52, its reference at 56.
	entries = append(entries, uint16(0), int32(48), distance)
	return buffer(append(entries, rest...)...)
}

func TestRefused(t *testing.T) {
	t.Parallel()
	shapes := openTestdata(t, "shapes.bfbs")
	const label, names, reals, boxes, box, extraType, extra, inner = 0, 4, 7, 6, 10, 16, 17, 18
	for _, c := range []refused{
		{"empty", "Node", nil, "", "too few", false},
		{"root reference alone", "Node", buffer(uint32(4)), "", "leads outside", false},
		{"root leads back", "Node", buffer(uint32(0), uint32(0)), "", "does not lead past itself", false},
		{"root not aligned", "Node", buffer(uint32(6), uint64(0)), "", "not aligned to 4", false},
		{"root outside", "Node", buffer(uint32(0xffffffff), uint64(0)), "", "leads outside", false},
		{"vtable before the buffer", "Node", buffer(uint32(4), int32(100)), "", "vtable", false},
		{"vtable behind the buffer", "Node", buffer(uint32(4), int32(-100)), "", "vtable", false},
		{"vtable at an odd byte", "Node", buffer(uint32(8), uint32(0), int32(-5), uint8(0), uint16(4), uint16(4)), "", "vtable at byte 13", false},
		{"vtable too small", "Node", buffer(uint32(8), uint16(2), uint16(4), int32(4)), "", "vtable of 2 bytes", false},
		{"vtable of odd size", "Node", buffer(uint32(8), uint16(5), uint16(4), int32(4)), "", "vtable of 5 bytes", false},
		{"vtable runs past the end", "Node", buffer(uint32(8), uint16(100), uint16(4), int32(4)), "", "vtable of 100 bytes", false},
		{"table too small", "Node", buffer(uint32(8), uint16(4), uint16(3), int32(4)), "", "table of 3 bytes", false},
		{"field over the vtable's offset", "Leaf", buffer(uint32(12), uint16(8), uint16(8), uint16(3), uint16(0), int32(8), uint32(0)), "name", "over the reference to the vtable", false},
		{"byte over the vtable's offset", "Node", buffer(append(append([]any{uint32(40), uint16(34), uint16(8)}, zeros(3)...), uint32(0), uint16(1), uint16(0), int32(36), uint32(0))...), "tiny", "over the reference to the vtable", false},
		{"field behind the end", "Leaf", buffer(uint32(12), uint16(8), uint16(8), uint16(6), uint16(0), int32(8), uint32(0)), "name", "its 4 bytes are outside", false},
		{"scalar not aligned", "Leaf", buffer(uint32(16), uint16(8), uint16(20), uint16(12), uint16(4), uint32(0), int32(12), uint64(0), uint32(8), uint32(0), uint32(0), "\x00"), "size", "not aligned to 8", false},
		{"struct behind the end", "Node", node(box, 0, zeros(3)...), "box", "its 32 bytes are outside", false},
		{"struct not aligned", "Node", buffer(append([]any{uint32(32), uint16(26), uint16(40), uint32(0), uint64(0), uint64(0), uint16(4), uint16(0), int32(28)}, zeros(5)...)...), "box", "not aligned to 8", false},
		{"required absent", "Leaf", buffer(uint32(8), uint16(4), uint16(4), int32(4)), "name", "required", false},
		{"required zero", "Leaf", buffer(uint32(12), uint16(6), uint16(4), uint16(0), uint16(0), int32(8)), "name", "required", false},

		{"string outside", "Node", node(label, 400), "label", "leads outside", false},
		{"string refers to itself", "Node", node(label, 0), "label", "does not lead past itself", false},
		{"string not aligned", "Node", node(label, 6, uint64(0)), "label", "not aligned to 4", false},
		{"string runs past the end", "Node", node(label, 4, uint32(5), "abc\x00"), "label", "string of 5 bytes", false},
		{"string ends with the buffer", "Node", node(label, 4, uint32(4), "abcd"), "label", "string of 4 bytes", false},
		{"string of 4 GiB", "Node", node(label, 4, uint32(0xffffffff), "abc\x00"), "label", "string of 4294967295 bytes", false},
		{"string without zero", "Node", node(label, 4, uint32(3), "abcd"), "label", "zero byte", false},
		{"string not UTF-8", "Node", node(label, 4, uint32(3), "a\xffc\x00"), "label", "UTF-8", false},

		{"vector runs past the end", "Node", node(reals, 8, uint32(0), uint32(2), uint64(1)), "reals", "vector of 2 elements of 8 bytes", false},
		{"vector size overflows", "Node", node(reals, 8, uint32(0), uint32(0x20000001), uint64(1)), "reals", "vector of 536870913", false},
		{"vector elements not aligned", "Node", node(reals, 8, uint32(0), uint32(1), uint64(1)), "reals", "not aligned to 8", false},
		{"vector of structs runs past the end", "Node", node(boxes, 8, uint32(0), uint32(1), uint64(1)), "boxes", "vector of 1 elements", false},
		{"element outside", "Node", node(names, 4, uint32(1), uint32(99)), "names[0]", "leads outside", false},
		{"second element not UTF-8", "Node", node(names, 4, uint32(2), uint32(8), uint32(12), uint64(0), uint32(1), "\xff\x00\x00\x00"), "names[1]", "UTF-8", false},

		{"union value without tag", "Node", node(extra, 4, uint64(0)), "extra", "no tag", false},
		{"union tag without value", "Node", node(extraType, 1), "extra", "no value", false},

		{"nested buffer too small", "Node", node(inner, 4, uint32(3), "abc\x00"), "inner", "too few", false},
		{"nested buffer leads outside itself", "Node", node(inner, 4, uint32(4), uint32(4), uint64(0), uint64(0)), "inner", "leads outside", false},

		{"no size prefix", "Node", []byte{1, 2}, "", "too few for a size prefix", true},
		{"size prefix too small", "Node", buffer(uint32(3), uint64(4)), "", "says 3 bytes, 8 follow", true},
		{"size prefix too large", "Node", buffer(uint32(9), uint64(4)), "", "says 9 bytes, 8 follow", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan, err := shapes.Compile("shapes." + c.table)
			if err != nil {
				t.Fatal(err)
			}
			err = plan.Verify(c.data)
			if c.prefix {
				err = plan.VerifySizePrefixed(c.data)
			}
			var invalid *Error
			switch {
			case !errors.As(err, &invalid):
				t.Fatalf("got %v", err)
			case c.path != invalid.Path || !strings.Contains(invalid.Message, c.says):
				t.Errorf("got %v", err)
			case invalid.Offset < 0 || invalid.Offset > len(c.data):
				t.Errorf("offset %d of %d bytes", invalid.Offset, len(c.data))
			case !strings.Contains(err.Error(), invalid.Message) || !strings.Contains(err.Error(), c.path):
				t.Errorf("message %q", err)
			}
		})
	}
}

// Tables whose fields have the same places share a vtable in buffers of the Go
// builder, and of others, although it states the size of one of them only.
func TestTableSizeIsNotTheBound(t *testing.T) {
	t.Parallel()
	const box = 10
	plan := compileTestdata(t, "shapes.bfbs", "shapes.Node")
	if err := plan.Verify(node(box, 0, zeros(4)...)); err != nil {
		t.Errorf("a struct behind the stated size: %v", err)
	}
	if err := plan.Verify(buffer(uint32(8), uint16(4), uint16(500), int32(4))); err != nil {
		t.Errorf("a size stated for another table: %v", err)
	}
}

func zeros(n int) []any {
	parts := make([]any, n)
	for i := range parts {
		parts[i] = uint64(0)
	}
	return parts
}

func TestEmptyVectorsHaveNoAlignment(t *testing.T) {
	t.Parallel()
	const reals = 7
	plan := compileTestdata(t, "shapes.bfbs", "shapes.Node")
	// No element, so none that is not aligned.
	if err := plan.Verify(node(reals, 8, uint32(0), uint32(0))); err != nil {
		t.Error(err)
	}
}

func TestPathLeadsThroughTablesAndVectors(t *testing.T) {
	t.Parallel()
	plan := compileTestdata(t, "shapes.bfbs", "shapes.Node")
	data := append([]byte(nil), testdata(t, "node.bin")...)
	// The names of children[0] are "x", "" and "yz".
	at := strings.Index(string(data), "yz\x00")
	data[at] = 0xff
	var invalid *Error
	if err := plan.Verify(data); !errors.As(err, &invalid) {
		t.Fatalf("got %v", err)
	}
	if invalid.Path != "children[0].names[2]" || invalid.Offset != at {
		t.Errorf("path %q, offset %d, want children[0].names[2], %d", invalid.Path, invalid.Offset, at)
	}
	nested := append([]byte(nil), testdata(t, "node.bin")...)
	at = strings.Index(string(nested), "nested\x00")
	nested[at] = 0xff
	if err := plan.Verify(nested); !errors.As(err, &invalid) || invalid.Path != "inner.name" || invalid.Offset != at {
		t.Errorf("got %v, want inner.name at byte %d", err, at)
	}
}
