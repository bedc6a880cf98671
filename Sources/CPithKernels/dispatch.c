// Which paths this machine has.
#include "CPithKernels.h"

#include <stddef.h>

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

extern const pith_kernels pith_kernels_baseline;
#if defined(__x86_64__)
extern const pith_kernels pith_kernels_avx2, pith_kernels_avx_vnni, pith_kernels_avx512, pith_kernels_avx512_vnni,
    pith_kernels_avx512_bf16;

#define HAS(FEATURE) __builtin_cpu_supports(FEATURE)

static const pith_kernels *x86_kernels(pith_path path) {
    __builtin_cpu_init();
    int avx2 = HAS("avx2") && HAS("fma") && HAS("f16c");
    int avx512 = avx2 && HAS("avx512f") && HAS("avx512bw") && HAS("avx512dq") && HAS("avx512vl");
    int vnni = avx512 && HAS("avx512vnni") && HAS("avx512vbmi") && HAS("avx512vbmi2");
    switch (path) {
    case PITH_PATH_AVX2: return avx2 ? &pith_kernels_avx2 : NULL;
    case PITH_PATH_AVX_VNNI: return avx2 && HAS("avxvnni") ? &pith_kernels_avx_vnni : NULL;
    case PITH_PATH_AVX512: return avx512 ? &pith_kernels_avx512 : NULL;
    case PITH_PATH_AVX512_VNNI: return vnni ? &pith_kernels_avx512_vnni : NULL;
    case PITH_PATH_AVX512_BF16: return vnni && HAS("avx512bf16") ? &pith_kernels_avx512_bf16 : NULL;
    default: return NULL;
    }
}
#elif defined(__aarch64__)
extern const pith_kernels pith_kernels_neon_dot;

static int has_neon_dot(void) {
#if defined(__linux__)
    return (getauxval(AT_HWCAP) & (1 << 20)) != 0;
#else
    return 1;
#endif
}
#endif

const pith_kernels *pith_kernels_of(pith_path path) {
    if (path == PITH_PATH_BASELINE) return &pith_kernels_baseline;
#if defined(__x86_64__)
    return x86_kernels(path);
#elif defined(__aarch64__)
    return path == PITH_PATH_NEON_DOT && has_neon_dot() ? &pith_kernels_neon_dot : NULL;
#else
    return NULL;
#endif
}

pith_path pith_best_path(void) {
    for (int path = PITH_PATH_AVX512_BF16; path > PITH_PATH_BASELINE; path--)
        if (pith_kernels_of((pith_path)path)) return (pith_path)path;
    return PITH_PATH_BASELINE;
}
