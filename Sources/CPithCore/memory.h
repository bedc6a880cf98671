#ifndef CPITH_CORE_MEMORY_H
#define CPITH_CORE_MEMORY_H

#if defined(__linux__)
#include <malloc.h>
#endif

/// From now on memory that is given back goes to the system at once, in pieces of 256 kB and more.
static inline void pith_return_memory(void) {
#if defined(__GLIBC__)
    mallopt(M_MMAP_THRESHOLD, 1 << 18);
    mallopt(M_TRIM_THRESHOLD, 1 << 18);
#endif
}

#endif
