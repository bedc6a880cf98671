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

/// The weights of sixteen columns; `*values` moves on. Reads sixteen values.
INLINE f16v next_run(pith_element type, uint32_t mask, const char **values) {
#if defined(__AVX512F__)
    f16v weights = (f16v)_mm512_maskz_expand_ps((__mmask16)mask, (__m512)load_typed(*values, type, 0, 16));
    *values += __builtin_popcount(mask) * (type == PITH_F32 ? 4 : 2);
    return weights;
#else
    f8v low = next_weights(type, mask & 255, values), high = next_weights(type, mask >> 8, values);
    return joined(low, high);
#endif
}

/// The same where fewer values or patterns may be left, from column i on.
static f16v last_run(const pith_sparse_row *row, pith_element type, int64_t i, int64_t k, const char **values) {
    const char *end = (const char *)row->values + row->value_count * (type == PITH_F32 ? 4 : 2);
    f8v low = last_weights(type, sparse_mask(row, i / 8), values, end), high = {0};
    if (k - i > 8) high = last_weights(type, sparse_mask(row, i / 8 + 1), values, end);
    return joined(low, high);
}

/// The columns kept of the sixteen whose patterns begin at `bit`. Reads four bytes.
INLINE uint32_t run_mask(const pith_sparse_row *row, int64_t bit, int coded) {
    uint32_t word;
    memcpy(&word, row->patterns + (bit >> 3), sizeof word);
    if (!coded) return word & 0xFFFF;
    uint32_t one = (1u << row->bits) - 1;
    word >>= bit & 7;
    return row->masks[word & one] | (uint32_t)row->masks[word >> row->bits & one] << 8;
}

/// Runs that can be read without care: each takes up to 16 values, and four bytes of patterns are read at once.
INLINE int64_t safe_runs(const pith_sparse_row *row, int64_t k) {
    int64_t runs = k / 16, by_values = row->value_count / 16;
    int64_t by_patterns = ((row->pattern_bytes - 4) * 8 + 2 * row->bits) / (2 * row->bits);
    if (by_values < runs) runs = by_values;
    return by_patterns < runs ? by_patterns : runs;
}

/// Calls F with the type of the values and whether patterns are coded as constants.
#define FOR_SPARSE_TYPE(ROW, F, ...)                                                                                   \
    switch ((ROW)->type) {                                                                                             \
    case PITH_F32: (ROW)->masks ? F(__VA_ARGS__, PITH_F32, 1) : F(__VA_ARGS__, PITH_F32, 0); break;                    \
    case PITH_F16: (ROW)->masks ? F(__VA_ARGS__, PITH_F16, 1) : F(__VA_ARGS__, PITH_F16, 0); break;                    \
    default: (ROW)->masks ? F(__VA_ARGS__, PITH_BF16, 1) : F(__VA_ARGS__, PITH_BF16, 0); break;                        \
    }

INLINE void decode_typed(const pith_sparse_row *row, int64_t k, float *target, pith_element type, int coded) {
    const char *values = row->values;
    int64_t i = 0, safe = 16 * safe_runs(row, k);
    for (; i < safe; i += 16)
        store16(target + i, next_run(type, run_mask(row, i / 8 * row->bits, coded), &values));
    for (; i < k; i += 16) {
        f16v weights = last_run(row, type, i, k, &values);
        memcpy(target + i, &weights, (size_t)(k - i < 16 ? k - i : 16) * sizeof(float));
    }
}

static void decode_sparse(const pith_sparse_row *row, int64_t k, float *target) {
    FOR_SPARSE_TYPE(row, decode_typed, row, k, target)
}

// As many rows at a time as there are registers for: their chains of sums do not wait for each other.
#if defined(__AVX512F__)
#define SPARSE_ROWS 4
#else
#define SPARSE_ROWS 2
#endif

/// One row or SPARSE_ROWS.
INLINE void dot_typed(const float *x, const pith_sparse_row *rows, int count, int64_t k, float *y, pith_element type,
                      int coded) {
    f16v sum[SPARSE_ROWS] = {{0}};
    const char *values[SPARSE_ROWS];
    int64_t i = 0, safe = k;
    _Pragma("unroll") for (int r = 0; r < count; r++) {
        int64_t limit = 16 * safe_runs(&rows[r], k);
        if (limit < safe) safe = limit;
        values[r] = rows[r].values;
    }
    for (; i < safe; i += 16) {
        f16v inputs = load16(x + i);
        _Pragma("unroll") for (int r = 0; r < count; r++) {
            uint32_t mask = run_mask(&rows[r], i / 8 * rows[0].bits, coded);
            sum[r] = FMA(inputs, next_run(type, mask, &values[r]), sum[r]);
        }
    }
    for (; i < k; i += 16) {
        f16v inputs = load_up_to_16(x + i, k - i);
        _Pragma("unroll") for (int r = 0; r < count; r++) {
            const char *next = values[r];
            sum[r] = FMA(inputs, last_run(&rows[r], type, i, k, &next), sum[r]);
            values[r] = next;
        }
    }
    _Pragma("unroll") for (int r = 0; r < count; r++) y[r] = sum_lanes(sum[r]);
}

static void dot_sparse(const float *x, const pith_sparse_row *rows, int64_t count, int64_t k, float *y) {
    int64_t n = 0;
    for (; n + SPARSE_ROWS <= count; n += SPARSE_ROWS)
        FOR_SPARSE_TYPE(rows, dot_typed, x, rows + n, SPARSE_ROWS, k, y + n)
    for (; n < count; n++) FOR_SPARSE_TYPE(rows, dot_typed, x, rows + n, 1, k, y + n)
}
