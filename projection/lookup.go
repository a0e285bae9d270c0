package projection

import (
	"github.com/verbatim-es/verbatim/internal/lmdbenv"
	"github.com/verbatim-es/verbatim/internal/walk"
)

// lookup finds a build's rows by their keys, in the state of a reader.
type lookup struct {
	engine *Engine
	txn    *lmdbenv.Txn
	build  *build
	asked  int
	tree   walk.Tree // none at first
}

// worthTree is how many rows are looked up by LMDB before it is worth while to
// find out where the tree is: that takes as long as two or three of them.
const worthTree = 8

// row returns the row under a key, which nobody has verified.
func (l *lookup) row(key []byte) (row []byte, found bool, err error) {
	if l.asked++; l.asked == worthTree {
		l.tree, err = l.engine.pages.Tree(l.engine.env, l.txn, l.build.rows, l.build.name(), 0)
		if err != nil {
			return nil, false, err
		}
	}
	if row, ok := l.tree.Get(key); ok {
		return row, true, nil
	}
	return getKey(l.txn, l.build.rows, key)
}
