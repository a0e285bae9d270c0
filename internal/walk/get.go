//go:build cgo

package walk

/*
#cgo noescape walk_get
#cgo nocallback walk_get
#include "get.h"
*/
import "C"

import (
	"runtime"
	"unsafe"

	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

// Get returns the value of a key, which may have any length whatever the tree was
// made for. It aliases the map, and nothing of it was checked but that it is
// inside of that. Of a key that is not found nothing is known: ask LMDB.
func (t *Tree) Get(key []byte) (value []byte, ok bool) {
	if t.c.base == nil || len(key) == 0 || len(key) > lmdbenv.MaxKey {
		return nil, false
	}
	var size C.uint32_t
	// One by one: of a struct with a pointer, cgo looks where that leads.
	at := C.walk_get(t.c.base, t.c.pages, t.c.root, t.c.page_size, (*C.uchar)(unsafe.SliceData(key)), C.uint32_t(len(key)), &size)
	runtime.KeepAlive(key)
	if at == nil {
		return nil, false
	}
	return unsafe.Slice((*byte)(at), int(size)), true
}
