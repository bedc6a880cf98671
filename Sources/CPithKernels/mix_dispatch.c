// Which mixing kernels this machine has.
#include "CPithMixKernels.h"

#include <stddef.h>

extern const pith_mix_kernels pith_mix_kernels_baseline;
#if defined(__x86_64__)
extern const pith_mix_kernels pith_mix_kernels_avx2, pith_mix_kernels_avx512;
#endif

const pith_mix_kernels *pith_mix_kernels_of(pith_path path) {
    if (!pith_kernels_of(path)) return NULL;
#if defined(__x86_64__)
    if (path >= PITH_PATH_AVX512) return &pith_mix_kernels_avx512;
    if (path >= PITH_PATH_AVX2) return &pith_mix_kernels_avx2;
#endif
    return &pith_mix_kernels_baseline;
}
