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
type Batch struct{ c C.walk_batch }

// handle is the offset of LMDB's cursor in lmdb-go's, which does not export it.
var handle = func() uintptr {
	field, ok := reflect.TypeFor[lmdbenv.Cursor]().FieldByName("_c")
	if !ok || field.Type.Kind() != reflect.Pointer {
		panic("walk: this version of lmdb-go keeps LMDB's cursor elsewhere, see handle in walk.go")
	}
	return field.Offset
}()

// able reports whether this processor checks records here. One that does not
// leaves all of them to event.CheckRecord.
var able = C.walk_can_check() == 1

// Fill moves the cursor by the operation first, and then by further, which is
// Next or Prev, until it has at most max records. It returns how many; none
// means that there is none. The cursor stays at the last of them.
func (b *Batch) Fill(c *lmdbenv.Cursor, first, further uint, maxRecords int) (int, error) {
	cursor := *(*unsafe.Pointer)(unsafe.Add(unsafe.Pointer(c), handle))
	rc := C.walk_fill(cursor, C.int(first), C.int(further), C.uint32_t(min(max(maxRecords, 1), Max)), maxBytes, &b.c)
	runtime.KeepAlive(c)
	switch {
	case rc == 0:
		return int(b.c.count), nil
	case rc == notFound:
		return 0, nil
	case rc > 0:
		return 0, fmt.Errorf("mdb_cursor_get: %w", syscall.Errno(rc))
	}
	return 0, fmt.Errorf("mdb_cursor_get: error %d of LMDB", int(rc))
}

const notFound = -30798

// Record returns the key and the record at i. Both alias the map, as what a
// cursor returns does. intact means that the record passes event.CheckRecord;
// when it is false, ask that.
func (b *Batch) Record(i int) (key, record []byte, intact bool) {
	if i >= int(b.c.count) {
		panic("walk: no such record in the batch")
	}
	item := &b.c.items[i]
	base := unsafe.Pointer(b.c.base)
	key = unsafe.Slice((*byte)(unsafe.Add(base, item.key)), int(item.keysize))
	record = unsafe.Slice((*byte)(unsafe.Add(base, item.value)), int(item.size))
	return key, record, item.intact == 1
}
