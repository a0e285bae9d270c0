package codegen

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/verbatim-es/verbatim/schema"
)

// lostDefaults reports defaults of 2^63 and more. flatc's Go knows them, but its
// binary schema has 0 for them, so that tags, filters and other readers of the
// schema would take an absent field for 0.
func lostDefaults(src *source, s *schema.Schema) (problems Problems) {
	for _, d := range slices.Concat(src.decls, src.shared) {
		for _, f := range d.fields {
			_, gone := f.attrs["deprecated"]
			if d.kind != "table" || gone || !aboveInt64(src.defaultOf(d, f, s)) {
				continue
			}
			problems = append(problems, Problem{d.file, f.line,
				fmt.Sprintf("field %s.%s has a default above %d, which flatc's binary schema does not hold", d.name, f.name, int64(math.MaxInt64)),
				"use a smaller one, or none: (= null) tells absent from 0"})
		}
	}
	return problems.sorted()
}

func aboveInt64(n uint64) bool { return n > math.MaxInt64 }

// defaultOf is the default of an unsigned field of 64 bits, 0 for others.
func (s *source) defaultOf(d *decl, f *fieldDecl, model *schema.Schema) uint64 {
	var values []schema.EnumValue
	if of, ok := s.find(d, f.typ); ok {
		i := slices.IndexFunc(model.Enums, func(e *schema.Enum) bool { return e.Name == of.fullName() })
		if i < 0 || model.Enums[i].Base != schema.ULong {
			return 0
		}
		values = model.Enums[i].Values
	} else if f.typ != "ulong" && f.typ != "uint64" {
		return 0
	}
	if n, err := strconv.ParseUint(f.value, 0, 64); err == nil {
		return n
	}
	var n uint64
	for name := range strings.FieldsSeq(unquote(f.value)) { // one, or the bits that are set
		for _, v := range values {
			if v.Name == base(name) {
				n |= uint64(v.Value)
			}
		}
	}
	return n
}
