package wampbus

import (
	"context"
	"encoding/base64"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/event"
	"github.com/verbatim-es/verbatim/projection"
	"github.com/verbatim-es/verbatim/wampbus/internal/codec"
)

const (
	// defaultCatchUp is how long a read with at_least and without wait_ms waits.
	defaultCatchUp = 5 * time.Second
	// defaultRows is the limit of a list that names none.
	defaultRows = 1000
)

// view serves es.view.<view>.get, .list and .by_<index>.
func (b *Bus) view(ctx context.Context, in *invocation) (answer, error) {
	name, verb, _ := strings.Cut(in.name, ".")
	info, ok := b.serving(name)
	if !ok {
		return answer{}, &event.UnknownError{Kind: "view", Name: name}
	}
	byIndex, isIndex := strings.CutPrefix(verb, "by_")
	switch {
	case verb == "get":
		return b.viewGet(ctx, in, info)
	case verb == "list":
		return b.viewList(ctx, in, info, "", []projection.Column{info.Key})
	case isIndex:
		for _, index := range info.Indexes {
			if index.Name == byIndex {
				return b.viewList(ctx, in, info, index.Name, index.Columns)
			}
		}
		return answer{}, &event.UnknownError{Kind: "index", Name: name + "." + byIndex}
	}
	return answer{}, &event.UnknownError{Kind: "procedure", Name: "es.view." + in.name}
}

// serving describes the version of a view that is read now: another one may
// have other indexes.
func (b *Bus) serving(view string) (projection.Info, bool) {
	if b.options.Views == nil {
		return projection.Info{}, false
	}
	for _, info := range b.options.Views.Views() {
		if info.Name == view {
			return info, true
		}
	}
	return projection.Info{}, false
}

// at runs fn with the view as of the position that the call asks for.
func (b *Bus) at(ctx context.Context, in *invocation, view string, atLeast uint64, wait time.Duration, fn func(position uint64, v *projection.View) error) error {
	ctx, stop := in.waiting(ctx)
	defer stop()
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	err := b.options.Views.At(waiting, atLeast, func(s *projection.Snapshot) error {
		v, err := s.View(view)
		if err != nil {
			return err
		}
		return fn(s.Position(), v)
	}, view)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return in.orShutdown(ctx.Err())
	}
	return viewError(err)
}

func (b *Bus) viewGet(ctx context.Context, in *invocation, info projection.Info) (answer, error) {
	pk, err := asValue("primary key", info.Key, in.next("primary key"))
	in.keep(err)
	atLeast, wait := in.number("at_least"), in.milliseconds("wait_ms", defaultCatchUp, maxWait)
	if err := in.end(); err != nil {
		return answer{}, err
	}
	var result answer
	var row []byte
	err = b.at(ctx, in, info.Name, atLeast, wait, func(position uint64, v *projection.View) error {
		stored, found, err := v.Get(pk)
		if err != nil {
			return err
		}
		result = answer{args: wamp.List{}, kwargs: wamp.Dict{"position": position}}
		if found { // the row is the map's, the answer outlives the snapshot
			row = append([]byte(nil), stored...)
			result.args = wamp.List{row}
		}
		return nil
	})
	if err != nil || len(result.args) == 0 {
		return result, err
	}
	return result, in.room(ctx, len(row))
}

func (b *Bus) viewList(ctx context.Context, in *invocation, info projection.Info, index string, columns []projection.Column) (answer, error) {
	r := projection.Range{Index: index}
	if index != "" {
		r.Equal = in.values("value", columns, in.list)
		in.list = nil
	}
	r.From, r.To = in.bound("from", columns), in.bound("to", columns)
	r.Backward = in.flag("backward")
	r.Limit = in.count("limit", math.MaxInt32)
	r.Cursor = in.cursor("cursor")
	atLeast, wait := in.number("at_least"), in.milliseconds("wait_ms", defaultCatchUp, maxWait)
	if err := in.end(); err != nil {
		return answer{}, err
	}
	if r.Limit == 0 {
		r.Limit = defaultRows
	}
	// Room for the answer is set aside when there is one: a call that waits for
	// the view must not keep others waiting for room.
	if atLeast > 0 {
		if err := b.at(ctx, in, info.Name, atLeast, wait, func(uint64, *projection.View) error { return nil }); err != nil {
			return answer{}, err
		}
	}
	page := min(b.limits.Page, in.party.page())
	if err := in.room(ctx, page); err != nil {
		return answer{}, err
	}
	var result answer
	err := b.at(ctx, in, info.Name, atLeast, wait, func(position uint64, v *projection.View) error {
		rows, count, cursor, err := collect(v, r, page)
		if err != nil {
			return err
		}
		result = answer{args: wamp.List{rows}, kwargs: wamp.Dict{"count": count, "position": position}}
		if cursor != "" {
			result.kwargs["cursor"] = cursor
		}
		return nil
	})
	return result, err
}

// collect copies rows up to the range's limit or maxBytes, but at least one.
// The cursor is empty when nothing follows.
func collect(v *projection.View, r projection.Range, maxBytes int) (rows []byte, count int, cursor string, err error) {
	limit := r.Limit
	r.Limit = 0 // one more than the limit, to know whether something follows
	rows = []byte{}
	var last projection.Row
	for row, err := range v.Rows(r) {
		if err != nil {
			return nil, 0, "", err
		}
		if count == limit || count > 0 && len(rows)+len(row.Bytes()) > maxBytes {
			return rows, count, base64.RawURLEncoding.EncodeToString(last.Cursor()), nil
		}
		rows = append(rows, row.Bytes()...)
		last = row
		count++
	}
	return rows, count, "", nil
}

// values reads the values of the first columns of an index.
func (a *arguments) values(name string, columns []projection.Column, list []any) []projection.Value {
	if len(list) > len(columns) {
		a.fail(name, "%d values for %d columns", len(list), len(columns))
		return nil
	}
	var values []projection.Value
	for i, v := range list {
		value, err := asValue(name, columns[i], v)
		a.keep(err)
		values = append(values, value)
	}
	return values
}

// bound reads one end of a range: a value, or a list of values for the first
// columns of a composite index.
func (a *arguments) bound(name string, columns []projection.Column) []projection.Value {
	v, ok := a.take(name)
	if !ok {
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	return a.values(name, columns, list)
}

func (a *arguments) cursor(name string) []byte {
	v, ok := a.take(name)
	if !ok {
		return nil
	}
	s, _ := v.(string)
	cursor, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(cursor) == 0 {
		a.fail(name, "must be a cursor from an earlier answer")
	}
	return cursor
}

// asValue reads a column's value. Whole numbers may come as decimal strings:
// not every language's numbers go beyond 2^53.
func asValue(name string, c projection.Column, v any) (projection.Value, error) {
	wrong := invalid(name, "column "+strconv.Quote(c.Name)+" holds "+c.Kind.String()+" values, got "+show(v))
	if v == nil && c.Nullable {
		return projection.Value{}, nil
	}
	text, isText := v.(string)
	switch c.Kind {
	case projection.String:
		if isText {
			return projection.StringValue(text), nil
		}
	case projection.Bool:
		if b, ok := v.(bool); ok {
			return projection.BoolValue(b), nil
		}
	case projection.Int:
		if i, err := strconv.ParseInt(text, 10, 64); isText && err == nil {
			return projection.IntValue(i), nil
		}
		if i, ok := codec.Integer(v); ok {
			return projection.IntValue(i), nil
		}
	case projection.Uint:
		if u, err := strconv.ParseUint(text, 10, 64); isText && err == nil {
			return projection.UintValue(u), nil
		}
		if u, ok := v.(uint64); ok {
			return projection.UintValue(u), nil
		}
		if i, ok := codec.Integer(v); ok && i >= 0 {
			return projection.UintValue(uint64(i)), nil
		}
	case projection.Float:
		if f, ok := v.(float64); ok {
			return projection.FloatValue(f), nil
		}
		if i, ok := codec.Integer(v); ok {
			return projection.FloatValue(float64(i)), nil
		}
	}
	return projection.Value{}, wrong
}
