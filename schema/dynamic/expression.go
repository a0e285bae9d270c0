package dynamic

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// maxExpression is the longest expression, in bytes.
	maxExpression = 4096
	// maxOperators is how deep one may be nested.
	maxOperators = 64
)

// FilterError says what is wrong with an expression, and where.
type FilterError struct {
	Expression string
	// Offset is the byte of the expression at which it is.
	Offset  int
	Message string
}

func (e *FilterError) Error() string {
	// People count characters, from 1.
	column := utf8.RuneCountInString(e.Expression[:min(e.Offset, len(e.Expression))]) + 1
	return fmt.Sprintf("filter: %s (character %d of %s)", e.Message, column, strconv.Quote(shorten(e.Expression)))
}

// Expression is a filter that was parsed, but belongs to no table yet. It is
// immutable.
type Expression struct {
	text string
	root *term
}

// String returns the expression as it was written.
func (e *Expression) String() string { return e.text }

type operator uint8

const (
	isTrue  operator = iota // a bool that stands alone
	compare                 // with a literal
	exists                  // != null
	not
	and
	or
)

// term is a node of an expression. What compiling adds is in test.
type term struct {
	op          operator
	left, right *term // right of and, or
	path        []part
	holds       ordering // of a comparison
	want        literal
}

// part is one name of a path with its selector.
type part struct {
	name  string
	at    int // in the expression
	all   bool
	index int // -1 for none
}

// ordering is a set of outcomes of comparing two values.
type ordering uint8

const (
	less ordering = 1 << iota
	equal
	greater
	unordered // a NaN is one of them
)

var comparisons = []struct {
	text  string
	holds ordering
}{
	{"==", equal}, {"!=", less | greater | unordered},
	{"<=", less | equal}, {">=", greater | equal},
	{"<", less}, {">", greater},
}

type literalKind uint8

const (
	nullLiteral literalKind = iota
	boolLiteral
	numberLiteral
	stringLiteral
	nameLiteral // of an enum's value, without quotes
)

type literal struct {
	kind literalKind
	text string // a string's contents, else as it was written
	at   int
}

// ParseFilter parses an expression of the language in the package's
// documentation. The error is a [*FilterError].
func ParseFilter(expression string) (*Expression, error) {
	p := expressionParser{text: expression}
	if len(expression) > maxExpression {
		return nil, p.fail(maxExpression, "an expression can have %d bytes at most", maxExpression)
	}
	if !utf8.ValidString(expression) {
		return nil, p.fail(0, "the expression is not valid UTF-8")
	}
	root, err := p.or(0)
	if err == nil && p.space() < len(p.text) {
		err = p.fail(p.at, "and, or, or the end is expected")
	}
	if err != nil {
		return nil, err
	}
	return &Expression{text: expression, root: root}, nil
}

type expressionParser struct {
	text string
	at   int
}

func (p *expressionParser) fail(at int, format string, args ...any) error {
	return &FilterError{Expression: p.text, Offset: at, Message: fmt.Sprintf(format, args...)}
}

// space skips space and returns the place of what follows.
func (p *expressionParser) space() int {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
	return p.at
}

// take skips a symbol if it comes next.
func (p *expressionParser) take(symbol string) bool {
	if !strings.HasPrefix(p.text[p.space():], symbol) {
		return false
	}
	p.at += len(symbol)
	return true
}

// takeWord skips a word if it comes next.
func (p *expressionParser) takeWord(word string) bool {
	if nameAt(p.text[p.space():]) != word {
		return false
	}
	p.at += len(word)
	return true
}

// nameAt returns the name that s begins with, "" if it does not.
func nameAt(s string) string {
	n := 0
	for n < len(s) && (s[n] == '_' || s[n] >= 'a' && s[n] <= 'z' || s[n] >= 'A' && s[n] <= 'Z' || n > 0 && s[n] >= '0' && s[n] <= '9') {
		n++
	}
	return s[:n]
}

func (p *expressionParser) or(depth int) (*term, error) {
	return p.chain(depth, or, "or", "||", p.and)
}

func (p *expressionParser) and(depth int) (*term, error) {
	return p.chain(depth, and, "and", "&&", p.unary)
}

// chain parses operands with the same operator in between. The terms form a
// list rather than a tree, so that a long chain is not deep.
func (p *expressionParser) chain(depth int, op operator, word, symbol string, operand func(int) (*term, error)) (*term, error) {
	first, err := operand(depth)
	if err != nil || !p.takeWord(word) && !p.take(symbol) {
		return first, err
	}
	head := &term{op: op, left: first}
	for last := head; ; {
		next, err := operand(depth)
		if err != nil {
			return nil, err
		}
		if !p.takeWord(word) && !p.take(symbol) {
			last.right = next
			return head, nil
		}
		last.right = &term{op: op, left: next}
		last = last.right
	}
}

func (p *expressionParser) unary(depth int) (*term, error) {
	if depth == maxOperators {
		return nil, p.fail(p.space(), "operators are nested more than %d deep", maxOperators)
	}
	switch {
	case p.takeWord("not"), !strings.HasPrefix(p.text[p.space():], "!=") && p.take("!"):
		operand, err := p.unary(depth + 1)
		return &term{op: not, left: operand}, err
	case p.take("("):
		inner, err := p.or(depth + 1)
		if err == nil && !p.take(")") {
			err = p.fail(p.at, "')' is expected")
		}
		return inner, err
	}
	return p.comparison()
}

func (p *expressionParser) comparison() (*term, error) {
	path, err := p.path()
	if err != nil {
		return nil, err
	}
	t := &term{op: isTrue, path: path}
	for _, c := range comparisons {
		if !p.take(c.text) {
			continue
		}
		t.op, t.holds = compare, c.holds
		if t.want, err = p.literal(); err != nil || t.want.kind != nullLiteral {
			return t, err
		}
		t.op = exists
		switch c.text {
		case "!=":
			return t, nil
		case "==":
			return &term{op: not, left: t}, nil
		}
		return nil, p.fail(t.want.at, "null can only be compared by == and !=")
	}
	if strings.HasPrefix(p.text[p.space():], "=") {
		return nil, p.fail(p.at, "'=' is no operator: write ==")
	}
	return t, nil
}

func (p *expressionParser) path() ([]part, error) {
	var path []part
	for {
		name, at, err := p.name(len(path) == 0)
		if err != nil {
			return nil, err
		}
		next := part{name: name, at: at, index: -1}
		if p.take("[") {
			if next.all, next.index, err = p.selector(); err != nil {
				return nil, err
			}
		}
		path = append(path, next)
		if !p.take(".") {
			return path, nil
		}
	}
}

// name reads a field's name. Only the first of a path can be taken for a word
// of the language.
func (p *expressionParser) name(first bool) (name string, at int, err error) {
	at = p.space()
	if p.take("`") {
		name = nameAt(p.text[p.at:])
		p.at += len(name)
		if name == "" || !p.take("`") {
			return "", at, p.fail(at, "a field's name between backquotes is expected")
		}
		return name, at, nil
	}
	switch name = nameAt(p.text[at:]); name {
	case "":
		return "", at, p.fail(at, "a field's name is expected")
	case "and", "or", "not", "true", "false", "null":
		if first {
			return "", at, p.fail(at, "a field's name is expected, but %s is a word of the language: write `%s`", name, name)
		}
	}
	p.at += len(name)
	return name, at, nil
}

// selector reads what is between brackets, and the closing one.
func (p *expressionParser) selector() (all bool, index int, err error) {
	if p.take("]") {
		return true, -1, nil
	}
	at := p.space()
	for p.at < len(p.text) && p.text[p.at] >= '0' && p.text[p.at] <= '9' {
		p.at++
	}
	index, err = strconv.Atoi(p.text[at:p.at])
	if err != nil || index > 1<<31-1 || !p.take("]") {
		return false, -1, p.fail(at, "the number of an element and ']' is expected, or ']' for all")
	}
	return false, index, nil
}

func (p *expressionParser) literal() (literal, error) {
	at := p.space()
	if at == len(p.text) {
		return literal{}, p.fail(at, "a value to compare with is expected")
	}
	switch c := p.text[at]; {
	case c == '"' || c == '\'':
		return p.str(c)
	case c == '-' || c == '.' || c >= '0' && c <= '9':
		return p.number()
	}
	name := nameAt(p.text[at:])
	p.at += len(name)
	l := literal{kind: nameLiteral, text: name, at: at}
	switch name {
	case "":
		return l, p.fail(at, "a number, a string in quotes, true, false, null or an enum's value is expected")
	case "null":
		l.kind = nullLiteral
	case "true", "false":
		l.kind = boolLiteral
	}
	return l, nil
}

func (p *expressionParser) number() (literal, error) {
	at := p.at
	for p.at < len(p.text) && (strings.IndexByte("+-.eE", p.text[p.at]) >= 0 || p.text[p.at] >= '0' && p.text[p.at] <= '9') {
		p.at++
	}
	l := literal{kind: numberLiteral, text: p.text[at:p.at], at: at}
	if _, err := strconv.ParseFloat(l.text, 64); err != nil {
		return l, p.fail(at, "%s is not a number", shorten(l.text))
	}
	return l, nil
}

// str reads a string in quotes of either kind, with the escapes of Go.
func (p *expressionParser) str(quote byte) (literal, error) {
	l := literal{kind: stringLiteral, at: p.at}
	p.at++
	var b strings.Builder
	for rest := p.text[p.at:]; rest != ""; {
		if rest[0] == quote {
			p.at = len(p.text) - len(rest) + 1
			l.text = b.String()
			return l, nil
		}
		r, multibyte, tail, err := strconv.UnquoteChar(rest, quote)
		if err != nil {
			return l, p.fail(len(p.text)-len(rest), "this is not an escape: write \\\\ for a backslash")
		}
		if rest = tail; multibyte || r < utf8.RuneSelf {
			b.WriteRune(r)
		} else {
			b.WriteByte(byte(r)) // \xff
		}
	}
	return l, p.fail(l.at, "the string has no end")
}
