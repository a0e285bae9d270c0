//go:build cgo

// Package walk reads many records of the log at a time. A call into C costs as
// much as reading a small record does, and LMDB's cursor one for each; here C
// moves the cursor, and checks the records' checksums while it is there.
//
// It is an optimization and nothing else: it returns what the cursor would, and
// a record that it does not say is intact is checked again, by the code that
// says what is wrong with it.
package walk

// The weak reference to LMDB is resolved in the program, see walk.c.

/*
#cgo CFLAGS: -O2 -std=gnu11 -Wall -Wextra
#cgo darwin LDFLAGS: -Wl,-undefined,dynamic_lookup
#cgo noescape walk_fill
#cgo nocallback walk_fill
#cgo noescape walk_skip
#cgo nocallback walk_skip
#cgo noescape walk_find
#cgo nocallback walk_find
#include "walk.h"
*/
import "C"

import (
	"fmt"
	"reflect"
	"runtime"
	"syscall"
	"unsafe"

	"github.com/verbatim-es/verbatim/internal/lmdbenv"
)

const (
	// Max is the largest number of records in a batch.
	Max = 256
	// maxBytes is where a batch ends: what is read and not wanted is little, and
	// what is wanted is still in the processor's cache.
	maxBytes = 32 << 10
)

// Batch is records that follow each other. It may be used again.
type Batch struct {
	c      C.walk_batch
	places [Max]C.walk_place
}

// handle is the offset of LMDB's cursor in lmdb-go's, which does not export it.
var handle = func() uintptr {
	field, ok := reflect.TypeFor[lmdbenv.Cursor]().FieldByName("_c")
	if !ok || field.Type.Kind() != reflect.Pointer {
		panic("walk: this version of lmdb-go keeps LMDB's cursor elsewhere, see handle in walk.go")
	}
	return field.Offset
}()

var able = C.walk_can_check() == 1

// Able reports whether this processor checks records here. On one that does not
// no record is ever placed.
func Able() bool { return able }

// cursorOf returns LMDB's cursor, valid as long as c is open.
func cursorOf(c *lmdbenv.Cursor) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Add(unsafe.Pointer(c), handle))
}

// Fill moves the cursor by the operation first, and then by further, which is
// Next or Prev, until it has at most max records. It returns how many; none
// means that there is none. The cursor stays at the last of them.
func (b *Batch) Fill(c *lmdbenv.Cursor, first, further uint, maxRecords int) (int, error) {
	rc := C.walk_fill(cursorOf(c), C.int(first), C.int(further), C.uint32_t(min(max(maxRecords, 1), Max)), maxBytes, &b.c)
	runtime.KeepAlive(c)
	return int(b.c.count), failure(rc)
}

// Find moves the cursor records to the record whose id is at offset in a block
// of that many bytes, which ids has under the block's number, 8 bytes big
// endian. It reports false, and the cursor is anywhere, when there is no such
// block or record.
func (b *Batch) Find(ids *lmdbenv.Cursor, block uint64, offset, blockBytes int, records *lmdbenv.Cursor) (bool, error) {
	rc := C.walk_find(cursorOf(ids), C.uint64_t(block), C.uint32_t(offset), C.size_t(blockBytes), cursorOf(records), &b.c)
	runtime.KeepAlive(ids)
	runtime.KeepAlive(records)
	return b.c.count > 0, failure(rc)
}

// Skip moves the cursor by n records. It reports false when there are not that
// many.
func Skip(c *lmdbenv.Cursor, n uint64) (bool, error) {
	rc := C.walk_skip(cursorOf(c), C.uint64_t(n))
	runtime.KeepAlive(c)
	return rc == 0, failure(rc)
}

// notFound is LMDB's MDB_NOTFOUND.
const notFound = -30798

func failure(rc C.int) error {
	switch {
	case rc == 0 || rc == notFound:
		return nil
	case rc > 0:
		return fmt.Errorf("mdb_cursor_get: %w", syscall.Errno(rc))
	}
	return fmt.Errorf("mdb_cursor_get: error %d of LMDB", int(rc))
}

// Record returns the key and the record at i, whatever they are. Both alias the
// map, as what a cursor returns does.
func (b *Batch) Record(i int) (key, record []byte) {
	item := b.item(i)
	return b.bytes(item.key, item.keysize), b.bytes(item.value, item.size)
}

// Placed returns the record at i if it passes event.CheckRecord, has that
// position and is under its own id. Of one that it does not return,
// event.CheckRecord and the record itself say why; on a processor that can't
// check here that may be nothing.
func (b *Batch) Placed(i int, position uint64) (record []byte, ok bool) {
	item := b.item(i)
	if item.placed != 1 || uint64(item.position) != position {
		return nil, false
	}
	return b.bytes(item.value, item.size), true
}

func (b *Batch) item(i int) *C.walk_item {
	if i >= int(b.c.count) {
		panic("walk: no such record in the batch")
	}
	return &b.c.items[i]
}

func (b *Batch) bytes(offset C.int64_t, size C.uint32_t) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(b.c.base), offset)), int(size))
}
