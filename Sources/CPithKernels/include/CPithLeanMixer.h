// The mixer of the data method `lean`: sums of products of 16 bits, small enough to be compiled into the loop.
// SSE2 and NEON belong to every x86-64 and arm64, so nothing is chosen at run time; whole numbers agree on all.
#ifndef CPITH_LEAN_MIXER_H
#define CPITH_LEAN_MIXER_H

#include <stdint.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

/// The sum of inputs[i] * (weights[i] >> 16), modulo 2^32: the reference of `pith_lean_dot`.
static inline int32_t pith_lean_dot_plain(const int16_t *inputs, const int32_t *weights, int64_t count) {
    uint32_t sum = 0;
    for (int64_t i = 0; i < count; i++) sum += (uint32_t)((int32_t)inputs[i] * (weights[i] >> 16));
    return (int32_t)sum;
}

/// weights[i] += inputs[i] * error, modulo 2^32: the reference of `pith_lean_train`.
static inline void pith_lean_train_plain(const int16_t *inputs, int32_t *weights, int64_t count, int16_t error) {
    for (int64_t i = 0; i < count; i++) weights[i] = (int32_t)((uint32_t)weights[i] + (uint32_t)(inputs[i] * error));
}

/// The sum of inputs[i] * (weights[i] >> 16), modulo 2^32. `count` is a multiple of 8, addresses of 16 bytes.
static inline int32_t pith_lean_dot(const int16_t *inputs, const int32_t *weights, int64_t count) {
#if defined(__SSE2__)
    __m128i sum = _mm_setzero_si128();
    for (int64_t i = 0; i < count; i += 8) {
        __m128i low = _mm_srai_epi32(_mm_load_si128((const __m128i *)(weights + i)), 16);
        __m128i high = _mm_srai_epi32(_mm_load_si128((const __m128i *)(weights + i + 4)), 16);
        __m128i products = _mm_madd_epi16(_mm_packs_epi32(low, high), _mm_load_si128((const __m128i *)(inputs + i)));
        sum = _mm_add_epi32(sum, products);
    }
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4E));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xB1));
    return _mm_cvtsi128_si32(sum);
#elif defined(__ARM_NEON)
    int32x4_t sum = vdupq_n_s32(0);
    for (int64_t i = 0; i < count; i += 8) {
        int16x8_t x = vld1q_s16(inputs + i);
        sum = vmlal_s16(sum, vget_low_s16(x), vshrn_n_s32(vld1q_s32(weights + i), 16));
        sum = vmlal_s16(sum, vget_high_s16(x), vshrn_n_s32(vld1q_s32(weights + i + 4), 16));
    }
    int32x2_t half = vadd_s32(vget_low_s32(sum), vget_high_s32(sum));
    return vget_lane_s32(vpadd_s32(half, half), 0);
#else
    return pith_lean_dot_plain(inputs, weights, count);
#endif
}

/// weights[i] += inputs[i] * error, modulo 2^32. `count` is a multiple of 8, addresses of 16 bytes.
static inline void pith_lean_train(const int16_t *inputs, int32_t *weights, int64_t count, int16_t error) {
#if defined(__SSE2__)
    __m128i factor = _mm_set1_epi16(error);
    for (int64_t i = 0; i < count; i += 8) {
        __m128i x = _mm_load_si128((const __m128i *)(inputs + i));
        __m128i low = _mm_mullo_epi16(x, factor), high = _mm_mulhi_epi16(x, factor);
        __m128i *w = (__m128i *)(weights + i);
        _mm_store_si128(w, _mm_add_epi32(_mm_load_si128(w), _mm_unpacklo_epi16(low, high)));
        _mm_store_si128(w + 1, _mm_add_epi32(_mm_load_si128(w + 1), _mm_unpackhi_epi16(low, high)));
    }
#elif defined(__ARM_NEON)
    for (int64_t i = 0; i < count; i += 8) {
        int16x8_t x = vld1q_s16(inputs + i);
        vst1q_s32(weights + i, vmlal_n_s16(vld1q_s32(weights + i), vget_low_s16(x), error));
        vst1q_s32(weights + i + 4, vmlal_n_s16(vld1q_s32(weights + i + 4), vget_high_s16(x), error));
    }
#else
    pith_lean_train_plain(inputs, weights, count, error);
#endif
}

#endif
