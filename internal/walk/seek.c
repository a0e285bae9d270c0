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
 * time. What is read is said in page.h.
 */
#include "seek.h"

enum { deepest = 32 };

static void end(walk_seek *s) { s->page = 0; }

/* Goes to a page, of which the header is announced. */
static void go(const walk_tree *t, walk_seek *s, uint64_t number) {
	s->page = s->depth >= deepest ? 0 : page_at(t, number);
	s->number = number;
	s->depth++;
	s->entered = s->chosen = 0;
	__builtin_prefetch(s->page);
}

/* Aims at a node of the page, with so many bytes of key, and announces it. */
static void aim(const walk_tree *t, walk_seek *s, uint32_t i, uint32_t keysize) {
	s->node = page_node(t, s->page, i, keysize);
	if (!s->node) {
		end(s);
		return;
	}
	s->at = i;
	__builtin_prefetch(s->node);
	__builtin_prefetch(s->node + node_header + keysize - 1);
}

/* Chooses the child of the branch that the node at i leads to. */
static void choose(const walk_tree *t, walk_seek *s, uint32_t i) {
	s->chosen = 1;
	s->parent = s->number;
	s->parent_last = s->last;
	s->last = s->last && i + 1 == s->nodes;
	aim(t, s, i, 0);
}

/* Halves what is left, or chooses the child: the first of a branch has no key. */
static void halve(const walk_tree *t, walk_seek *s) {
	if (s->from < s->to)
		aim(t, s, (s->from + s->to) / 2, t->keysize);
	else if (s->leaf)
		end(s);
	else
		choose(t, s, s->from - 1);
}

static void enter(const walk_tree *t, walk_seek *s) {
	s->nodes = page_nodes(t, s->page, s->number, leaf_page);
	s->leaf = s->nodes > 0;
	if (!s->leaf)
		s->nodes = page_nodes(t, s->page, s->number, branch_page);
	if (s->nodes == 0) {
		end(s);
		return;
	}
	s->entered = 1;
	s->from = !s->leaf;
	s->to = s->nodes;
	halve(t, s);
}

/* Takes one turn: looks at what the turn before announced. */
static void turn(const walk_tree *t, walk_seek *s) {
	const unsigned char *key = s->node + node_header;
	uint64_t high, low;
	if (!s->entered) {
		enter(t, s);
		return;
	}
	if (s->chosen) {
		go(t, s, page_child(s->node));
		return;
	}
	high = be64(key);
	low = t->keysize == 16 ? be64(key + 8) : 0;
	if (high == s->high && low == s->low && s->leaf) {
		s->key = key;
		s->value = page_value(t, s->page, s->node, &s->size);
		end(s);
		return;
	}
	if (high < s->high || (high == s->high && low <= s->low))
		s->from = s->at + 1;
	else
		s->to = s->at;
	halve(t, s);
}

void walk_seek_begin(const walk_tree *t, walk_seek *s, uint64_t high, uint64_t low) {
	s->high = high;
	s->low = low;
	s->depth = 0;
	s->last = 1;
	s->parent = 0;
	s->value = 0;
	go(t, s, t->root);
}

void walk_seek_all(const walk_tree *t, walk_seek *all, uint32_t n) {
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
