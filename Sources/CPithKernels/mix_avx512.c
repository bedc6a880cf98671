// The mixing kernels for AVX-512 F and BW.
#if defined(__x86_64__)
#include "CPithMixKernels.h"

#include <immintrin.h>
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw"))), apply_to = function)

static void dot(const int16_t *x, int64_t count, const int16_t *weights, const int64_t *rows, int64_t sets,
                int32_t *sums) {
    for (int64_t s = 0; s < sets; s++) {
        const int16_t *w = weights + rows[s];
        __m512i sum = _mm512_setzero_si512();
        for (int64_t i = 0; i < count; i += 32) {
            __m512i products = _mm512_madd_epi16(_mm512_loadu_si512(x + i), _mm512_loadu_si512(w + i));
            sum = _mm512_add_epi32(sum, _mm512_srai_epi32(products, 6));
        }
        sums[s] = _mm512_reduce_add_epi32(sum);
    }
}

static void train(const int16_t *x, int64_t count, int16_t *weights, const int64_t *rows, int64_t sets,
                  const int16_t *errors) {
    const __m512i one = _mm512_set1_epi16(1);
    for (int64_t s = 0; s < sets; s++) {
        if (errors[s] == 0) continue;
        int16_t *high = weights + rows[s], *low = high + count;
        __m512i error = _mm512_set1_epi16(errors[s]);
        for (int64_t i = 0; i < count; i += 32) {
            __m512i input = _mm512_loadu_si512(x + i);
            __m512i step = _mm512_mullo_epi16(input, error);
            __m512i sum = _mm512_add_epi16(_mm512_loadu_si512(low + i), step);
            _mm512_storeu_si512(low + i, sum);
            __mmask32 carry = _mm512_cmplt_epu16_mask(sum, step);
            __m512i h = _mm512_adds_epi16(_mm512_loadu_si512(high + i), _mm512_mulhi_epi16(input, error));
            _mm512_storeu_si512(high + i, _mm512_mask_adds_epi16(h, carry, h, one));
        }
    }
}

const pith_mix_kernels pith_mix_kernels_avx512 = {dot, train};
#pragma clang attribute pop
#endif
