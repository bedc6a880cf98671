// Which paths this machine has.
#include "CPithKernels.h"

#include <stddef.h>

extern const pith_kernels pith_kernels_baseline;
#if defined(__x86_64__)
extern const pith_kernels pith_kernels_avx2, pith_kernels_avx512;
#endif

const pith_kernels *pith_kernels_of(pith_path path) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
    if (path == PITH_PATH_AVX2 && avx2) return &pith_kernels_avx2;
    if (path == PITH_PATH_AVX512 && avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return &pith_kernels_avx512;
#endif
    return path == PITH_PATH_BASELINE ? &pith_kernels_baseline : NULL;
}

pith_path pith_best_path(void) {
    for (int path = PITH_PATH_AVX512; path > PITH_PATH_BASELINE; path--)
        if (pith_kernels_of((pith_path)path)) return (pith_path)path;
    return PITH_PATH_BASELINE;
}
