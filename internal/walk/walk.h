#include <stddef.h>
#include <stdint.h>

/* One record that the cursor met. Offsets are from the batch's base. */
typedef struct {
	int64_t key;
	int64_t value;
	uint64_t position; /* that the record states, when it is placed */
	uint32_t keysize;
	uint32_t size;     /* of the value, at most 4 GiB: LMDB's own bound */
	uint32_t intact;   /* 1: length and checksum are those of a record */
	uint32_t placed;   /* 1: intact, and the key is the id that it states */
} walk_item;

typedef struct {
	const unsigned char *base; /* the first value */
	uint32_t count;
	uint32_t pad;
	walk_item items[256];
} walk_batch;

int walk_can_check(void);
int walk_fill(void *cursor, int first, int further, uint32_t max, uint64_t max_bytes, walk_batch *out);
int walk_find(void *ids, uint64_t block, uint32_t offset, size_t block_bytes, void *records, walk_batch *out);
