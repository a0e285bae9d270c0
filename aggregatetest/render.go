package aggregatetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/verbatim-es/verbatim/aggregate"
	"github.com/verbatim-es/verbatim/schema"
	"github.com/verbatim-es/verbatim/schema/dynamic"
)

// renderer shows FlatBuffers by their schema.
type renderer struct {
	tables *dynamic.Set
	typ    string // of the state
}

func newRenderer(set *schema.Set, category string) *renderer {
	r := &renderer{tables: dynamic.NewSet(set)}
	for _, t := range set.Types() {
		if t.Role == schema.RoleAggregate && t.Aggregate == category {
			r.typ = t.Name
		}
	}
	return r
}

// rendering is a state, or a list of events: whole, as it is compared, and as it
// is shown, where what is long is cut.
type rendering struct{ exact, shown string }

func (r *rendering) add(other rendering) {
	r.exact += other.exact
	r.shown += other.shown
}

func (r *renderer) event(stream, typ string, fingerprint uint64, data []byte) rendering {
	table, err := r.tables.Table(typ, fingerprint)
	var text string
	if err == nil {
		text, err = whole(table, data)
	}
	if err != nil {
		return rendering{fmt.Sprintf("%s  %s\n  %x\n", stream, typ, data), fmt.Sprintf("%s  %s: %v\n", stream, typ, err)}
	}
	title := stream + "  " + typ + "\n"
	return rendering{title + text, title + r.tree(table, data)}
}

func (r *renderer) command(c aggregate.Command) string {
	table, err := r.tables.Table(c.Type, 0)
	if err != nil {
		return fmt.Sprintf("%s: %v\n", c.Type, err)
	}
	return c.Type + "\n" + r.tree(table, c.Data)
}

func (r *renderer) state(packed []byte) rendering {
	table, err := r.tables.Table(r.typ, 0)
	var text string
	if err == nil {
		text, err = whole(table, packed)
	}
	if err != nil {
		return plain(fmt.Sprintf("%x", packed))
	}
	return rendering{text, r.tree(table, packed)}
}

// plain is what no schema shows.
func plain(text string) rendering { return rendering{text + "\n", text + "\n"} }

// whole is all of the data, as JSON with a line for every value.
func whole(table *dynamic.Table, data []byte) (string, error) {
	text, err := table.AppendJSON(nil, data)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, text, "  ", "  "); err != nil {
		return "", err
	}
	return "  " + b.String() + "\n", nil
}

// tree is the data's fields, a line each, indented.
func (r *renderer) tree(table *dynamic.Table, data []byte) string {
	text, err := table.AppendTree(nil, data)
	if err != nil {
		return fmt.Sprintf("  %v\n", err)
	}
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		b.WriteString("  " + line)
	}
	return b.String()
}

func rejection(err error) (*aggregate.RejectedError, bool) {
	var rejected *aggregate.RejectedError
	return rejected, errors.As(err, &rejected)
}
