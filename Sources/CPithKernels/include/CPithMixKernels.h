// SIMD kernels of the mixer that weighs the predictions of bits: whole numbers alone, so that all paths agree.
#ifndef CPITH_MIX_KERNELS_H
#define CPITH_MIX_KERNELS_H

#include "CPithKernels.h"

/// One set of mixing kernels. A row of weights is `count` high halves and then `count` low halves of 32-bit weights
/// with 30 bits behind the point; only the high halves multiply, the low ones keep what small steps add up to.
/// `count` is a multiple of 32; `rows` says where each of `sets` rows begins, in elements.
typedef struct PITH_SENDABLE {
    /// sums[s] = the sum over pairs of (x[2i] w[2i] + x[2i+1] w[2i+1]) >> 6, modulo 2^32.
    void (*dot)(const int16_t *x, int64_t count, const int16_t *weights, const int64_t *rows, int64_t sets,
                int32_t *sums);
    /// Adds x[i] * errors[s] to the weights of row s; the high half saturates. Rows whose error is 0 are left alone.
    void (*train)(const int16_t *x, int64_t count, int16_t *weights, const int64_t *rows, int64_t sets,
                  const int16_t *errors);
} pith_mix_kernels;

/// The mixing kernels of a path; NULL where this machine or this build has none.
const pith_mix_kernels *pith_mix_kernels_of(pith_path path);

#endif
