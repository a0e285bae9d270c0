#include "walk.h"

const unsigned char *walk_get(const unsigned char *base, uint64_t pages, uint64_t root, uint32_t page_size, const unsigned char *key, uint32_t keysize, uint32_t *size);
