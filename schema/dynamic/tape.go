package dynamic

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	// MaxJSON is the longest JSON text that is parsed, in bytes.
	MaxJSON = 32 << 20
	// maxNesting is how deep its lists and objects may be: tables 64 deep with
	// lists in between, and structs in the last.
	maxNesting = 256
)

// JSONError says what is wrong with a JSON text, and where.
type JSONError struct {
	// Path leads to the value, like "lines[2].sku"; "" is the whole, or not
	// known, because the text is not JSON.
	Path string
	// Offset is the byte at which the value, or what is not JSON, begins.
	Offset  int
	Message string
}

func (e *JSONError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("json: %s (byte %d)", e.Message, e.Offset)
	}
	return fmt.Sprintf("json: %s: %s (byte %d)", e.Path, e.Message, e.Offset)
}

// under puts a member's name before the path to what is below it.
func (e *JSONError) under(name string) *JSONError {
	switch {
	case e.Path == "":
		e.Path = name
	case e.Path[0] == '[':
		e.Path = name + e.Path
	default:
		e.Path = name + "." + e.Path
	}
	return e
}

// in puts a list's index before the path to what is below it.
func (e *JSONError) in(i int) *JSONError {
	index := "[" + strconv.Itoa(i) + "]"
	if e.Path != "" && e.Path[0] != '[' {
		index += "."
	}
	e.Path = index + e.Path
	return e
}

// tape is a JSON text that was found to be one, with the places of its values
// in the order in which they begin: an object's members as key and value.
type tape struct {
	text  []byte
	nodes []node
}

type node struct {
	start uint32 // of the value in the text; its first byte tells the kind
	next  uint32 // node after the value and all in it
}

// readTape checks the whole text. Names in it may still be there twice.
func readTape(text []byte) (*tape, *JSONError) {
	if len(text) > MaxJSON {
		return nil, &JSONError{Message: fmt.Sprintf("%d bytes are more than the %d allowed", len(text), MaxJSON)}
	}
	s := scanner{tape: tape{text: text}}
	s.value(0)
	s.space()
	if s.err == nil && s.at < len(text) {
		s.fail("something follows the end")
	}
	return &s.tape, s.err
}

func (t *tape) kind(n int) byte { return t.text[t.nodes[n].start] }
func (t *tape) next(n int) int  { return int(t.nodes[n].next) }
func (t *tape) start(n int) int { return int(t.nodes[n].start) }

// null tells whether the value is null.
func (t *tape) null(n int) bool { return t.kind(n) == 'n' }

func (t *tape) fail(n int, format string, args ...any) *JSONError {
	return &JSONError{Offset: t.start(n), Message: fmt.Sprintf(format, args...)}
}

// number returns the text of a number.
func (t *tape) number(n int) string {
	start := t.start(n)
	end := start
	for end < len(t.text) && bytes.IndexByte([]byte("+-.eE0123456789"), t.text[end]) >= 0 {
		end++
	}
	return string(t.text[start:end])
}

// str returns the contents of a string, in place when nothing is escaped.
func (t *tape) str(n int) []byte {
	text := t.text[t.start(n)+1:]
	end := bytes.IndexByte(text, '"')
	if escape := bytes.IndexByte(text[:end], '\\'); escape < 0 {
		return text[:end]
	}
	var s []byte
	for {
		c := text[0]
		switch {
		case c == '"':
			return s
		case c != '\\':
			s, text = append(s, c), text[1:]
		case text[1] != 'u':
			s, text = append(s, unescaped[text[1]]), text[2:]
		default:
			r := hexUnit(text[2:6])
			text = text[6:]
			if utf16.IsSurrogate(r) {
				r = utf16.DecodeRune(r, hexUnit(text[2:6]))
				text = text[6:]
			}
			s = utf8.AppendRune(s, r)
		}
	}
}

var unescaped = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// hexUnit returns the value of four hexadecimal digits, -1 if they are none.
func hexUnit(digits []byte) rune {
	v, err := strconv.ParseUint(string(digits), 16, 16)
	if err != nil {
		return -1
	}
	return rune(v)
}

// kindName describes a value of JSON in a message.
func (t *tape) kindName(n int) string {
	switch t.kind(n) {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case 't', 'f':
		return "a bool"
	case 'n':
		return "null"
	}
	return "a number"
}

// scanner fills a tape, up to the first error.
type scanner struct {
	tape
	at  int
	err *JSONError
}

func (s *scanner) fail(message string) {
	if s.err == nil {
		s.err = &JSONError{Offset: s.at, Message: message}
	}
}

func (s *scanner) space() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

// peek returns the next byte that is not space, 0 at the end or after an error.
func (s *scanner) peek() byte {
	if s.err != nil {
		return 0
	}
	if s.space(); s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

func (s *scanner) value(depth int) {
	c := s.peek()
	if s.err != nil {
		return
	}
	n := len(s.nodes)
	s.nodes = append(s.nodes, node{start: uint32(s.at)})
	switch {
	case (c == '{' || c == '[') && depth == maxNesting:
		s.fail(fmt.Sprintf("lists and objects are more than %d deep", maxNesting))
	case c == '{':
		s.list('}', func() {
			if s.peek() != '"' {
				s.fail("a member's name in quotes is expected")
				return
			}
			s.value(depth + 1)
			if s.peek() != ':' {
				s.fail("':' is expected")
				return
			}
			s.at++
			s.value(depth + 1)
		})
	case c == '[':
		s.list(']', func() { s.value(depth + 1) })
	case c == '"':
		s.quoted()
	case c == 't':
		s.word("true")
	case c == 'f':
		s.word("false")
	case c == 'n':
		s.word("null")
	case c == '-' || c >= '0' && c <= '9':
		s.digits()
	case s.at == len(s.text):
		s.fail("the text ends where a value is expected")
	default:
		s.fail("a value is expected")
	}
	s.nodes[n].next = uint32(len(s.nodes))
}

// list reads elements up to the closing byte.
func (s *scanner) list(closing byte, element func()) {
	s.at++
	if s.peek() == closing {
		s.at++
		return
	}
	for s.err == nil {
		element()
		switch s.peek() {
		case ',':
			s.at++
		case closing:
			s.at++
			return
		default:
			s.fail("',' or '" + string(closing) + "' is expected")
		}
	}
}

func (s *scanner) word(word string) {
	if !bytes.HasPrefix(s.text[s.at:], []byte(word)) {
		s.fail("a value is expected")
		return
	}
	s.at += len(word)
}

// digits reads a number.
func (s *scanner) digits() {
	run := func() bool {
		start := s.at
		for s.at < len(s.text) && s.text[s.at] >= '0' && s.text[s.at] <= '9' {
			s.at++
		}
		return s.at > start
	}
	is := func(options string) bool {
		if s.at < len(s.text) && bytes.IndexByte([]byte(options), s.text[s.at]) >= 0 {
			s.at++
			return true
		}
		return false
	}
	is("-")
	if whole := is("0") || run(); !whole || is("0123456789") || is(".") && !run() || is("eE") && (is("+-") || true) && !run() {
		s.fail("this is not a number")
	}
}

// quoted reads a string, which must be valid UTF-8 with whole surrogate pairs.
func (s *scanner) quoted() {
	s.at++
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			return
		case c < ' ':
			s.fail("control characters in strings must be escaped")
			return
		case c == '\\':
			if !s.escape() {
				s.fail("this escape is not one of JSON, or half a character")
				return
			}
		case c < utf8.RuneSelf:
			s.at++
		default:
			r, size := utf8.DecodeRune(s.text[s.at:])
			if r == utf8.RuneError && size == 1 {
				s.fail("the string is not valid UTF-8")
				return
			}
			s.at += size
		}
	}
	s.fail("the text ends inside a string")
}

func (s *scanner) escape() bool {
	rest := s.text[s.at:]
	if len(rest) < 2 {
		return false
	}
	if rest[1] != 'u' {
		s.at += 2
		return unescaped[rest[1]] != 0
	}
	if len(rest) < 6 {
		return false
	}
	r := hexUnit(rest[2:6])
	s.at += 6
	if r < 0 || !utf16.IsSurrogate(r) {
		return r >= 0
	}
	if len(rest) < 12 || rest[6] != '\\' || rest[7] != 'u' {
		return false
	}
	s.at += 6
	return utf16.DecodeRune(r, hexUnit(rest[8:12])) != utf8.RuneError
}
