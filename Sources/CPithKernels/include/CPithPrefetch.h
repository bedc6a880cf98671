// A hint to the caches, which Swift has no word for.
#ifndef CPITH_PREFETCH_H
#define CPITH_PREFETCH_H

#include <stdint.h>

/// Asks for the cache lines of `count` bytes before they are read. Any address may be given.
static inline void pith_prefetch(const void *start, int64_t count) {
    for (int64_t i = 0; i < count; i += 64) __builtin_prefetch((const char *)start + i);
}

#endif
