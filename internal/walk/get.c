/*
 * Looks one key up in an LMDB tree.
 *
 * LMDB compares a key with the nodes of a page one after the other, each of which
 * the processor fetches when it is looked at: in a tree that is larger than its
 * caches, that is what a look-up waits for. Here the nodes that the search may
 * come to first are fetched together.
 *
 * It trusts nothing that it reads, and is no way to say that something is missing:
 * who does not find a key asks LMDB. What is read is said in page.h, with as many
 * bytes of key as each node says it has, within its page.
 */
#include "get.h"
#include "page.h"

#include <string.h>

enum { deepest = 32, fetched = 8 };

/* Compares as LMDB does: by bytes, and a prefix before what it is a prefix of. */
static int compare(const unsigned char *a, uint32_t a_size, const unsigned char *b, uint32_t b_size) {
	uint32_t size = a_size < b_size ? a_size : b_size, i = 0;
	for (; i + 8 <= size; i += 8) {
		uint64_t x = be64(a + i), y = be64(b + i);
		if (x != y)
			return x < y ? -1 : 1;
	}
	for (; i < size; i++) {
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	}
	return a_size < b_size ? -1 : a_size > b_size;
}

/* Announces nodes that halves, quarters and eighths of a page begin with. */
static void announce(const unsigned char *page, uint32_t nodes) {
	uint32_t step = nodes / fetched + 1;
	for (uint32_t i = step / 2; i < nodes; i += step)
		__builtin_prefetch(page + le16(page + page_header + 2 * i));
}

/*
 * Finds the first node from `from` on that is greater than the key, in `to` or
 * before it. It returns 0 when there is a node that is not in its page, and sets
 * *equal to the one that has the key.
 */
static int search(const walk_tree *t, const unsigned char *page, uint32_t from, uint32_t *to, const unsigned char *key, const unsigned char **equal) {
	*equal = 0;
	while (from < *to) {
		uint32_t middle = (from + *to) / 2, size;
		const unsigned char *node = page_node(t, page, middle, 0);
		int order;
		if (!node)
			return 0;
		size = le16(node + 6);
		if ((uint64_t)(page + t->page_size - node) < node_header + size)
			return 0;
		order = compare(key, t->keysize, node + node_header, size);
		if (order == 0)
			*equal = node;
		if (order < 0)
			*to = middle;
		else
			from = middle + 1;
	}
	return 1;
}

const unsigned char *walk_get(const unsigned char *base, uint64_t pages, uint64_t root, uint32_t page_size, const unsigned char *key, uint32_t keysize, uint32_t *size) {
	const walk_tree t = {base, pages, root, page_size, keysize};
	uint64_t number = root;
	for (int depth = 0; depth < deepest; depth++) {
		const unsigned char *page = page_at(&t, number), *node;
		uint32_t nodes;
		if (!page)
			return 0;
		__builtin_prefetch(page + line);
		__builtin_prefetch(page + 2 * line);
		nodes = page_nodes(&t, page, number, leaf_page);
		if (nodes > 0) {
			announce(page, nodes);
			return search(&t, page, 0, &nodes, key, &node) && node ? page_value(&t, page, node, size) : 0;
		}
		nodes = page_nodes(&t, page, number, branch_page);
		/* The first node of a branch has no key: it is less than all. */
		if (nodes == 0 || !search(&t, page, 1, &nodes, key, &node))
			return 0;
		node = page_node(&t, page, nodes - 1, 0);
		if (!node)
			return 0;
		number = page_child(node);
	}
	return 0;
}
