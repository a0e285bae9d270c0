/*
 * Finds records of the log by the pages that they may be on.
 *
 * The records of a log are on its leaf pages in the order of their positions, and
 * a page that is not the last of them never changes again: nothing is removed
 * from a log, and all that is added is added behind its end. So whoever has met a
 * page in the tree once may go to it for ever without the trees, and knows about
 * where the neighbours of its records are. A page that was not met may be one that
 * LMDB has given up, and writes to: it is not looked at, whatever is on it.
 *
 * As with seek.c, what is read is said in page.h, none of it is trusted, and
 * look-ups take turns.
 */
#include "probe.h"

enum { to_page, to_first, to_position, to_node, to_record, most_tries = 5, most_steps = 8 };

static void end(walk_probe *p) {
	p->page = 0;
	p->value = 0;
}

static int is_kept(const walk_known *k, uint64_t number) {
	uint64_t word = number / 64;
	return word < k->words && (__atomic_load_n(&k->kept[word], __ATOMIC_RELAXED) >> number % 64 & 1);
}

/* Goes to a page, or the next one in a direction that may be gone to. Its header is announced. */
static void go(const walk_known *k, walk_probe *p, uint64_t number, int direction) {
	for (int i = 0; i < most_steps && !is_kept(k, number); i++)
		number += (uint64_t)direction;
	p->page = p->tries++ < most_tries && is_kept(k, number) ? page_at(k->tree, number) : 0;
	p->number = number;
	p->step = to_page;
	p->value = 0;
	__builtin_prefetch(p->page);
}

/* Aims at a node of the page, and announces it. */
static void aim(const walk_tree *t, walk_probe *p, uint32_t i, uint32_t step) {
	p->node = page_node(t, p->page, i, t->keysize);
	if (!p->node) {
		end(p);
		return;
	}
	p->step = step;
	__builtin_prefetch(p->node);
	__builtin_prefetch(p->node + line);
}

/* Takes the node's value, and announces it, with what says its position. */
static void take(const walk_tree *t, walk_probe *p, uint32_t step) {
	p->value = page_value(t, p->page, p->node, &p->size);
	if (!p->value) {
		end(p);
		return;
	}
	p->step = step;
	for (int i = 0; i < 4; i++)
		__builtin_prefetch(p->value + i * line);
}

/* Ends with the node's value, if it is what was sought. */
static void check(walk_probe *p) {
	p->key = p->node + node_header;
	p->page = 0;
	if (!walk_states(p->value, p->size, p->key, p->position))
		p->value = 0;
}

/* Compares with the position of the page's first record: the others follow it. */
static void compare(const walk_known *k, walk_probe *p) {
	uint64_t first;
	if (!walk_position(p->value, p->size, &first))
		end(p);
	else if (p->position < first)
		go(k, p, p->number - (first - p->position + p->nodes - 1) / p->nodes, -1);
	else if (p->position - first >= p->nodes)
		go(k, p, p->number + (p->position - first) / p->nodes, 1);
	else
		aim(k->tree, p, (uint32_t)(p->position - first), to_node);
}

/* Takes one turn: looks at what the turn before announced. */
static void turn(const walk_known *k, walk_probe *p) {
	const walk_tree *t = k->tree;
	switch (p->step) {
	case to_page:
		p->nodes = page_nodes(t, p->page, p->number, leaf_page);
		if (p->nodes == 0)
			end(p);
		else
			aim(t, p, 0, to_first);
		return;
	case to_first:
		take(t, p, to_position);
		return;
	case to_position:
		compare(k, p);
		return;
	case to_node:
		take(t, p, to_record);
		return;
	default:
		check(p);
	}
}

void walk_probe_begin(const walk_known *k, walk_probe *p, uint64_t position, uint64_t page) {
	p->position = position;
	p->tries = 0;
	go(k, p, page, -1);
}

void walk_probe_all(const walk_known *k, walk_probe *all, uint32_t n) {
	for (int more = 1; more;) {
		more = 0;
		for (uint32_t i = 0; i < n; i++) {
			if (all[i].page) {
				turn(k, &all[i]);
				more = 1;
			}
		}
	}
}
