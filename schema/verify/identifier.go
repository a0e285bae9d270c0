package verify

import (
	"fmt"

	"github.com/verbatim-es/verbatim/internal/fb/reflection"
)

// identifierSize is the length of a file_identifier. flatc allows no other.
const identifierSize = 4

// identifier is the file_identifier of a schema, and the table that it is for:
// its root_type.
type identifier struct {
	table *table
	text  [identifierSize]byte
}

// WithIdentifier returns the plan that demands the schema's file_identifier as
// well, behind the root reference of the buffer, and of every buffer nested in
// it whose table is the root_type. It is for bytes that are known to be finished
// with one, as files and messages are in programs that agreed on it; see the
// package's documentation for why [Plan.Verify] does not ask.
//
// It fails where the schema states none for the plan's table, and where that is
// not of four bytes.
func (p *Plan) WithIdentifier() (*Plan, error) {
	if p.stated == nil || p.stated.table != p.root {
		return nil, fmt.Errorf("the schema states no file_identifier of %d bytes for table %q: one is for the root_type alone", identifierSize, p.root.name)
	}
	identified := *p
	identified.demanded = p.stated
	return &identified, nil
}

// identifier returns what the schema states, among the tables compiled; nil when
// it states none for any of them.
func (c *compiler) identifier() *identifier {
	text, root := c.binary.root.FileIdent(), c.binary.root.RootTable(new(reflection.Object))
	if root == nil || len(text) != identifierSize {
		return nil
	}
	index, ok := c.binary.byName[string(root.Name())]
	if !ok || c.tables[index] == nil {
		return nil
	}
	return &identifier{c.tables[index], [identifierSize]byte(text)}
}

// identified judges the four bytes at position at, which may lie outside.
func (w *walk) identified(id *identifier, at uint64) *Error {
	if at+identifierSize > w.size() {
		return w.fail(at, "%d bytes have no room for the file identifier %q", w.size(), id.text)
	}
	if found := [identifierSize]byte(w.buf[at:]); found != id.text {
		return w.fail(at, "the file identifier is %q, and not %q", found, id.text)
	}
	return nil
}
