#ifndef PAGE_H
#define PAGE_H

/*
 * Reads pages of LMDB as bytes that may be anything.
 *
 * What is read is inside of pages [2, pages) of the map, each of them page_size
 * bytes, at least 512:
 *
 *   a page's header    16 bytes
 *   its pointers       16 <= lower <= page_size, the pointers below lower
 *   a node             at + 8 + keysize <= page_size
 *   a value            of a leaf: at + 8 + keysize + size <= page_size, or in
 *                      pages of its own that are all below pages
 *
 * LMDB has page numbers, offsets and sizes in the processor's order; this is for
 * one that is little endian. On another every page has a wrong number.
 */
#include "walk.h"

enum {
	page_header = 16,
	branch_page = 1,
	leaf_page = 2,
	overflow_page = 4,
	node_header = 8,
	node_big = 1,
	line = 64
};

/* Returns where a page is, 0 if there is none of that number. */
static inline const unsigned char *page_at(const walk_tree *t, uint64_t number) {
	return number < 2 || number >= t->pages ? 0 : t->base + number * t->page_size;
}

/* Returns how many nodes a page has, 0 if it is not the kind of page of that number. */
static inline uint32_t page_nodes(const walk_tree *t, const unsigned char *page, uint64_t number, uint32_t kind) {
	uint32_t lower = le16(page + 12);
	if (le64(page) != number || le16(page + 10) != kind || lower < page_header || lower > t->page_size)
		return 0;
	return (lower - page_header) / 2;
}

/* Returns a node that the page has, with so many bytes of key, 0 if it is not all there. */
static inline const unsigned char *page_node(const walk_tree *t, const unsigned char *page, uint32_t i, uint32_t keysize) {
	uint32_t at = le16(page + page_header + 2 * i);
	return at < page_header || at + node_header + keysize > t->page_size ? 0 : page + at;
}

/* Returns the number of the page that a branch's node leads to. */
static inline uint64_t page_child(const unsigned char *node) { return le32(node) | (uint64_t)le16(node + 4) << 32; }

/* Returns a value that begins in a page of its own, 0 if it is not all there. */
static inline const unsigned char *page_elsewhere(const walk_tree *t, uint64_t number, uint32_t size) {
	const unsigned char *page = page_at(t, number);
	uint64_t pages;
	if (!page)
		return 0;
	pages = le32(page + 12);
	if (le64(page) != number || le16(page + 10) != overflow_page || pages > t->pages - number || page_header + (uint64_t)size > pages * t->page_size)
		return 0;
	return page + page_header;
}

/* Returns the value of a leaf's node, 0 if it is not all there. */
static inline const unsigned char *page_value(const walk_tree *t, const unsigned char *page, const unsigned char *node, uint32_t *size) {
	const unsigned char *data = node + node_header + t->keysize;
	uint32_t flags = le16(node + 4);
	uint64_t room = (uint64_t)(page + t->page_size - data);
	*size = le32(node);
	if (flags == 0)
		return *size <= room ? data : 0;
	return flags == node_big && room >= 8 ? page_elsewhere(t, le64(data), *size) : 0;
}

#endif
