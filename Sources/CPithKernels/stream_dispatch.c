// Which kernels of the learning network this machine has.
#include "CPithStreamKernels.h"

#include <stddef.h>

extern const pith_stream_kernels pith_stream_kernels_baseline;
#if defined(__x86_64__)
extern const pith_stream_kernels pith_stream_kernels_avx2, pith_stream_kernels_avx512;
#endif

const pith_stream_kernels *pith_stream_kernels_of(pith_path path) {
    if (!pith_kernels_of(path)) return NULL;
#if defined(__x86_64__)
    if (path >= PITH_PATH_AVX512) return &pith_stream_kernels_avx512;
    if (path >= PITH_PATH_AVX2) return &pith_stream_kernels_avx2;
#endif
    return &pith_stream_kernels_baseline;
}
