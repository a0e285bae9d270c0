#ifndef SEEK_H
#define SEEK_H

#include "page.h"

/* A look-up of a key. It is over when page is 0. */
typedef struct {
	uint64_t high, low; /* the key's bytes as numbers: the order of bytes is theirs */
	const unsigned char *page;
	uint64_t number;
	uint32_t depth;
	uint32_t entered;  /* the page was looked at */
	uint32_t leaf;     /* it is one */
	uint32_t nodes;    /* that it has */
	uint32_t last;     /* it is the last of its level */
	uint64_t parent;   /* the page that led to it, 0 for the root */
	uint32_t parent_last;
	uint32_t from, to; /* the first node that is greater than the key is one of these, or to */
	uint32_t at;       /* the node's */
	uint32_t chosen;   /* the node's child is next */
	const unsigned char *node;

	/* What was found in the page of that number, at that node: value is 0 until then. */
	const unsigned char *key, *value;
	uint32_t size;
} walk_seek;

void walk_seek_begin(const walk_tree *t, walk_seek *s, uint64_t high, uint64_t low);
void walk_seek_all(const walk_tree *t, walk_seek *all, uint32_t n); /* until all are over */

#endif
