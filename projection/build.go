package projection

import (
	"strconv"

	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// build is one build of a view: a place for its rows and index entries. Each
// view has two, so that one can be built beside the other and take over.
type build struct {
	view    *view
	slot    byte
	rows    lmdbenv.DBI
	indexes []lmdbenv.DBI // like view.indexes
}

const slots = 2

// databases are the names of a build's databases, the rows' first.
func databases(view string, slot byte, indexes []string) []string {
	prefix := view + "/" + strconv.Itoa(int(slot))
	names := []string{prefix}
	for _, index := range indexes {
		names = append(names, prefix+"/"+index)
	}
	return names
}

func (v *view) indexNames() []string {
	names := make([]string, len(v.indexes))
	for i, index := range v.indexes {
		names[i] = index.Name
	}
	return names
}

// keyColumns are the columns of the rows' own order.
func (v *view) keyColumns() []Column { return []Column{v.key} }

// openBuild opens the build's databases, and makes those that do not exist.
func openBuild(txn *lmdbenv.Txn, v *view, slot byte) (*build, error) {
	b := &build{view: v, slot: slot}
	for i, name := range databases(v.name, slot, v.indexNames()) {
		db, err := txn.CreateDBI(name)
		switch {
		case err != nil:
			return nil, err
		case i == 0:
			b.rows = db
		default:
			b.indexes = append(b.indexes, db)
		}
	}
	return b, nil
}

// clear removes every row and index entry. Readers in flight keep theirs.
func (b *build) clear(txn *lmdbenv.Txn) error {
	if err := txn.Drop(b.rows, false); err != nil {
		return err
	}
	for _, db := range b.indexes {
		if err := txn.Drop(db, false); err != nil {
			return err
		}
	}
	return nil
}
