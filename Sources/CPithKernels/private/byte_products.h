// Dot products of bytes, four by four in each of 16 lanes, as each instruction set has them; all are exact.

typedef uint8_t b64v __attribute__((vector_size(64), aligned(1)));

INLINE b64v load64(const uint8_t *p) {
    b64v v;
    memcpy(&v, p, sizeof v);
    return v;
}
INLINE void store64(uint8_t *p, b64v v) { memcpy(p, &v, sizeof v); }

/// The same four bytes for all lanes.
INLINE i16v four_inputs(const int8_t *p) {
    int32_t four;
    memcpy(&four, p, sizeof four);
    return (i16v){0} + four;
}

// dot_bytes: sum + the products of unsigned codes and signed inputs. Where the instructions want both signed, or sums
// of pairs of large codes would not fit 16 bits, codes that are not `narrow`, below 128, are taken less WIDE_BIAS, and
// so is their zero.
#if defined(USE_VNNI512) || defined(USE_VNNI256) || !(defined(USE_AVX2_INTRINSICS) || defined(USE_NEON_DOT))
#define WIDE_BIAS 0
#else
#define WIDE_BIAS 128
#endif

#if defined(USE_VNNI512)
INLINE i16v dot_bytes(i16v sum, b64v codes, i16v inputs, int narrow) {
    return (i16v)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)codes, (__m512i)inputs);
}
#elif defined(__AVX512F__)
INLINE i16v dot_bytes(i16v sum, b64v codes, i16v inputs, int narrow) {
    __m512i c = (__m512i)codes, x = (__m512i)inputs;
    if (!narrow) {
        // The sign goes from the code to the input.
        c = _mm512_xor_si512(c, _mm512_set1_epi8((char)WIDE_BIAS));
        x = _mm512_mask_sub_epi8(x, _mm512_movepi8_mask(c), _mm512_setzero_si512(), x);
        c = _mm512_abs_epi8(c);
    }
    __m512i dot = _mm512_madd_epi16(_mm512_maddubs_epi16(c, x), _mm512_set1_epi16(1));
    return (i16v)_mm512_add_epi32((__m512i)sum, dot);
}
#elif defined(USE_AVX2_INTRINSICS)
INLINE __m256i dot_bytes_half(__m256i sum, __m256i c, __m256i x, int narrow) {
#if defined(USE_VNNI256)
    return _mm256_dpbusd_avx_epi32(sum, c, x);
#else
    if (!narrow) {
        // The sign goes from the code to the input.
        c = _mm256_xor_si256(c, _mm256_set1_epi8((char)WIDE_BIAS));
        x = _mm256_sign_epi8(x, c);
        c = _mm256_abs_epi8(c);
    }
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(c, x), _mm256_set1_epi16(1)));
#endif
}
INLINE i16v dot_bytes(i16v sum, b64v codes, i16v inputs, int narrow) {
    __m256i s[2], c[2], x[2];
    memcpy(s, &sum, 64);
    memcpy(c, &codes, 64);
    memcpy(x, &inputs, 64);
    for (int half = 0; half < 2; half++) s[half] = dot_bytes_half(s[half], c[half], x[half], narrow);
    memcpy(&sum, s, 64);
    return sum;
}
#elif defined(USE_NEON_DOT)
INLINE i16v dot_bytes(i16v sum, b64v codes, i16v inputs, int narrow) {
    int32x4_t s[4];
    uint8x16_t c[4];
    int8x16_t x;
    memcpy(s, &sum, 64);
    memcpy(c, &codes, 64);
    memcpy(&x, &inputs, 16);
    for (int i = 0; i < 4; i++)
        s[i] = vdotq_s32(s[i], vreinterpretq_s8_u8(narrow ? c[i] : veorq_u8(c[i], vdupq_n_u8(WIDE_BIAS))), x);
    memcpy(&sum, s, 64);
    return sum;
}
#else
INLINE i16v dot_bytes(i16v sum, b64v codes, i16v inputs, int narrow) {
    u16v c;
    memcpy(&c, &codes, sizeof c);
    for (int b = 0; b < 4; b++) sum += (i16v)(c >> (8 * b) & 255) * ((inputs << (24 - 8 * b)) >> 24);
    return sum;
}
#endif

#if defined(USE_AVX2_INTRINSICS) && !defined(__AVX512F__) && !defined(USE_VNNI256)
#define HAS_PAIRS 1
typedef int16_t p32v __attribute__((vector_size(64)));

/// pairs + the sums of two products each: for codes below 16 those of a whole tile fit 16 bits, 16 * 15 * 127.
INLINE p32v add_byte_pairs(p32v pairs, b64v codes, i16v inputs) {
    __m256i c[2], x[2];
    memcpy(c, &codes, 64);
    memcpy(x, &inputs, 64);
    for (int half = 0; half < 2; half++) c[half] = _mm256_maddubs_epi16(c[half], x[half]);
    p32v products;
    memcpy(&products, c, 64);
    return pairs + products;
}

INLINE i16v sum_byte_pairs(i16v sum, p32v pairs) {
    __m256i p[2];
    memcpy(p, &pairs, 64);
    for (int half = 0; half < 2; half++) p[half] = _mm256_madd_epi16(p[half], _mm256_set1_epi16(1));
    i16v sums;
    memcpy(&sums, p, 64);
    return sum + sums;
}
#endif

/// The code of the weight zero in each row times the sum of the inputs, both of 16 bits with their signs.
INLINE i16v zero_term(i16v zeros, int32_t sum) {
    i16v sums = (i16v){0} + sum;
#if defined(USE_AVX2_INTRINSICS)
    // Products of the lower halves alone.
    sums &= 0xFFFF;
#endif
#if defined(__AVX512F__)
    return (i16v)_mm512_madd_epi16((__m512i)zeros, (__m512i)sums);
#elif defined(USE_AVX2_INTRINSICS)
    __m256i z[2], s[2];
    memcpy(z, &zeros, 64);
    memcpy(s, &sums, 64);
    for (int half = 0; half < 2; half++) z[half] = _mm256_madd_epi16(z[half], s[half]);
    memcpy(&zeros, z, 64);
    return zeros;
#else
    return zeros * sums;
#endif
}

/// Each byte moved to the right by `bits` (to the left if negative), then what `mask` leaves of it.
INLINE b64v shift_bytes(b64v bytes, int bits, int mask) {
    u16v words;
    memcpy(&words, &bytes, sizeof words);
    words = bits >= 0 ? words >> bits : words << -bits;
    memcpy(&bytes, &words, sizeof bytes);
    return bytes & (uint8_t)mask;
}
