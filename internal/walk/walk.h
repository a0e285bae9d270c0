#ifndef WALK_H
#define WALK_H

#include <stddef.h>
#include <stdint.h>

/* One record that the cursor met. Offsets are from the batch's base. */
typedef struct {
	int64_t key;
	int64_t value;
	uint64_t position; /* that the record states, when it is placed */
	uint32_t keysize;
	uint32_t size;     /* of the value, at most 4 GiB: LMDB's own bound */
	uint32_t placed;   /* 1: a whole record, and the key is the id that it states */
	uint32_t pad;
} walk_item;

typedef struct {
	const unsigned char *base; /* that offsets count from */
	uint32_t count;
	uint32_t pad;
	walk_item items[256];
} walk_batch;

/* The leaf on which a record was found, and the page that led to it. Leaf 0 is none. */
typedef struct {
	uint64_t leaf;
	uint64_t parent; /* 0 is none */
	uint64_t first;  /* position of the leaf's first record */
	uint32_t last;   /* the parent is the last of its level */
	uint32_t pad;
} walk_place;

/* A tree of LMDB in the state of a transaction. */
typedef struct {
	const unsigned char *base; /* the map */
	uint64_t pages;            /* that it has at least */
	uint64_t root;             /* page */
	uint32_t page_size;        /* at least 512 */
	uint32_t keysize;          /* 8 or 16: of all keys */
} walk_tree;

static inline uint16_t le16(const unsigned char *p) { return (uint16_t)(p[0] | p[1] << 8); }

static inline uint32_t le32(const unsigned char *p) {
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t le64(const unsigned char *p) { return le32(p) | (uint64_t)le32(p + 4) << 32; }

static inline uint64_t be64(const unsigned char *p) {
	return (uint64_t)p[0] << 56 | (uint64_t)p[1] << 48 | (uint64_t)p[2] << 40 | (uint64_t)p[3] << 32 |
	       (uint64_t)p[4] << 24 | (uint64_t)p[5] << 16 | (uint64_t)p[6] << 8 | (uint64_t)p[7];
}

void walk_add(walk_batch *out, const unsigned char *key, size_t keysize, const unsigned char *value, size_t size);
void walk_add_none(walk_batch *out);
void walk_check(walk_batch *batch); /* all of it */

/* Reads the position that a record states, which may be no record. */
int walk_position(const unsigned char *record, uint32_t size, uint64_t *position);

/* Reports whether a record, which may be none, states a position and the id that its key of 16 bytes is. */
int walk_states(const unsigned char *record, uint32_t size, const unsigned char *key, uint64_t position);

int walk_can_check(void);
int walk_fill(void *cursor, int first, int further, uint32_t max, uint64_t max_bytes, walk_batch *out);
int walk_skip(void *cursor, uint64_t n);
int walk_find(void *ids, uint64_t block, uint32_t offset, size_t block_bytes, void *records, walk_batch *out);
/* kept are the pages of records that do not change any more, as so many words of bits. */
void walk_find_all(const walk_tree *ids, const walk_tree *records, const uint64_t *kept, uint64_t words, const uint64_t *positions, walk_place *places, uint32_t n, uint32_t per_block, uint64_t max_bytes, walk_batch *out);

/* Lists the children of a branch, and returns how many: at most max. */
uint32_t walk_children(const walk_tree *t, uint64_t page, uint64_t *children, uint32_t max);

#endif
