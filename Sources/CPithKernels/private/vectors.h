// Vectors of 16 floats, as all kernels of floats are written with.
#pragma once

#include <stdint.h>
#include <string.h>

// Vectors pass between inlined functions only, so how they would be passed does not matter.
#pragma clang diagnostic ignored "-Wpsabi"

typedef float f16v __attribute__((vector_size(64), aligned(4)));
typedef float f8v __attribute__((vector_size(32), aligned(4)));
typedef float f4v __attribute__((vector_size(16), aligned(4)));
typedef double d8v __attribute__((vector_size(64), aligned(8)));
typedef int32_t i16v __attribute__((vector_size(64), aligned(4)));

#define INLINE static inline __attribute__((always_inline))

#ifdef WITHOUT_FMA
#include <emmintrin.h>

typedef int64_t l8v __attribute__((vector_size(64), aligned(8)));

// a · b + c with one rounding, on x86 without an instruction for it, where the C library takes a call for each lane.
// The product is exact in doubles. The sum is rounded twice, to a double and to a float, which makes a difference only
// where the double is a tie between two floats, or below the smallest normal float.

/// Right everywhere: the sum is rounded to odd first. Where it is not exact its last bit becomes 1, so that it is no
/// tie (Boldo and Melquiond 2008).
INLINE f8v fma_by_odd(f8v a, f8v b, f8v c) {
    d8v product = __builtin_convertvector(a, d8v) * __builtin_convertvector(b, d8v);
    d8v addend = __builtin_convertvector(c, d8v), sum = product + addend, back = sum - product;
    // What rounding took away, exactly.
    d8v error = (product - (sum - back)) + (addend - back);
    l8v bits = (l8v)sum, is_inexact = (error > 0) | (error < 0), is_even = (bits & 1) - 1;
    l8v toward_error = (((l8v)error ^ bits) >> 63) | 1;
    bits += is_inexact & is_even & toward_error;
    return __builtin_convertvector((d8v)bits, f8v);
}

#define LOWER(v) __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7)
#define UPPER(v) __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15)
#define JOINED(a, b) __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)

static __attribute__((noinline, unused)) void fma_seldom(const f16v *a, const f16v *b, const f16v *c, f16v *sum) {
    *sum = JOINED(fma_by_odd(LOWER(*a), LOWER(*b), LOWER(*c)), fma_by_odd(UPPER(*a), UPPER(*b), UPPER(*c)));
}

/// Lanes that are not 0 where a double is a tie or too small; its low half comes first.
INLINE i16v needs_care(d8v sum) {
    const int32_t low = 0x1FFFFFFF, tie = 0x10000000, high = INT32_MAX, small = (1023 - 126) << 20;
    i16v bits = (i16v)sum & (i16v){low, high, low, high, low, high, low, high, low, high, low, high, low, high, low, high};
    return (bits == (i16v){tie, -1, tie, -1, tie, -1, tie, -1, tie, -1, tie, -1, tie, -1, tie, -1}) |
           (bits < (i16v){0, small, 0, small, 0, small, 0, small, 0, small, 0, small, 0, small, 0, small});
}

__attribute__((overloadable)) INLINE f16v fma_lanes(f16v a, f16v b, f16v c) {
#define SUM(HALF) (__builtin_convertvector(HALF(a), d8v) * __builtin_convertvector(HALF(b), d8v) + \
                   __builtin_convertvector(HALF(c), d8v))
    d8v low = SUM(LOWER), high = SUM(UPPER);
#undef SUM
    i16v care = needs_care(low) | needs_care(high);
    __m128i parts[4];
    memcpy(parts, &care, sizeof parts);
    if (__builtin_expect(_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(parts[0], parts[1]), _mm_or_si128(parts[2], parts[3]))), 0)) {
        f16v sum;
        fma_seldom(&a, &b, &c, &sum);
        return sum;
    }
    return JOINED(__builtin_convertvector(low, f8v), __builtin_convertvector(high, f8v));
}
__attribute__((overloadable)) INLINE d8v fma_lanes(d8v a, d8v b, d8v c) { return __builtin_elementwise_fma(a, b, c); }
#define FMA(a, b, c) fma_lanes((a), (b), (c))
#else
#define FMA(a, b, c) __builtin_elementwise_fma((a), (b), (c))
#endif

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
