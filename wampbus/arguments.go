package wampbus

import (
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/gammazero/nexus/v3/wamp"
	"github.com/oklog/ulid/v2"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

// maxNumber is the largest position, version or count: what a float64, the only
// number of some languages, can hold exactly.
const maxNumber = 1<<53 - 1

// arguments reads the arguments of one call, strictly. Methods that read an
// argument take it out and return its zero value when it is absent; the first
// wrong one is kept, and end reports it, or an argument that nobody asked for.
type arguments struct {
	list wamp.List
	kw   map[string]any
	err  error
}

func newArguments(list wamp.List, kw wamp.Dict) *arguments {
	left := make(map[string]any, len(kw))
	for name, value := range kw {
		left[name] = value
	}
	return &arguments{list: list, kw: left}
}

// end is the last thing to ask: whether all that was given was known and right.
func (a *arguments) end() error {
	if a.err != nil {
		return a.err
	}
	if len(a.list) > 0 {
		return invalid("args", fmt.Sprintf("%d positional arguments too many", len(a.list)))
	}
	for name := range a.kw {
		return invalid(name, "is not an argument of this procedure")
	}
	return nil
}

func (a *arguments) fail(argument, format string, args ...any) {
	if a.err == nil {
		a.err = invalid(argument, fmt.Sprintf(format, args...))
	}
}

func (a *arguments) keep(err error) {
	if a.err == nil {
		a.err = err
	}
}

// take returns a keyword argument; null counts as absent.
func (a *arguments) take(name string) (any, bool) {
	v, ok := a.kw[name]
	delete(a.kw, name)
	return v, ok && v != nil
}

// next returns the next positional argument.
func (a *arguments) next(name string) any {
	if len(a.list) == 0 {
		a.fail(name, "is missing: it is a positional argument")
		return nil
	}
	v := a.list[0]
	a.list = a.list[1:]
	return v
}

// has reports whether a keyword argument is there.
func (a *arguments) has(name string) bool { return a.kw[name] != nil }

// number reads a position, version or count.
func (a *arguments) number(name string) uint64 {
	v, ok := a.take(name)
	if !ok {
		return 0
	}
	n, err := asNumber(name, v)
	a.keep(err)
	return n
}

func asNumber(name string, v any) (uint64, error) {
	n, ok := codec.Integer(v)
	if !ok || n < 0 || n > maxNumber {
		return 0, invalid(name, "must be a whole number from 0 to 2^53-1, got "+show(v))
	}
	return uint64(n), nil
}

// count reads a number that must fit an int and be at most limit.
func (a *arguments) count(name string, limit int) int {
	n := a.number(name)
	if n > uint64(limit) {
		a.fail(name, "must be at most %d, got %d", limit, n)
		return 0
	}
	return int(n)
}

func (a *arguments) text(name string) string {
	v, ok := a.take(name)
	if !ok {
		return ""
	}
	s, err := asText(name, v)
	a.keep(err)
	return s
}

func asText(name string, v any) (string, error) {
	s, ok := v.(string)
	switch {
	case !ok:
		return "", invalid(name, "must be a string, got "+show(v))
	case s == "":
		return "", invalid(name, "must not be empty")
	case !utf8.ValidString(s):
		return "", invalid(name, "must be valid UTF-8")
	}
	return s, nil
}

func (a *arguments) flag(name string) bool {
	v, ok := a.take(name)
	if !ok {
		return false
	}
	b, isBool := v.(bool)
	if !isBool {
		a.fail(name, "must be true or false, got %s", show(v))
	}
	return b
}

// texts reads a list of strings that is not empty.
func (a *arguments) texts(name string) []string {
	v, ok := a.take(name)
	if !ok {
		return nil
	}
	texts, err := asTexts(name, v)
	if err == nil && len(texts) == 0 {
		err = invalid(name, "must not be an empty list: leave it out")
	}
	a.keep(err)
	return texts
}

func asTexts(name string, v any) ([]string, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, invalid(name, "must be a list of strings, got "+show(v))
	}
	texts := make([]string, len(list))
	for i, e := range list {
		var err error
		if texts[i], err = asText(name, e); err != nil {
			return nil, err
		}
	}
	return texts, nil
}

func (a *arguments) id(name string) event.ID {
	v, ok := a.take(name)
	if !ok {
		return event.ID{}
	}
	id, err := asID(name, v)
	if err == nil && id == (event.ID{}) {
		err = invalid(name, "must not be the zero ULID: leave it out")
	}
	a.keep(err)
	return id
}

func asID(name string, v any) (event.ID, error) {
	s, ok := v.(string)
	if !ok {
		return event.ID{}, invalid(name, "must be the 26 characters of a ULID, got "+show(v))
	}
	id, err := ulid.ParseStrict(s)
	if err != nil {
		return event.ID{}, invalid(name, "must be the 26 characters of a ULID: "+err.Error())
	}
	return id, nil
}

func (a *arguments) instant(name string) time.Time {
	v, ok := a.take(name)
	if !ok {
		return time.Time{}
	}
	s, _ := v.(string)
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		a.fail(name, "must be a time like \"2026-11-22T08:00:00Z\", got %s", show(v))
	} else if t.IsZero() {
		a.fail(name, "must not be the zero time: leave it out to read from the start")
	}
	return t
}

// milliseconds reads a duration.
func (a *arguments) milliseconds(name string, standard, limit time.Duration) time.Duration {
	if !a.has(name) {
		return standard
	}
	return time.Duration(a.count(name, int(limit/time.Millisecond))) * time.Millisecond
}

func (a *arguments) fingerprint(name string) uint64 {
	v, ok := a.take(name)
	if !ok {
		return 0
	}
	fingerprint, err := asFingerprint(name, v)
	a.keep(err)
	return fingerprint
}

func asFingerprint(name string, v any) (uint64, error) {
	s, ok := v.(string)
	fingerprint, err := strconv.ParseUint(s, 16, 64)
	if !ok || err != nil || s != formatFingerprint(fingerprint) || fingerprint == 0 {
		return 0, invalid(name, "must be the 16 lower-case hex digits of a schema's fingerprint, got "+show(v))
	}
	return fingerprint, nil
}

func formatFingerprint(fingerprint uint64) string { return fmt.Sprintf("%016x", fingerprint) }

// query reads a list of {types, tags}.
func (a *arguments) query(name string) event.Query {
	v, ok := a.take(name)
	if !ok {
		return nil
	}
	query, err := asQuery(name, v)
	a.keep(err)
	return query
}

func asQuery(name string, v any) (event.Query, error) {
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		return nil, invalid(name, "must be a list of one or more {types, tags}, got "+show(v))
	}
	query := make(event.Query, len(list))
	for i, e := range list {
		fields, ok := e.(map[string]any)
		if !ok {
			return nil, invalid(name, "must be a list of {types, tags}, got an element "+show(e))
		}
		for field, value := range fields {
			texts, err := asTexts(name+"."+field, value)
			switch {
			case err != nil:
				return nil, err
			case field == "types":
				query[i].Types = texts
			case field == "tags":
				query[i].Tags = texts
			default:
				return nil, invalid(name, fmt.Sprintf("an item holds types and tags, not %q", field))
			}
		}
	}
	return query, nil
}

// data reads a positional binary.
func asData(name string, v any) ([]byte, error) {
	data, ok := v.([]byte)
	if !ok {
		return nil, invalid(name, "must be a binary, got "+show(v))
	}
	return data, nil
}

// show renders a value of a caller in a message, shortened.
func show(v any) string {
	const most = 64
	var s string
	switch v := v.(type) {
	case string:
		s = strconv.Quote(v[:min(len(v), most)])
	case []byte:
		return fmt.Sprintf("a binary of %d bytes", len(v))
	case []any:
		return fmt.Sprintf("a list of %d elements", len(v))
	case map[string]any:
		return "a dictionary"
	case float64:
		if v != math.Trunc(v) {
			return strconv.FormatFloat(v, 'g', -1, 64)
		}
		s = strconv.FormatFloat(v, 'f', 0, 64)
	default:
		s = fmt.Sprint(v)
	}
	return s[:min(len(s), most)]
}
