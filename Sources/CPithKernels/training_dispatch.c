// Which training kernels this machine has.
#include "CPithTrainingKernels.h"

#include <stddef.h>

extern const pith_training_kernels pith_training_kernels_baseline;
#if defined(__x86_64__)
extern const pith_training_kernels pith_training_kernels_avx2, pith_training_kernels_avx512;
#endif

const pith_training_kernels *pith_training_kernels_of(pith_path path) {
    if (!pith_kernels_of(path)) return NULL;
#if defined(__x86_64__)
    // Training multiplies floats: dot products of bytes bring it nothing.
    if (path >= PITH_PATH_AVX512) return &pith_training_kernels_avx512;
    if (path >= PITH_PATH_AVX2) return &pith_training_kernels_avx2;
#endif
    return &pith_training_kernels_baseline;
}
