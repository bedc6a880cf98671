// Products with rows that keep some weights of each eight columns. The kept values lie in order without gaps; a pattern
// says which columns they belong to.

/// The columns kept of the eight that begin at column 8 * block.
INLINE uint32_t sparse_mask(const pith_sparse_row *row, int64_t block) {
    if (!row->masks) return row->patterns[block];
    int64_t bit = block * row->bits, byte = bit >> 3;
    uint32_t window = row->patterns[byte];
    if (byte + 1 < row->pattern_bytes) window |= (uint32_t)row->patterns[byte + 1] << 8;
    return row->masks[window >> (bit & 7) & ((1u << row->bits) - 1)];
}

#if defined(USE_AVX2_INTRINSICS)

/// Eight weights: values where `mask` has ones, zeros elsewhere. Reads eight values.
INLINE f8v expand8(uint32_t mask, const void *values, pith_element type) {
    __m256 v;
    if (type == PITH_F32) v = _mm256_loadu_ps(values);
    else if (type == PITH_F16) v = _mm256_cvtph_ps(_mm_loadu_si128(values));
    else v = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(values)), 16));
    __m256i lanes = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)expansion_lanes[mask]));
    v = _mm256_permutevar8x32_ps(v, lanes);
    return (f8v)_mm256_blendv_ps(v, _mm256_setzero_ps(), _mm256_castsi256_ps(lanes));
}

#else

INLINE f8v expand8(uint32_t mask, const void *values, pith_element type) {
    f16v v = load_typed(values, type, 0, 8);
    f8v result = {0};
    for (int j = 0, next = 0; j < 8; j++)
        if (mask >> j & 1) result[j] = v[next++];
    return result;
}

#endif

/// The weights of the next eight columns; `*values` moves on.
INLINE f8v next_weights(pith_element type, uint32_t mask, const char **values) {
    f8v weights = expand8(mask, *values, type);
    *values += __builtin_popcount(mask) * (type == PITH_F32 ? 4 : 2);
    return weights;
}

/// The same where fewer than eight values may be left before `end`.
static f8v last_weights(pith_element type, uint32_t mask, const char **values, const char *end) {
    if (end - *values >= 32) return next_weights(type, mask, values);
    char last[32] = {0};
    if (end > *values) memcpy(last, *values, (size_t)(end - *values));
    const char *copy = last;
    f8v weights = next_weights(type, mask, &copy);
    *values += copy - last;
    return weights;
}

INLINE f16v joined(f8v low, f8v high) {
    return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

/// Runs that can be read without care: each takes up to 16 values, and four bytes of patterns are read at once.
INLINE int64_t safe_runs(const pith_sparse_row *row, int64_t k) {
    int64_t runs = k / 16, by_values = row->value_count / 16;
    int64_t by_patterns = ((row->pattern_bytes - 4) * 8 + 2 * row->bits) / (2 * row->bits);
    if (by_values < runs) runs = by_values;
    return by_patterns < runs ? by_patterns : runs;
}

/// Runs BODY for each run of up to 16 weights of a row.
#define EACH_SPARSE_RUN(TYPE, CODED, BODY)                                                                             \
    {                                                                                                                  \
        const char *values = row->values, *end = values + row->value_count * (TYPE == PITH_F32 ? 4 : 2);               \
        int64_t i = 0, count = 16, bit = 0, width = row->bits, safe = 16 * safe_runs(row, k);                          \
        uint32_t one = (1u << width) - 1;                                                                              \
        for (; i < safe; i += 16) {                                                                                    \
            uint32_t word;                                                                                             \
            memcpy(&word, row->patterns + (bit >> 3), 4);                                                              \
            word >>= bit & 7;                                                                                          \
            bit += 2 * width;                                                                                          \
            uint32_t first = CODED ? row->masks[word & one] : word & 255;                                              \
            uint32_t second = CODED ? row->masks[word >> width & one] : word >> 8 & 255;                               \
            f8v low = next_weights(TYPE, first, &values), high = next_weights(TYPE, second, &values);                  \
            f16v weights = joined(low, high);                                                                          \
            BODY                                                                                                       \
        }                                                                                                              \
        for (; i < k; i += 16) {                                                                                       \
            count = k - i;                                                                                             \
            f8v low = last_weights(TYPE, sparse_mask(row, i / 8), &values, end), high = {0};                           \
            if (count > 8) high = last_weights(TYPE, sparse_mask(row, i / 8 + 1), &values, end);                       \
            f16v weights = joined(low, high);                                                                          \
            BODY                                                                                                       \
        }                                                                                                              \
    }

#define EACH_SPARSE_TYPE(BODY)                                                                                         \
    if (!row->masks) switch (row->type) {                                                                              \
        case PITH_F32: EACH_SPARSE_RUN(PITH_F32, 0, BODY) break;                                                       \
        case PITH_F16: EACH_SPARSE_RUN(PITH_F16, 0, BODY) break;                                                       \
        default: EACH_SPARSE_RUN(PITH_BF16, 0, BODY) break;                                                            \
        }                                                                                                              \
    else switch (row->type) {                                                                                          \
        case PITH_F32: EACH_SPARSE_RUN(PITH_F32, 1, BODY) break;                                                       \
        case PITH_F16: EACH_SPARSE_RUN(PITH_F16, 1, BODY) break;                                                       \
        default: EACH_SPARSE_RUN(PITH_BF16, 1, BODY) break;                                                            \
        }

static void decode_sparse(const pith_sparse_row *row, int64_t k, float *target) { EACH_SPARSE_TYPE(DECODE_BODY) }

static float dot_sparse(const float *x, const pith_sparse_row *row, int64_t k) {
    f16v sum = {0};
    EACH_SPARSE_TYPE(DOT_BODY)
    return sum_lanes(sum);
}
