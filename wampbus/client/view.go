package client

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/verbatim-es/verbatim/schema"
)

// ViewOptions are optional.
type ViewOptions struct {
	// AtLeast is the position that the view must have reached, Wait how long
	// to wait for that, at most a minute; 0 leaves it to the server.
	AtLeast uint64
	Wait    time.Duration
}

func (o ViewOptions) request(procedure string, args wamp.List) request {
	r := request{procedure: procedure, args: args, kwargs: wamp.Dict{}, wait: min(o.Wait, maxWait), placed: o.AtLeast > 0}
	putNumber(r.kwargs, "at_least", o.AtLeast)
	return r
}

// ViewGet returns the row with a primary key as stored, a size-prefixed
// FlatBuffer, nil when there is none, and the position of the view: es.view.
// It is verified as a row of the view in Options.Schemas, if that has the view.
// key is a string, bool or number.
func (c *Client) ViewGet(ctx context.Context, view string, key any, o ViewOptions) (row []byte, position uint64, err error) {
	procedure := "es.view." + view + ".get"
	r, err := c.call(ctx, o.request(procedure, wamp.List{key}))
	if err != nil {
		return nil, 0, err
	}
	a := answer{procedure: procedure, result: r}
	position = a.number("position")
	if len(r.Arguments) == 0 || a.err != nil {
		return nil, position, a.err
	}
	rows := Rows{Data: a.binary(), Count: 1}
	if a.err == nil {
		a.err = c.checkRows(view, rows)
	}
	if a.err != nil {
		return nil, 0, a.err
	}
	return rows.Data, position, nil
}

// checkRows verifies that rows are as many as the server says, and each of them
// by the schemas of the client's code. A view that they don't have, no code of
// theirs will read.
func (c *Client) checkRows(view string, rows Rows) error {
	typ := c.rowType(view)
	n := 0
	for row, err := range rows.All() {
		if err == nil && typ != "" {
			err = invalid(typ, c.options.Schemas.VerifyRow(typ, row))
		}
		if err != nil {
			return fmt.Errorf("row %d of view %q: %w", n, view, err)
		}
		n++
	}
	if n != rows.Count {
		return fmt.Errorf("view %q answered %d rows and says that they are %d", view, n, rows.Count)
	}
	return nil
}

// rowType is the type of a view's rows, "" when the client's code has none.
func (c *Client) rowType(view string) string {
	if c.options.Unverified {
		return ""
	}
	for _, t := range c.options.Schemas.Types() {
		if t.Role == schema.RoleView && t.View == view {
			return t.Name
		}
	}
	return ""
}

// Range selects rows of a view. The zero value is all of them, by primary key.
type Range struct {
	// Index is the index's name; "" is the primary key.
	Index string
	// Equal are the values of the index's first columns.
	Equal []any
	// From, inclusive, and To, exclusive, are values, or a []any of the values
	// of the first columns. They go without Equal.
	From, To any
	Backward bool
	Limit    int
	// Cursor goes on behind an earlier answer of the same range.
	Cursor string
}

// Rows are the answer to a range.
type Rows struct {
	// Data holds the rows as stored, size-prefixed FlatBuffers, one after the
	// other, each verified as [Client.ViewGet] does.
	Data []byte
	// Count is the number of rows.
	Count int
	// Cursor goes on behind the last row; "" when nothing follows.
	Cursor string
	// Position is that of the view.
	Position uint64
}

// ViewList returns rows of a view: es.view.<view>.list and .by_<index>.
func (c *Client) ViewList(ctx context.Context, view string, r Range, o ViewOptions) (Rows, error) {
	procedure := "es.view." + view + ".list"
	if r.Index != "" {
		procedure = "es.view." + view + ".by_" + r.Index
	}
	request := o.request(procedure, r.Equal)
	request.placed = request.placed || r.Cursor != ""
	kwargs := request.kwargs
	if r.From != nil {
		kwargs["from"] = r.From
	}
	if r.To != nil {
		kwargs["to"] = r.To
	}
	if r.Backward {
		kwargs["backward"] = true
	}
	putNumber(kwargs, "limit", uint64(max(r.Limit, 0)))
	put(kwargs, "cursor", r.Cursor)
	result, err := c.call(ctx, request)
	if err != nil {
		return Rows{}, err
	}
	return c.rows(view, procedure, result)
}

// rows reads the answer to a list of a view.
func (c *Client) rows(view, procedure string, result *wamp.Result) (Rows, error) {
	a := answer{procedure: procedure, result: result}
	rows := Rows{Data: a.binary(), Count: int(a.number("count")), Position: a.number("position")}
	rows.Cursor, _ = result.ArgumentsKw["cursor"].(string)
	if a.err == nil {
		a.err = c.checkRows(view, rows)
	}
	if a.err != nil {
		return Rows{}, a.err
	}
	return rows, nil
}

var errTornRows = errors.New("the answer ends inside a row")

// All yields the rows one by one, each with its size prefix.
func (r Rows) All() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for rest := r.Data; len(rest) > 0; {
			if len(rest) < 4 || uint64(len(rest)) < 4+uint64(binary.LittleEndian.Uint32(rest)) {
				yield(nil, errTornRows)
				return
			}
			n := 4 + int(binary.LittleEndian.Uint32(rest))
			if !yield(rest[:n:n], nil) {
				return
			}
			rest = rest[n:]
		}
	}
}
