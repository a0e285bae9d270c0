package codegen

import (
	"fmt"
	"go/token"
	"regexp"
	"strings"

	"github.com/verbatim-es/verbatim/schema"
)

// camel is the exported Go name of a field, by flatc's rule, so that both
// layers call it the same: "batch_key" is "BatchKey". No initialisms, and none
// are left: "userID" is "UserId", "URLs" is "Urls".
func camel(name string) string {
	name = snake(name)
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		switch {
		case i == 0:
			b.WriteString(strings.ToUpper(name[:1]))
		case name[i] == '_' && i+1 < len(name):
			i++
			b.WriteString(strings.ToUpper(name[i : i+1]))
		default:
			b.WriteByte(name[i])
		}
	}
	return b.String()
}

// snake is what flatc takes a name for before it makes one in camel case of it:
// CamelToSnake of its src/util.cpp, letter by letter.
func snake(name string) string {
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case i == 0 || c == '_' || isLower(c):
			b.WriteByte(lower(c))
		default:
			if before := name[i-1]; isLower(before) || isDigit(before) && !isDigit(c) {
				b.WriteByte('_')
			}
			b.WriteByte(lower(c))
		}
	}
	return b.String()
}

func isLower(c byte) bool { return c >= 'a' && c <= 'z' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// taken are the names that a parameter would hide from the function it belongs
// to: its other names, imported packages, and what the language declares.
var taken = func() map[string]bool {
	m := map[string]bool{}
	for _, name := range strings.Fields(`
		b f v h d e c r s ctx id opts options tx at log row bfbs fingerprint
		aggregate context event fb flat flatbuffers fmt iter projection schema slices
		any bool byte error int int8 int16 int32 int64 float32 float64 string
		uint uint8 uint16 uint32 uint64 true false nil iota
		append cap clear len make max min new panic range`) {
		m[name] = true
	}
	return m
}()

// offsetName matches the variables that a constructor declares.
var offsetName = regexp.MustCompile(`^(off|kind)[0-9]+$`)

// parameter is the name of a field as a parameter: "batch_key" is "batchKey".
func parameter(field string) string {
	name := camel(field)
	name = strings.ToLower(name[:1]) + name[1:]
	if taken[name] || token.IsKeyword(name) || offsetName.MatchString(name) {
		name += "_"
	}
	return name
}

// base is the last component of a full name.
func base(full string) string { return full[strings.LastIndexByte(full, '.')+1:] }

// goScalar is the Go type of a number or bool, whatever enum it belongs to.
func goScalar(b schema.BaseType) string {
	switch b {
	case schema.Bool:
		return "bool"
	case schema.Byte:
		return "int8"
	case schema.UByte:
		return "uint8"
	case schema.Short:
		return "int16"
	case schema.UShort:
		return "uint16"
	case schema.Int:
		return "int32"
	case schema.UInt:
		return "uint32"
	case schema.Long:
		return "int64"
	case schema.ULong:
		return "uint64"
	case schema.Float:
		return "float32"
	case schema.Double:
		return "float64"
	}
	panic(fmt.Sprintf("codegen: %v is no scalar", b))
}

// size is the width of a scalar in bytes.
func size(b schema.BaseType) int {
	switch b {
	case schema.Bool, schema.Byte, schema.UByte, schema.UType:
		return 1
	case schema.Short, schema.UShort:
		return 2
	case schema.Int, schema.UInt, schema.Float:
		return 4
	}
	return 8
}

// scope finds names that the generated code would declare twice.
type scope struct {
	what  string // "package account"
	names map[string]declared
}

type declared struct {
	by   string
	line int
}

// declare notes that by (of that line) declares name, and returns a problem if
// something else does, too.
func (s *scope) declare(file, name, by string, line int) []Problem {
	if s.names == nil {
		s.names = map[string]declared{}
	}
	if other, ok := s.names[name]; ok && other.by != by {
		at := ""
		if other.line > 0 {
			at = fmt.Sprintf(" (line %d)", other.line)
		}
		return []Problem{{File: file, Line: line,
			Message: fmt.Sprintf("%s and %s%s would both be %s in Go's %s", by, other.by, at, name, s.what),
			Hint:    "rename one"}}
	}
	s.names[name] = declared{by, line}
	return nil
}
