/*
 * Finds many records by their positions: where they may be, or else by the table
 * of ids and the tree of records.
 */
#include "probe.h"
#include "seek.h"

enum { group = 32 };

/* What was found of a position, value 0 if nothing was. */
typedef struct {
	const unsigned char *key, *value;
	uint32_t size;
} found;

/* Looks where the places say that records may be. */
static void probe(const walk_known *records, const uint64_t *positions, const walk_place *places, uint32_t n, found *out) {
	walk_probe all[group];
	for (uint32_t i = 0; i < n; i++)
		walk_probe_begin(records, &all[i], positions[i], places[i].leaf);
	walk_probe_all(records, all, n);
	for (uint32_t i = 0; i < n; i++)
		out[i] = (found){all[i].key, all[i].value, all[i].size};
}

/*
 * Looks for what has not been found, unless there are no ids. The id of position p is at 16 * ((p-1) %
 * per_block) in the value that ids has under (p-1) / per_block; a value of
 * another size than 16 * per_block is none. A place is then that of the record,
 * or none where it may change: on the last page.
 */
static void seek(const walk_tree *ids, const walk_tree *records, const uint64_t *positions, walk_place *places, uint32_t n, uint32_t per_block, found *out) {
	walk_seek all[group];
	uint32_t of[group], left = 0;
	for (uint32_t i = 0; i < n; i++) {
		places[i].leaf = 0;
		if (out[i].value || !ids->base)
			continue;
		walk_seek_begin(ids, &all[left], (positions[i] - 1) / per_block, 0);
		of[left++] = i;
	}
	walk_seek_all(ids, all, left);
	for (uint32_t k = 0; k < left; k++) {
		if (all[k].value && all[k].size != 16 * per_block)
			all[k].value = 0;
		if (all[k].value) {
			all[k].key = all[k].value + 16 * ((positions[of[k]] - 1) % per_block);
			__builtin_prefetch(all[k].key);
		}
	}
	for (uint32_t k = 0; k < left; k++) {
		if (all[k].value)
			walk_seek_begin(records, &all[k], be64(all[k].key), be64(all[k].key + 8));
	}
	walk_seek_all(records, all, left);
	for (uint32_t k = 0; k < left; k++) {
		out[of[k]] = (found){all[k].key, all[k].value, all[k].size};
		if (all[k].value && !all[k].last)
			places[of[k]] = (walk_place){all[k].number, all[k].parent, positions[of[k]] - all[k].at, all[k].parent_last, 0};
	}
}

/*
 * Adds the records of a group to the batch, and nothing in the place of what was
 * not found, or when those before it have max_bytes. It returns how many bytes
 * they have now.
 */
static uint64_t add(const walk_tree *records, const found *all, uint32_t n, uint64_t bytes, uint64_t max_bytes, walk_batch *out) {
	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t b = 0; all[i].value && b < all[i].size && b < 16 * line; b += line)
			__builtin_prefetch(all[i].value + b);
	}
	for (uint32_t i = 0; i < n; i++) {
		if (all[i].value && bytes < max_bytes) {
			walk_add(out, all[i].key, records->keysize, all[i].value, all[i].size);
			bytes += all[i].size;
		} else {
			walk_add_none(out);
		}
	}
	return bytes;
}

void walk_find_all(const walk_tree *ids, const walk_tree *records, const uint64_t *kept, uint64_t words, const uint64_t *positions, walk_place *places, uint32_t n, uint32_t per_block, uint64_t max_bytes, walk_batch *out) {
	walk_known known = {records, kept, words};
	uint64_t bytes = 0;
	out->count = 0;
	out->base = records->base;
	for (uint32_t done = 0, some; done < n; done += some) {
		found all[group];
		some = n - done < group ? n - done : group;
		if (bytes < max_bytes) {
			probe(&known, positions + done, places + done, some, all);
			seek(ids, records, positions + done, places + done, some, per_block, all);
			bytes = add(records, all, some, bytes, max_bytes, out);
			continue;
		}
		for (uint32_t i = done; i < done + some; i++) {
			walk_add_none(out);
			places[i].leaf = 0;
		}
	}
	walk_check(out);
}

uint32_t walk_children(const walk_tree *t, uint64_t number, uint64_t *children, uint32_t max) {
	const unsigned char *page = page_at(t, number);
	uint32_t n = page ? page_nodes(t, page, number, branch_page) : 0;
	if (n > max)
		n = max;
	for (uint32_t i = 0; i < n; i++) {
		const unsigned char *node = page_node(t, page, i, 0);
		children[i] = node ? page_child(node) : 0;
	}
	return n;
}
