/*
 * Says of the records of a batch which are whole, and in their place.
 *
 * What is read: each value within its size, and each key within its own. Nothing
 * but the batch's items is written.
 */
#include "walk.h"

#include <string.h>

/* CRC-32C, where the processor has an instruction for it. */
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#include <nmmintrin.h>

#define CRC __attribute__((target("sse4.2")))
#define crc8(c, v) _mm_crc32_u8((uint32_t)(c), v)
#define crc64(c, v) _mm_crc32_u64(c, v)

int walk_can_check(void) { return __builtin_cpu_supports("sse4.2") != 0; }
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>

#define CRC
#define crc8(c, v) __crc32cb((uint32_t)(c), v)
#define crc64(c, v) __crc32cd((uint32_t)(c), v)

int walk_can_check(void) { return 1; }
#else
#define CRC
#define crc8(c, v) ((void)(v), (c))
#define crc64(c, v) ((void)(v), (c))

int walk_can_check(void) { return 0; }
#endif

static inline uint64_t word(const unsigned char *p) {
	uint64_t v;
	memcpy(&v, p, sizeof v);
	return v;
}

CRC static uint32_t crc(uint32_t c, const unsigned char *p, size_t n) {
	uint64_t wide = c;
	for (; n >= 8; p += 8, n -= 8)
		wide = crc64(wide, word(p));
	for (; n > 0; p++, n--)
		wide = crc8(wide, *p);
	return (uint32_t)wide;
}

/* The vtable's entries of fields of es.Event. */
enum { entry_id = 4, entry_position = 6, entry_checksum = 26 };

/* A record, with what of it is known to be inside of it. */
typedef struct {
	const unsigned char *record;
	int64_t size;
	int64_t root; /* the root table */
	int64_t vtable;
	int64_t entries; /* bytes of the vtable */
	int64_t sum;     /* the checksum, which is that of what is before and behind it */
	uint32_t crc;    /* of what is before it, and then of all */
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
 * Reports whether a record states its length, and finds its table: what
 * event.CheckRecord checks, with the same bounds. All reads are below size:
 *
 *   size >= 16                       the prefix and the root's offset
 *   8 <= root, root + 4 <= size      the offset of the vtable
 *   4 <= vtable, vtable + 4 <= size  its length
 */
static int outlined(const unsigned char *record, uint32_t size, table *t) {
	if (size < 16 || size % 8 != 0 || le32(record) != size - 4)
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
	return 1;
}

int walk_position(const unsigned char *record, uint32_t size, uint64_t *position) {
	table t;
	int64_t at = outlined(record, size, &t) ? field(&t, entry_position, 8) : -1;
	if (at >= 0)
		*position = le64(record + at);
	return at >= 0;
}

/* Reports whether a record states a position, and an id, which is the key's. */
static int stated(const table *t, const unsigned char *key, uint64_t *position) {
	int64_t id = field(t, entry_id, 16), at = field(t, entry_position, 8);
	if (id < 0 || at < 0 || le64(t->record + id) != be64(key) || le64(t->record + id + 8) != be64(key + 8))
		return 0;
	*position = le64(t->record + at);
	return 1;
}

int walk_states(const unsigned char *record, uint32_t size, const unsigned char *key, uint64_t position) {
	table t;
	uint64_t is;
	return outlined(record, size, &t) && stated(&t, key, &is) && is == position;
}

/* Begins with the checksum of a record, if it has one, with what is before it. */
static int begun(const unsigned char *record, uint32_t size, table *t) {
	if (!outlined(record, size, t))
		return 0;
	t->sum = field(t, entry_checksum, 4);
	if (t->sum < 0)
		return 0;
	t->crc = crc(0xffffffff, record, (size_t)t->sum);
	return 1;
}

/*
 * Goes on with the checksums of three records behind the place of theirs. The
 * instruction takes three cycles and one can begin in each, so that three cost
 * what one does.
 */
CRC static void three(table *t) {
	const unsigned char *p[3];
	size_t n[3], both;
	uint64_t a = t[0].crc, b = t[1].crc, c = t[2].crc;
	for (int i = 0; i < 3; i++) {
		p[i] = t[i].record + t[i].sum + 4;
		n[i] = (size_t)(t[i].size - t[i].sum - 4);
	}
	both = n[0] < n[1] ? n[0] : n[1];
	both = (n[2] < both ? n[2] : both) & ~(size_t)7;
	for (size_t i = 0; i < both; i += 8) {
		a = crc64(a, word(p[0] + i));
		b = crc64(b, word(p[1] + i));
		c = crc64(c, word(p[2] + i));
	}
	t[0].crc = crc((uint32_t)a, p[0] + both, n[0] - both);
	t[1].crc = crc((uint32_t)b, p[1] + both, n[1] - both);
	t[2].crc = crc((uint32_t)c, p[2] + both, n[2] - both);
}

/* Places a record whose checksum is right under the id and at the position that it states. */
static void place(const table *t, const unsigned char *key, walk_item *item) {
	if (~t->crc == le32(t->record + t->sum) && item->keysize == 16)
		item->placed = (uint32_t)stated(t, key, &item->position);
}

void walk_check(walk_batch *batch) {
	table tables[3];
	walk_item *of[3];
	int n = 0;
	if (!walk_can_check())
		return;
	for (uint32_t i = 0; i < batch->count; i++) {
		of[n] = &batch->items[i];
		if (begun(batch->base + of[n]->value, of[n]->size, &tables[n]))
			n++;
		if (n < 3 && i + 1 < batch->count)
			continue;
		for (int k = n; k < 3; k++)
			tables[k] = tables[0];
		if (n > 0)
			three(tables);
		for (int k = 0; k < n; k++)
			place(&tables[k], batch->base + of[k]->key, of[k]);
		n = 0;
	}
}
