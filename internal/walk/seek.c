/*
 * Looks many keys up in an LMDB tree at once.
 *
 * A look-up is a chain of reads, each of which needs the one before: of pages
 * that are in memory somewhere, and in no cache. So it waits, four times longer
 * than it computes. Here the look-ups of a group take turns: each reads what it
 * had announced to the processor when it had its last turn.
 *
 * It trusts nothing that it reads. Who looks a record up by it checks the
 * record's checksum, id and position, which no other record has, and asks LMDB
 * where they are not found: a damaged tree, or a format that this is not, costs
 * time.
 *
 * What is read is inside of pages [2, pages) of the map, each of them page_size
 * bytes, of the state of a transaction that is open:
 *
 *   a page's header    16 bytes, a page has at least 512
 *   its pointers       those of enter: 16 <= lower <= page_size, pointers below
 *                      lower
 *   a node             that of aim: at + 8 <= page_size, and to compare it
 *                      at + 8 + keysize <= page_size
 *   a value            of leaf: at + 8 + keysize + size <= page_size, or in pages
 *                      of its own that are all below pages
 *
 * LMDB has page numbers, offsets and sizes in the processor's order; the walk is
 * for one that is little endian. On another every page has a wrong number.
 */
#include "walk.h"

enum {
	header = 16,
	branch_page = 1,
	leaf_page = 2,
	overflow_page = 4,
	node_header = 8,
	node_big = 1,
	deepest = 32,
	line = 64,
	group = 32
};

/* One look-up. It is over when page is 0. */
typedef struct {
	uint64_t high, low; /* the key's bytes as numbers: the order of bytes is theirs */
	const unsigned char *page;
	uint64_t number;
	uint32_t depth;
	uint32_t entered;  /* the page was looked at */
	uint32_t leaf;     /* it is one */
	uint32_t from, to; /* the first node that is greater than the key is one of these, or to */
	uint32_t middle;
	const unsigned char *node; /* the middle's, or the child's that was chosen */
	uint32_t chosen;

	const unsigned char *key, *value; /* what was found; value is 0 until then */
	uint32_t size;
} seek;

static void end(seek *s) { s->page = 0; }

/* Goes to a page, of which the header is announced. */
static void go(const walk_tree *t, seek *s, uint64_t number) {
	if (number < 2 || number >= t->pages || s->depth >= deepest) {
		end(s);
		return;
	}
	s->page = t->base + number * t->page_size;
	s->number = number;
	s->depth++;
	s->entered = s->chosen = 0;
	__builtin_prefetch(s->page);
}

/* Aims at a node of the page, with so many bytes of key, and announces it. */
static void aim(const walk_tree *t, seek *s, uint32_t i, uint32_t keysize) {
	uint32_t at = le16(s->page + header + 2 * i);
	if (at < header || at + node_header + keysize > t->page_size) {
		end(s);
		return;
	}
	s->node = s->page + at;
	__builtin_prefetch(s->node);
	__builtin_prefetch(s->node + node_header + keysize - 1);
}

/* Halves what is left, or chooses the child: the first of a branch has no key. */
static void halve(const walk_tree *t, seek *s) {
	if (s->from < s->to) {
		s->middle = (s->from + s->to) / 2;
		aim(t, s, s->middle, t->keysize);
		return;
	}
	if (s->leaf) {
		end(s);
		return;
	}
	s->chosen = 1;
	aim(t, s, s->from - 1, 0);
}

static void enter(const walk_tree *t, seek *s) {
	uint32_t flags = le16(s->page + 10), lower = le16(s->page + 12);
	if (le64(s->page) != s->number || (flags != branch_page && flags != leaf_page) || lower < header + 2 || lower > t->page_size) {
		end(s);
		return;
	}
	s->entered = 1;
	s->leaf = flags == leaf_page;
	s->from = !s->leaf;
	s->to = (lower - header) / 2;
	halve(t, s);
}

/* Returns a value that begins in a page of its own, if it is all there. */
static const unsigned char *elsewhere(const walk_tree *t, uint64_t number, uint32_t size) {
	const unsigned char *page;
	uint64_t pages;
	if (number < 2 || number >= t->pages)
		return 0;
	page = t->base + number * t->page_size;
	pages = le32(page + 12);
	if (le64(page) != number || le16(page + 10) != overflow_page || pages > t->pages - number || header + (uint64_t)size > pages * t->page_size)
		return 0;
	return page + header;
}

/* Ends with the value of a leaf's node, if it is all there. */
static void take(const walk_tree *t, seek *s) {
	const unsigned char *data = s->node + node_header + t->keysize;
	uint32_t flags = le16(s->node + 4), size = le32(s->node);
	uint64_t room = (uint64_t)(s->page + t->page_size - data);
	if (flags == 0 && size <= room) {
		s->value = data;
	} else if (flags == node_big && room >= 8) {
		s->value = elsewhere(t, le64(data), size);
	}
	s->key = s->node + node_header;
	s->size = size;
	end(s);
}

/* Takes one turn: looks at what the turn before announced. */
static void turn(const walk_tree *t, seek *s) {
	const unsigned char *key = s->node + node_header;
	uint64_t high, low;
	if (!s->entered) {
		enter(t, s);
		return;
	}
	if (s->chosen) {
		go(t, s, le32(s->node) | (uint64_t)le16(s->node + 4) << 32);
		return;
	}
	high = be64(key);
	low = t->keysize == 16 ? be64(key + 8) : 0;
	if (high == s->high && low == s->low) {
		if (s->leaf)
			take(t, s);
		else
			s->chosen = 1; /* the node was announced before */
		return;
	}
	if (high < s->high || (high == s->high && low < s->low))
		s->from = s->middle + 1;
	else
		s->to = s->middle;
	halve(t, s);
}

static void begin(const walk_tree *t, seek *s, uint64_t high, uint64_t low) {
	s->high = high;
	s->low = low;
	s->depth = 0;
	s->value = 0;
	s->page = 0;
	go(t, s, t->root);
}

/* Has all take turns until they have ended. */
static void run(const walk_tree *t, seek *all, uint32_t n) {
	for (int more = 1; more;) {
		more = 0;
		for (uint32_t i = 0; i < n; i++) {
			if (all[i].page) {
				turn(t, &all[i]);
				more = 1;
			}
		}
	}
}

/*
 * Finds records by their positions. The id of position p is at 16 * ((p-1) %
 * per_block) in the value that ids has under (p-1) / per_block; a value of
 * another size than 16 * per_block is none. The i-th item of the batch is the
 * i-th position's, and not placed when it was not found, or when those before it
 * have max_bytes. It returns how many bytes they have now.
 */
static uint64_t find(const walk_tree *ids, const walk_tree *records, const uint64_t *positions, uint32_t n, uint32_t per_block, uint64_t bytes, uint64_t max_bytes, walk_batch *out) {
	seek all[group];
	for (uint32_t i = 0; i < n; i++)
		begin(ids, &all[i], (positions[i] - 1) / per_block, 0);
	run(ids, all, n);
	for (uint32_t i = 0; i < n; i++) {
		if (all[i].value && all[i].size != 16 * per_block)
			all[i].value = 0;
		if (all[i].value) {
			all[i].key = all[i].value + 16 * ((positions[i] - 1) % per_block);
			__builtin_prefetch(all[i].key);
		}
	}
	for (uint32_t i = 0; i < n; i++) {
		if (all[i].value)
			begin(records, &all[i], be64(all[i].key), be64(all[i].key + 8));
	}
	run(records, all, n);
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

void walk_find_all(const walk_tree *ids, const walk_tree *records, const uint64_t *positions, uint32_t n, uint32_t per_block, uint64_t max_bytes, walk_batch *out) {
	uint64_t bytes = 0;
	out->count = 0;
	out->base = records->base;
	for (uint32_t done = 0, some; done < n; done += some) {
		some = n - done < group ? n - done : group;
		if (bytes < max_bytes)
			bytes = find(ids, records, positions + done, some, per_block, bytes, max_bytes, out);
		while (out->count < done + some)
			walk_add_none(out);
	}
	walk_check(out);
}
