package codegen

import (
	"fmt"
	"strings"
)

// source is what a .fbs file says, with the lines it says it on: the lint's
// view of a schema. It is parsed after flatc has accepted the file, so the
// parser need not be strict, only right about what is valid.
type source struct {
	file      string // as messages name it
	includes  []include
	namespace string // the last one
	spaces    []located
	rpc       []located
	decls     []*decl

	// shared are the declarations of included files that become types of the
	// same Go package: what is used, of whatever namespace, and the enums and
	// structs of this one.
	shared []*decl
	// alongside is what else those files declare. flatc's Go has it, too.
	alongside []*decl

	byName map[string]*decl // by full name
	lines  map[string]int   // by full name, those of fields too
}

type located struct {
	name string
	line int
}

type include = located

// decl is a table, struct, enum or union.
type decl struct {
	kind      string // the keyword
	name      string // without namespace
	namespace string
	file      string
	line      int
	base      string // of an enum, or of a union where it says so
	attrs     map[string]string
	fields    []*fieldDecl // or the values of an enum, the members of a union
}

// fullName is what the binary schema calls it.
func (d *decl) fullName() string {
	if d.namespace == "" {
		return d.name
	}
	return d.namespace + "." + d.name
}

type fieldDecl struct {
	name   string
	typ    string // name of the type, of the element's type, or of a member's table
	vector bool
	array  bool   // [type:n]
	value  string // the default as it is written, "" for none
	line   int
	attrs  map[string]string
}

// parseSource reads the text of a .fbs file.
func parseSource(file, text string) (*source, error) {
	tokens, err := tokenize(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	p := &sourceParser{tokens: tokens, source: &source{file: file}}
	for !p.done() {
		p.declaration()
	}
	p.index()
	return p.source, nil
}

// index makes declarations and lines findable. Of what is declared twice, which
// flatc refuses, it has the first.
func (s *source) index() {
	s.byName, s.lines = map[string]*decl{}, map[string]int{}
	for _, d := range s.decls {
		name := d.fullName()
		if _, ok := s.byName[name]; ok {
			continue
		}
		s.byName[name], s.lines[name] = d, d.line
		for _, f := range d.fields {
			if _, ok := s.lines[name+"."+f.name]; !ok {
				s.lines[name+"."+f.name] = f.line
			}
		}
	}
}

// share makes declarations of the included files those of s, too: those that
// its own need, directly or through others, and the enums and structs of its
// namespace.
func (s *source) share(included []*source) {
	var theirs []*decl
	for _, other := range included {
		for _, d := range other.decls {
			if _, ok := s.byName[d.fullName()]; !ok {
				s.byName[d.fullName()] = d
				theirs = append(theirs, d)
			}
		}
	}
	needed := map[*decl]bool{}
	for _, d := range s.decls {
		s.need(d, needed)
	}
	for _, d := range theirs {
		if d.namespace == s.namespace && (d.kind == "enum" || d.kind == "struct") {
			s.need(d, needed)
		}
	}
	files := map[string]bool{}
	for _, d := range theirs {
		if needed[d] {
			files[d.file] = true
		}
	}
	for _, d := range theirs {
		switch {
		case needed[d]:
			s.shared = append(s.shared, d)
		case files[d.file]:
			s.alongside = append(s.alongside, d)
		}
	}
}

// need adds d, and all that its fields or members are of.
func (s *source) need(d *decl, needed map[*decl]bool) {
	if needed[d] {
		return
	}
	needed[d] = true
	for _, f := range d.fields {
		for _, name := range []string{f.typ, f.attrs["nested_flatbuffer"]} {
			if of, ok := s.find(d, name); ok && name != "" {
				s.need(of, needed)
			}
		}
	}
}

// find returns the declaration that a name means inside of d: FlatBuffers looks
// in d's namespace, then in those around it.
func (s *source) find(d *decl, name string) (*decl, bool) {
	for space := d.namespace; ; {
		full := name
		if space != "" {
			full = space + "." + name
		}
		if other, ok := s.byName[full]; ok {
			return other, true
		}
		if space == "" {
			return nil, false
		}
		space = space[:max(0, strings.LastIndexByte(space, '.'))]
	}
}

type sourceParser struct {
	*source
	tokens []located
}

func (p *sourceParser) done() bool { return len(p.tokens) == 0 }

func (p *sourceParser) peek() string {
	if p.done() {
		return ""
	}
	return p.tokens[0].name
}

func (p *sourceParser) next() located {
	if p.done() {
		return located{}
	}
	t := p.tokens[0]
	p.tokens = p.tokens[1:]
	return t
}

// accept consumes the token if it is next.
func (p *sourceParser) accept(token string) bool {
	if p.peek() != token {
		return false
	}
	p.next()
	return true
}

// skipPast consumes everything up to and including the token.
func (p *sourceParser) skipPast(token string) {
	for !p.done() && !p.accept(token) {
		p.next()
	}
}

func (p *sourceParser) declaration() {
	switch t := p.next(); t.name {
	case "include", "native_include":
		p.includes = append(p.includes, include{unquote(p.peek()), t.line})
		p.skipPast(";")
	case "namespace":
		p.namespace = p.dotted()
		p.spaces = append(p.spaces, located{p.namespace, t.line})
		p.skipPast(";")
	case "table", "struct":
		p.record(t)
	case "enum", "union":
		p.enum(t)
	case "rpc_service":
		p.rpc = append(p.rpc, located{p.peek(), t.line})
		p.skipPast("{")
		p.block()
	case "{": // a JSON object
		p.block()
	default: // attribute, root_type, file_identifier, file_extension
		p.skipPast(";")
	}
}

// block consumes everything through the brace that closes one just consumed.
func (p *sourceParser) block() {
	for depth := 1; depth > 0 && !p.done(); {
		switch p.next().name {
		case "{":
			depth++
		case "}":
			depth--
		}
	}
}

func (p *sourceParser) begin(keyword located) *decl {
	name := p.next()
	d := &decl{kind: keyword.name, name: name.name, namespace: p.namespace, file: p.file, line: name.line}
	p.decls = append(p.decls, d)
	return d
}

func (p *sourceParser) record(keyword located) {
	d := p.begin(keyword)
	d.attrs = p.attributes()
	p.accept("{")
	for !p.done() && !p.accept("}") {
		name := p.next()
		f := &fieldDecl{name: name.name, line: name.line}
		p.accept(":")
		f.vector = p.accept("[")
		f.typ = p.dotted()
		f.array = p.accept(":")
		for !p.done() && p.peek() != "(" && p.peek() != ";" {
			switch t := p.next().name; {
			case f.value != "":
				f.value += t
			case t == "=": // what is before it is the rest of the type
				f.value = p.next().name
			}
		}
		f.attrs = p.attributes()
		p.skipPast(";")
		d.fields = append(d.fields, f)
	}
}

func (p *sourceParser) enum(keyword located) {
	d := p.begin(keyword)
	if p.accept(":") {
		d.base = p.dotted()
	}
	d.attrs = p.attributes()
	p.accept("{")
	for !p.done() && !p.accept("}") {
		line := p.tokens[0].line
		f := &fieldDecl{name: p.dotted(), line: line}
		if f.name == "" {
			p.next() // nothing that flatc would have accepted
			continue
		}
		if keyword.name == "union" {
			if f.typ = f.name; p.accept(":") {
				f.typ = p.dotted()
			}
			f.name = strings.ReplaceAll(f.name, ".", "_") // as flatc names it
		}
		d.fields = append(d.fields, f)
		for !p.done() && p.peek() != "}" {
			if p.accept("(") {
				p.skipPast(")")
			} else if p.next().name == "," {
				break
			}
		}
	}
}

// dotted consumes a name of one or more parts.
func (p *sourceParser) dotted() string {
	if p.done() || !isWord(p.peek()) {
		return ""
	}
	parts := []string{p.next().name}
	for p.accept(".") {
		parts = append(parts, p.next().name)
	}
	return strings.Join(parts, ".")
}

// attributes consumes "(name, name: value, …)" if it is next. One without a
// value has the value "".
func (p *sourceParser) attributes() map[string]string {
	attrs := map[string]string{}
	if !p.accept("(") {
		return attrs
	}
	for !p.done() && !p.accept(")") {
		name, value := unquote(p.next().name), ""
		if p.accept(":") {
			value = unquote(p.next().name)
		}
		attrs[name] = value
		p.accept(",")
	}
	return attrs
}

func unquote(token string) string { return strings.Trim(token, `"'`) }

func isWord(token string) bool {
	return token != "" && isWordByte(token[0])
}

func isWordByte(c byte) bool {
	return c == '_' || c == '-' || c == '+' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// tokenize splits text into words, strings (with their quotes) and single
// punctuation characters, each with its line. Comments are left out.
func tokenize(text string) ([]located, error) {
	text = strings.TrimPrefix(text, "\ufeff")
	var tokens []located
	line := 1
	for len(text) > 0 {
		length, keep := 1, true
		switch c := text[0]; {
		case c == '\n' || c == ' ' || c == '\t' || c == '\r':
			keep = false
		case strings.HasPrefix(text, "//"):
			if length = strings.IndexByte(text, '\n'); length < 0 {
				length = len(text)
			}
			keep = false
		case strings.HasPrefix(text, "/*"):
			end := strings.Index(text, "*/")
			if end < 0 {
				return nil, fmt.Errorf("comment of line %d does not end", line)
			}
			length, keep = end+2, false
		case c == '"' || c == '\'':
			if length = stringLength(text); length == 0 {
				return nil, fmt.Errorf("string of line %d does not end", line)
			}
		case isWordByte(c):
			for length < len(text) && isWordByte(text[length]) {
				length++
			}
		}
		if keep {
			tokens = append(tokens, located{text[:length], line})
		}
		line += strings.Count(text[:length], "\n")
		text = text[length:]
	}
	return tokens, nil
}

// stringLength is that of the string literal that text begins with, quotes
// included; 0 when it has no end.
func stringLength(text string) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case text[0]:
			return i + 1
		}
	}
	return 0
}
