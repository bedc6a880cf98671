// Vectors of 16 floats, as all kernels of floats are written with.
#pragma once

#include <stdint.h>
#include <string.h>

// Vectors pass between inlined functions only, so how they would be passed does not matter.
#pragma clang diagnostic ignored "-Wpsabi"

typedef float f16v __attribute__((vector_size(64), aligned(4)));
typedef float f8v __attribute__((vector_size(32), aligned(4)));
typedef float f4v __attribute__((vector_size(16), aligned(4)));
typedef int32_t i16v __attribute__((vector_size(64), aligned(4)));

#define INLINE static inline __attribute__((always_inline))
#define FMA(a, b, c) __builtin_elementwise_fma((a), (b), (c))

INLINE f16v load16(const float *p) {
    f16v v;
    memcpy(&v, p, sizeof v);
    return v;
}
INLINE void store16(float *p, f16v v) { memcpy(p, &v, sizeof v); }


/// The sum of the lanes: halves are added until one is left.
INLINE float sum_lanes(f16v v) {
    f8v a = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
            __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
    f4v b = __builtin_shufflevector(a, a, 0, 1, 2, 3) + __builtin_shufflevector(a, a, 4, 5, 6, 7);
    return (b[0] + b[2]) + (b[1] + b[3]);
}
