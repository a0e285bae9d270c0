/*
 * Fills a batch of records from an LMDB cursor.
 *
 * What is read here: of the page in which a value begins one byte per cache line.
 * Memory is mapped by aligned pages of 4 KiB or multiples of that, so all of it is
 * there when one byte is. Prefetches may name any address. Nothing but *out is
 * written.
 */
#include "walk.h"

#include <string.h>

typedef struct {
	size_t size;
	void *data;
} val; /* MDB_val */

/*
 * The function is in lmdb-go's objects, which the program is linked with. It is
 * weak so that cgo can link this package by itself while it looks at it.
 */
#ifdef __APPLE__
extern int mdb_cursor_get(void *cursor, val *key, val *data, int op) __attribute__((weak_import));
#else
extern int mdb_cursor_get(void *cursor, val *key, val *data, int op) __attribute__((weak));
#endif

enum { page = 4096, line = 64, mdb_notfound = -30798 };

/* Adds a record to the batch. */
void walk_add(walk_batch *out, const unsigned char *key, size_t keysize, const unsigned char *value, size_t size) {
	walk_item *item = &out->items[out->count++];
	item->key = (int64_t)((uintptr_t)key - (uintptr_t)out->base);
	item->value = (int64_t)((uintptr_t)value - (uintptr_t)out->base);
	item->keysize = (uint32_t)keysize;
	item->size = (uint32_t)size;
	item->placed = 0;
}

/* Adds nothing in the place of a record. */
void walk_add_none(walk_batch *out) { memset(&out->items[out->count++], 0, sizeof *out->items); }

/* Adds what a cursor met; offsets count from the first. */
static void add(walk_batch *out, const val *key, const val *value) {
	if (out->count == 0)
		out->base = value->data;
	walk_add(out, key->data, key->size, value->data, value->size);
}

/*
 * Leaf pages are filled from their end, against the direction in which they are
 * read: the processor's prefetcher does not see it coming. So a page is touched
 * as a whole when it is entered, and the next one announced.
 */
static void enter(uintptr_t at, int backward) {
	const volatile unsigned char *p = (const volatile unsigned char *)at;
	const char *next = (const char *)(backward ? at - page : at + page);
	for (int i = 0; i < page; i += line) {
		(void)p[i];
		__builtin_prefetch(next + i);
	}
}

/*
 * Moves the cursor by first, and then by further, until there are max records
 * or they have max_bytes. MDB_NOTFOUND behind the first one only ends the
 * batch. backward is told by the operation.
 */
static int gather(void *cursor, int first, int further, uint32_t max, uint64_t max_bytes, walk_batch *out) {
	enum { mdb_prev = 12 };
	uintptr_t entered = 0;
	uint64_t bytes = 0;
	int op = first;
	out->count = 0;
	if (max > sizeof out->items / sizeof *out->items)
		max = sizeof out->items / sizeof *out->items;
	while (out->count < max && (out->count == 0 || bytes < max_bytes)) {
		val key = {0, 0}, value = {0, 0};
		uintptr_t in;
		int rc = mdb_cursor_get(cursor, &key, &value, op);
		if (rc == mdb_notfound && out->count > 0)
			return 0;
		if (rc != 0)
			return rc;
		op = further;
		in = (uintptr_t)value.data & ~(uintptr_t)(page - 1);
		if (in != entered) {
			entered = in;
			enter(in, further == mdb_prev);
		}
		add(out, &key, &value);
		bytes += value.size;
	}
	return 0;
}

int walk_fill(void *cursor, int first, int further, uint32_t max, uint64_t max_bytes, walk_batch *out) {
	int rc = gather(cursor, first, further, max, max_bytes, out);
	walk_check(out);
	return rc;
}

/* Moves the cursor by n records. */
int walk_skip(void *cursor, uint64_t n) {
	enum { mdb_next = 8 };
	val key = {0, 0}, value = {0, 0};
	int rc = 0;
	for (; n > 0 && rc == 0; n--)
		rc = mdb_cursor_get(cursor, &key, &value, mdb_next);
	return rc;
}

/*
 * Finds a record by its place in the table of ids: its id is at offset in a
 * block, under whose number, 8 bytes big endian, that is stored. Anything but a
 * block of that size, which the offset is inside of by 16 bytes, is not found.
 */
int walk_find(void *ids, uint64_t block, uint32_t offset, size_t block_bytes, void *records, walk_batch *out) {
	enum { mdb_set_key = 16 };
	unsigned char number[8];
	val key = {sizeof number, number}, value = {0, 0};
	int rc;
	out->count = 0;
	for (int i = 0; i < 8; i++)
		number[i] = (unsigned char)(block >> (56 - 8 * i));
	rc = mdb_cursor_get(ids, &key, &value, mdb_set_key);
	if (rc != 0)
		return rc;
	if (value.size != block_bytes || offset > block_bytes || block_bytes - offset < 16)
		return mdb_notfound;
	key.size = 16;
	key.data = (unsigned char *)value.data + offset;
	rc = mdb_cursor_get(records, &key, &value, mdb_set_key);
	if (rc == 0)
		add(out, &key, &value);
	walk_check(out);
	return rc;
}
