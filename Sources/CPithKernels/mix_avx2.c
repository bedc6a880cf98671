// The mixing kernels for AVX2.
#if defined(__x86_64__)
#include "CPithMixKernels.h"

#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)

static void dot(const int16_t *x, int64_t count, const int16_t *weights, const int64_t *rows, int64_t sets,
                int32_t *sums) {
    for (int64_t s = 0; s < sets; s++) {
        const int16_t *w = weights + rows[s];
        __m256i a = _mm256_setzero_si256(), b = a;
        for (int64_t i = 0; i < count; i += 32) {
            __m256i x0 = _mm256_loadu_si256((const __m256i *)(x + i));
            __m256i x1 = _mm256_loadu_si256((const __m256i *)(x + i + 16));
            __m256i w0 = _mm256_loadu_si256((const __m256i *)(w + i));
            __m256i w1 = _mm256_loadu_si256((const __m256i *)(w + i + 16));
            a = _mm256_add_epi32(a, _mm256_srai_epi32(_mm256_madd_epi16(x0, w0), 6));
            b = _mm256_add_epi32(b, _mm256_srai_epi32(_mm256_madd_epi16(x1, w1), 6));
        }
        a = _mm256_add_epi32(a, b);
        __m128i c = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
        c = _mm_add_epi32(c, _mm_shuffle_epi32(c, 0x4E));
        c = _mm_add_epi32(c, _mm_shuffle_epi32(c, 0xB1));
        sums[s] = _mm_cvtsi128_si32(c);
    }
}

static void train(const int16_t *x, int64_t count, int16_t *weights, const int64_t *rows, int64_t sets,
                  const int16_t *errors) {
    const __m256i one = _mm256_set1_epi16(1);
    for (int64_t s = 0; s < sets; s++) {
        if (errors[s] == 0) continue;
        int16_t *high = weights + rows[s], *low = high + count;
        __m256i error = _mm256_set1_epi16(errors[s]);
        for (int64_t i = 0; i < count; i += 16) {
            __m256i input = _mm256_loadu_si256((const __m256i *)(x + i));
            __m256i step = _mm256_mullo_epi16(input, error);
            __m256i sum = _mm256_add_epi16(_mm256_loadu_si256((const __m256i *)(low + i)), step);
            _mm256_storeu_si256((__m256i *)(low + i), sum);
            // All ones where the low halves did not carry: 1 + (-1) = 0.
            __m256i still = _mm256_cmpeq_epi16(_mm256_max_epu16(sum, step), sum);
            __m256i h = _mm256_loadu_si256((const __m256i *)(high + i));
            h = _mm256_adds_epi16(h, _mm256_mulhi_epi16(input, error));
            h = _mm256_adds_epi16(h, _mm256_add_epi16(one, still));
            _mm256_storeu_si256((__m256i *)(high + i), h);
        }
    }
}

const pith_mix_kernels pith_mix_kernels_avx2 = {dot, train};
#pragma clang attribute pop
#endif
