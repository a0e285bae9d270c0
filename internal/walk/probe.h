#ifndef PROBE_H
#define PROBE_H

#include "page.h"

/* A tree, and which of its pages do not change any more, as so many words of bits. */
typedef struct {
	const walk_tree *tree;
	const uint64_t *kept;
	uint64_t words;
} walk_known;

/* A look-up of a position in the page where it may be. It is over when page is 0. */
typedef struct {
	uint64_t position;
	const unsigned char *page;
	uint64_t number;
	uint32_t step;
	uint32_t tries;
	uint32_t nodes;            /* of the page */
	const unsigned char *node; /* the first, or the position's */

	/* The node's value, and in the end what was found, or 0. */
	const unsigned char *key, *value;
	uint32_t size;
} walk_probe;

void walk_probe_begin(const walk_known *k, walk_probe *p, uint64_t position, uint64_t page);
void walk_probe_all(const walk_known *k, walk_probe *all, uint32_t n); /* until all are over */

#endif
