//go:build cgo

package walk

/*
#cgo noescape walk_find_all
#cgo nocallback walk_find_all
#include "walk.h"
*/
import "C"

import (
	"encoding/binary"
	"runtime"
	"sync/atomic"
	"unsafe"

	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// Map knows where an open environment is mapped, once it was asked. That never
// changes. The zero value is ready to use, by any number of goroutines.
type Map struct{ base atomic.Uintptr }

// Tree is a database in the state of a transaction, for [Batch.FindAll] and as
// long as that is open. The zero value is none.
type Tree struct{ c C.walk_tree }

// Tree returns the tree of a database whose keys all have that many bytes, 8 or
// 16. It returns the zero Tree when there is nothing in it, or when the map is
// not what it must be to be read without LMDB.
func (m *Map) Tree(env *lmdbenv.Env, txn *lmdbenv.Txn, db lmdbenv.DBI, name string, keySize int) (Tree, error) {
	record, err := txn.Get(env.Main(), []byte(name))
	if err != nil {
		return Tree{}, err
	}
	stat, err := txn.Stat(db)
	if err != nil {
		return Tree{}, err
	}
	sizes, err := env.Sizes()
	if err != nil || len(record) != recordBytes || stat.Entries == 0 || stat.PSize < 512 {
		return Tree{}, nil // the environment is about to be closed, or another LMDB's
	}
	pageSize := uint64(stat.PSize)
	base := mapOf(record, pageSize)
	if known := m.base.Load(); known == 0 {
		if ok, err := m.learn(txn, db, base, pageSize); !ok || err != nil {
			return Tree{}, err
		}
	} else if base != known {
		return Tree{}, nil
	}
	inside := unsafe.Pointer(unsafe.SliceData(record))
	root := binary.LittleEndian.Uint64(record[recordRoot:])
	return treeAt(unsafe.Add(inside, -int(uintptr(inside)-base)), uint64(min(sizes.Used, sizes.Map))/pageSize, pageSize, root, keySize), nil
}

func treeAt(base unsafe.Pointer, pages, pageSize, root uint64, keySize int) Tree {
	return Tree{C.walk_tree{
		base:      (*C.uchar)(base),
		pages:     C.uint64_t(pages),
		root:      C.uint64_t(root),
		page_size: C.uint32_t(pageSize),
		keysize:   C.uint32_t(keySize),
	}}
}

// LMDB keeps of a database, under its name in the main one, the number of its
// root page, behind flags, depth and four counts.
const (
	recordBytes = 48
	recordRoot  = 40
)

// mapOf returns the address at which the map of a value begins, by the number
// that the value's page says it has. The page begins in the map, as the value is.
func mapOf(value []byte, pageSize uint64) uintptr {
	at := unsafe.Pointer(unsafe.SliceData(value))
	page := unsafe.Add(at, -int(uint64(uintptr(at))%pageSize))
	number := binary.LittleEndian.Uint64(unsafe.Slice((*byte)(page), 8))
	return uintptr(page) - uintptr(number*pageSize)
}

// learn takes base for that of the map if a page of the database says so, too: a
// damaged number must not lead out of the map.
func (m *Map) learn(txn *lmdbenv.Txn, db lmdbenv.DBI, base uintptr, pageSize uint64) (bool, error) {
	c, err := txn.OpenCursor(db)
	if err != nil {
		return false, err
	}
	defer c.Close()
	_, value, err := c.Get(nil, nil, lmdbenv.First)
	if err != nil || mapOf(value, pageSize) != base {
		return false, err
	}
	m.base.Store(base)
	return true, nil
}

// maxFound is where FindAll ends, in bytes of records.
const maxFound = 512 << 10

// FindAll looks records up by their positions, at most [Max]. records has them
// under their ids, in the order of their positions, and never loses one; places
// are those of its records, which FindAll adds to. ids has blocks of ids: those of
// the positions from 1, perBlock in each, under the block's number from 0, 8 bytes
// big endian. Placed then answers for the i-th of the positions; of one that it is
// not there for nothing is known, and Record must not be called. What is behind
// half a megabyte of records is not looked at: who takes a few large ones does not
// pay for many.
func (b *Batch) FindAll(ids, records *Tree, places *Places, positions []uint64, perBlock int) {
	if !b.askable(records, positions) || ids.c.base == nil {
		b.none(len(positions))
		return
	}
	for i, position := range positions {
		b.places[i].leaf = C.uint64_t(places.guess(position))
	}
	b.find(ids, records, places, positions, perBlock)
	for i, position := range positions {
		if _, ok := b.Placed(i, position); ok {
			records.learn(places, &b.places[i], position)
		}
	}
}

// FindKnown is FindAll without a table of ids, by places alone. It returns how many
// are not there.
func (b *Batch) FindKnown(records *Tree, places *Places, positions []uint64) (missing int) {
	if !b.askable(records, positions) {
		b.none(len(positions))
		return len(positions)
	}
	for i, position := range positions {
		b.places[i].leaf = C.uint64_t(places.guess(position))
	}
	b.find(&noTree, records, places, positions, 1)
	for i, position := range positions {
		if _, ok := b.Placed(i, position); !ok {
			missing++
		}
	}
	return missing
}

func (b *Batch) askable(records *Tree, positions []uint64) bool {
	if len(positions) > Max {
		panic("walk: more positions than a batch has room for")
	}
	return able && records.c.base != nil && len(positions) > 0
}

// noTree is the tree of no ids.
var noTree Tree

func (b *Batch) find(ids, records *Tree, places *Places, positions []uint64, perBlock int) {
	kept := places.pages()
	C.walk_find_all(&ids.c, &records.c, (*C.uint64_t)(unsafe.SliceData(kept)), C.uint64_t(len(kept)), (*C.uint64_t)(unsafe.SliceData(positions)), &b.places[0], C.uint32_t(len(positions)), C.uint32_t(perBlock), maxFound, &b.c)
	runtime.KeepAlive(positions)
	runtime.KeepAlive(kept)
}

// learn remembers where a position was found by the tree, unless that may change,
// and with it all the neighbours of the leaf that do not.
func (t *Tree) learn(places *Places, at *C.walk_place, position uint64) {
	leaf, first := uint64(at.leaf), uint64(at.first)
	if leaf == 0 || first > position { // on a damaged page
		return
	}
	places.learn(leaf, first)
	if places.keeps(leaf) {
		return
	}
	var children [maxChildren]C.uint64_t
	n := int(C.walk_children(&t.c, at.parent, &children[0], maxChildren))
	if n > 0 && at.last == 1 {
		n--
	}
	pages := make([]uint64, n)
	for i := range pages {
		pages[i] = uint64(children[i])
	}
	places.keep(pages, uint64(t.c.pages))
}

// maxChildren is how many children a branch of ids may have, with pages of 4 KiB. Of
// larger pages some leaves are not kept.
const maxChildren = 256

// none is a batch of n records that are not there.
func (b *Batch) none(n int) {
	clear(b.c.items[:n])
	b.c.count = C.uint32_t(n)
}
