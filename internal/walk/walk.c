/*
 * Fills a batch of records from an LMDB cursor.
 *
 * What is read: the keys and values that mdb_cursor_get returns, within the
 * sizes it returns, and of the page in which a value begins one byte per cache
 * line. Memory is mapped by aligned pages of 4 KiB or multiples of that, so all
 * of it is there when one byte is. Prefetches may name any address. Nothing but
 * *out is written.
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

/* CRC-32C, where the processor has an instruction for it. */
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#include <nmmintrin.h>

int walk_can_check(void) { return __builtin_cpu_supports("sse4.2") != 0; }

__attribute__((target("sse4.2"))) static uint32_t crc(uint32_t c, const unsigned char *p, size_t n) {
	uint64_t wide = c;
	for (; n >= 8; p += 8, n -= 8) {
		uint64_t v;
		memcpy(&v, p, 8);
		wide = _mm_crc32_u64(wide, v);
	}
	c = (uint32_t)wide;
	for (; n > 0; p++, n--)
		c = _mm_crc32_u8(c, *p);
	return c;
}
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>

int walk_can_check(void) { return 1; }

static uint32_t crc(uint32_t c, const unsigned char *p, size_t n) {
	for (; n >= 8; p += 8, n -= 8) {
		uint64_t v;
		memcpy(&v, p, 8);
		c = __crc32cd(c, v);
	}
	for (; n > 0; p++, n--)
		c = __crc32cb(c, *p);
	return c;
}
#else
int walk_can_check(void) { return 0; }

static uint32_t crc(uint32_t c, const unsigned char *p, size_t n) {
	(void)p;
	(void)n;
	return c;
}
#endif

/* A record's root table, with what of it is known to be inside the record. */
typedef struct {
	const unsigned char *record;
	int64_t size;
	int64_t root;
	int64_t vtable;
	int64_t entries; /* bytes of the vtable */
} table;

/*
 * Finds a field by the rules of FlatBuffers, -1 if it is absent or not where it
 * could be. Reads are below size: the entry's two bytes, and nothing else. The
 * sums are of values of 32 bits in 64: none overflows.
 */
static int64_t field(const table *t, int64_t entry, int64_t size) {
	int64_t at;
	if (entry + 2 > t->entries || t->vtable + entry + 2 > t->size)
		return -1;
	at = le16(t->record + t->vtable + entry);
	if (at < 4 || t->root + at + size > t->size)
		return -1;
	return t->root + at;
}

/*
 * Reports whether a record states its length and has its checksum, and finds its
 * table: what event.CheckRecord checks, with the same bounds. All reads are below
 * size:
 *
 *   size >= 16                       the prefix and the root's offset
 *   8 <= root, root + 4 <= size      the offset of the vtable
 *   4 <= vtable, vtable + 4 <= size  its length
 *   at + 4 <= size                   the checksum
 */
static int intact(const unsigned char *record, size_t size, table *t) {
	enum { entry_checksum = 26 };
	int64_t at;
	uint32_t c;
	if (!walk_can_check() || size < 16 || size > UINT32_MAX || size % 8 != 0 || le32(record) != size - 4)
		return 0;
	t->record = record;
	t->size = (int64_t)size;
	t->root = 4 + (int64_t)le32(record + 4);
	if (t->root < 8 || t->root + 4 > t->size)
		return 0;
	t->vtable = t->root - (int64_t)(int32_t)le32(record + t->root);
	if (t->vtable < 4 || t->vtable + 4 > t->size)
		return 0;
	t->entries = le16(record + t->vtable);
	at = field(t, entry_checksum, 4);
	if (at < 0)
		return 0;
	c = crc(0xffffffff, record, (size_t)at);
	c = ~crc(c, record + at + 4, (size_t)(t->size - at - 4));
	return c == le32(record + at);
}

/* Adds a record to the batch. The key has as many bytes as it says. */
void walk_add(walk_batch *out, const unsigned char *key, size_t keysize, const unsigned char *value, size_t size) {
	enum { entry_id = 4, entry_position = 6 };
	walk_item *item = &out->items[out->count++];
	table t;
	item->key = (int64_t)((uintptr_t)key - (uintptr_t)out->base);
	item->value = (int64_t)((uintptr_t)value - (uintptr_t)out->base);
	item->keysize = (uint32_t)keysize;
	item->size = (uint32_t)size;
	item->intact = (uint32_t)intact(value, size, &t);
	item->placed = 0;
	if (item->intact && keysize == 16) {
		int64_t id = field(&t, entry_id, 16), position = field(&t, entry_position, 8);
		if (id >= 0 && position >= 0 && le64(t.record + id) == be64(key) && le64(t.record + id + 8) == be64(key + 8)) {
			item->position = le64(t.record + position);
			item->placed = 1;
		}
	}
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
int walk_fill(void *cursor, int first, int further, uint32_t max, uint64_t max_bytes, walk_batch *out) {
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
	return rc;
}
