package projection

import (
	"encoding/binary"
	"math"

	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/flat"
)

// Column is one column of a primary key or an index.
type Column struct {
	// Name is the field's name in the schema.
	Name string
	// Kind is the kind of the values that the column's rows hold and that
	// lookups must give.
	Kind Kind
	// Nullable columns may be [Absent].
	Nullable bool

	base     schema.BaseType
	entry    int // of the vtable
	absentAs Value
}

// newColumn reports false for a field that has no order: only scalars and
// strings do.
func newColumn(f *schema.Field) (Column, bool) {
	c := Column{Name: f.Name, base: f.Type.Base, entry: int(f.Offset)}
	switch base := f.Type.Base; {
	case base == schema.Bool:
		c.Kind, c.absentAs = Bool, BoolValue(f.DefaultInt != 0)
	case base.Signed():
		c.Kind, c.absentAs = Int, IntValue(f.DefaultInt)
	case base.Integer():
		c.Kind, c.absentAs = Uint, UintValue(uint64(f.DefaultInt))
	case base.Real():
		c.Kind, c.absentAs = Float, FloatValue(f.DefaultReal)
	case base == schema.String:
		c.Kind = String
		c.Nullable = !f.Required
	default:
		return Column{}, false
	}
	if f.Optional {
		c.Nullable, c.absentAs = true, Value{}
	}
	return c, true
}

// value reads the column from a size-prefixed row that was verified. A string
// aliases the row.
func (c *Column) value(row []byte) Value {
	root := 4 + int(binary.LittleEndian.Uint32(row[4:]))
	vtable := root - int(int32(binary.LittleEndian.Uint32(row[root:])))
	if c.entry+2 > int(binary.LittleEndian.Uint16(row[vtable:])) {
		return c.absentAs
	}
	field := int(binary.LittleEndian.Uint16(row[vtable+c.entry:]))
	if field == 0 {
		return c.absentAs
	}
	return c.read(row, root+field)
}

func (c *Column) read(row []byte, at int) Value {
	switch c.base {
	case schema.Bool:
		return BoolValue(row[at] != 0)
	case schema.Byte:
		return IntValue(int64(int8(row[at])))
	case schema.UByte, schema.UType:
		return UintValue(uint64(row[at]))
	case schema.Short:
		return IntValue(int64(int16(binary.LittleEndian.Uint16(row[at:]))))
	case schema.UShort:
		return UintValue(uint64(binary.LittleEndian.Uint16(row[at:])))
	case schema.Int:
		return IntValue(int64(int32(binary.LittleEndian.Uint32(row[at:]))))
	case schema.UInt:
		return UintValue(uint64(binary.LittleEndian.Uint32(row[at:])))
	case schema.Long:
		return IntValue(int64(binary.LittleEndian.Uint64(row[at:])))
	case schema.ULong:
		return UintValue(binary.LittleEndian.Uint64(row[at:]))
	case schema.Float:
		return FloatValue(float64(math.Float32frombits(binary.LittleEndian.Uint32(row[at:]))))
	case schema.Double:
		return FloatValue(math.Float64frombits(binary.LittleEndian.Uint64(row[at:])))
	default: // schema.String: newColumn accepts nothing else
		start := at + int(binary.LittleEndian.Uint32(row[at:]))
		length := int(binary.LittleEndian.Uint32(row[start:]))
		return StringValue(flat.String(row[start+4 : start+4+length]))
	}
}
