package aggregatetest

import (
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

// rendering is a list of events: as it is compared, and as it is shown, where
// what is long is cut.
type rendering struct{ exact, shown string }

func (r *rendering) add(exact, shown string) {
	r.exact += exact + "\n"
	r.shown += shown
}

func (r *renderer) event(stream, typ string, fingerprint uint64, data []byte) (exact, shown string) {
	table, err := r.tables.Table(typ, fingerprint)
	if err != nil {
		return fmt.Sprintf("%s %s %x", stream, typ, data), fmt.Sprintf("%s  %s: %v\n", stream, typ, err)
	}
	text, err := table.AppendJSON(nil, data)
	if err != nil {
		return fmt.Sprintf("%s %s %x", stream, typ, data), fmt.Sprintf("%s  %s: %v\n", stream, typ, err)
	}
	return stream + " " + typ + " " + string(text), stream + "  " + typ + "\n" + r.tree(table, data)
}

func (r *renderer) command(c aggregate.Command) string {
	table, err := r.tables.Table(c.Type, 0)
	if err != nil {
		return fmt.Sprintf("%s: %v\n", c.Type, err)
	}
	return c.Type + "\n" + r.tree(table, c.Data)
}

func (r *renderer) state(packed []byte) string {
	table, err := r.tables.Table(r.typ, 0)
	if err != nil {
		return fmt.Sprintf("%x\n", packed)
	}
	return r.tree(table, packed)
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
