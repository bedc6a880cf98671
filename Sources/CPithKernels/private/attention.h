// Attention by segments of PITH_SEGMENT positions, each read in blocks of KEY_BLOCK positions.
//
// One order for every query, whatever stands beside it: a score is one chain of fused multiply-adds over the elements
// of the key; the running maximum moves once for each block; weights add up in 16 lanes, by position modulo 16; an
// element of the result is one chain over the positions. Every segment begins anew, and the segments are merged in
// order. Tiles only decide which chains run side by side.

#define KEY_BLOCK 64
#define BLOCK_VECTORS (KEY_BLOCK / 16)

INLINE f16v splat(float x) { return (f16v){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }

/// The largest lane.
INLINE float max_lanes(f16v v) {
    f8v a = __builtin_elementwise_max(__builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7),
                                      __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15));
    f4v b = __builtin_elementwise_max(__builtin_shufflevector(a, a, 0, 1, 2, 3),
                                      __builtin_shufflevector(a, a, 4, 5, 6, 7));
    float low = b[0] > b[1] ? b[0] : b[1], high = b[2] > b[3] ? b[2] : b[3];
    return low > high ? low : high;
}

// A partial result of one query: its running maximum, 16 lanes of the sum of weights, and the weighted sum of values.
#define PARTIAL_LANES 16
#define PARTIAL_VALUES 32

// MARK: Tiles

/// scores[i][v * 16 ...] of m queries with the keys of n times 16 positions from vector v on, m and n known to the
/// compiler.
INLINE void score_tile(int m, int n, const float *const *queries, const void *keys, pith_element type, int64_t size,
                       int v, float (*scores)[KEY_BLOCK]) {
    f16v sum[6][4];
    _Pragma("unroll") for (int i = 0; i < m; i++)
        _Pragma("unroll") for (int j = 0; j < n; j++) sum[i][j] = (f16v){0};
    for (int64_t d = 0; d < size; d++) {
        f16v key[4];
        _Pragma("unroll") for (int j = 0; j < n; j++) key[j] = load_typed(keys, type, ((v + j) * size + d) * 16, 16);
        _Pragma("unroll") for (int i = 0; i < m; i++) {
            f16v q = splat(queries[i][d]);
            _Pragma("unroll") for (int j = 0; j < n; j++) sum[i][j] = FMA(q, key[j], sum[i][j]);
        }
    }
    _Pragma("unroll") for (int i = 0; i < m; i++)
        _Pragma("unroll") for (int j = 0; j < n; j++) store16(scores[i] + (v + j) * 16, sum[i][j]);
}

/// sums[i][v * 16 ...] = sums * factors[i] + the values of the positions from `first` to `last`, weighted.
INLINE void value_tile(int m, int n, float (*weights)[KEY_BLOCK], const float *factors, const void *values,
                       pith_element type, int64_t size, int64_t first, int64_t last, int64_t v, float *const *sums) {
    f16v sum[6][4];
    _Pragma("unroll") for (int i = 0; i < m; i++)
        _Pragma("unroll") for (int j = 0; j < n; j++) sum[i][j] = load16(sums[i] + (v + j) * 16) * splat(factors[i]);
    for (int64_t t = first; t < last; t++) {
        f16v value[4];
        // The last vector may reach into the next position; what it brings from there is never written out.
        _Pragma("unroll") for (int j = 0; j < n; j++) value[j] = load_typed(values, type, t * size + (v + j) * 16, 16);
        _Pragma("unroll") for (int i = 0; i < m; i++) {
            f16v w = splat(weights[i][t]);
            _Pragma("unroll") for (int j = 0; j < n; j++) sum[i][j] = FMA(w, value[j], sum[i][j]);
        }
    }
    _Pragma("unroll") for (int i = 0; i < m; i++)
        _Pragma("unroll") for (int j = 0; j < n; j++) store16(sums[i] + (v + j) * 16, sum[i][j]);
}

// As many chains as there are registers for.
#if defined(__AVX512F__)
#define QUERY_TILE 6
#define SCORE_VECTORS 4
#define EACH_QUERY_TILE(m, CALL)                                                                                             \
    switch (m) {                                                                                                       \
    case 6: CALL(6) break;                                                                                             \
    case 3: CALL(3) break;                                                                                             \
    case 2: CALL(2) break;                                                                                             \
    default: CALL(1)                                                                                                   \
    }
INLINE int query_tile(int64_t rows) { return rows >= 6 ? 6 : rows >= 3 ? 3 : (int)rows; }
#elif defined(__aarch64__)
#define QUERY_TILE 4
#define SCORE_VECTORS 1
#define EACH_QUERY_TILE(m, CALL)                                                                                             \
    switch (m) {                                                                                                       \
    case 4: CALL(4) break;                                                                                             \
    case 2: CALL(2) break;                                                                                             \
    default: CALL(1)                                                                                                   \
    }
INLINE int query_tile(int64_t rows) { return rows >= 4 ? 4 : rows >= 2 ? 2 : 1; }
#elif defined(USE_AVX2_INTRINSICS)
#define QUERY_TILE 3
#define SCORE_VECTORS 2
#define EACH_QUERY_TILE(m, CALL)                                                                                             \
    switch (m) {                                                                                                       \
    case 3: CALL(3) break;                                                                                             \
    case 2: CALL(2) break;                                                                                             \
    default: CALL(1)                                                                                                   \
    }
INLINE int query_tile(int64_t rows) { return rows >= 3 ? 3 : (int)rows; }
#else
#define QUERY_TILE 1
#define SCORE_VECTORS 1
#define EACH_QUERY_TILE(m, CALL) CALL(1)
INLINE int query_tile(int64_t rows) { return 1; }
#endif

#define ATTENTION_TILES(NAME, TYPE)                                                                                    \
    static void score_##NAME(int m, const float *const *queries, const void *keys, int64_t size, int vectors,          \
                             float (*scores)[KEY_BLOCK]) {                                                             \
        int v = 0;                                                                                                     \
        for (; SCORE_VECTORS > 1 && v + SCORE_VECTORS <= vectors; v += SCORE_VECTORS)                                  \
            EACH_QUERY_TILE(m, SCORE_##NAME)                                                                                 \
        for (; v < vectors; v++) EACH_QUERY_TILE(m, SCORE_ONE_##NAME)                                                        \
    }                                                                                                                  \
    static void value_##NAME(int m, float (*weights)[KEY_BLOCK], const float *factors, const void *values,             \
                             int64_t size, int64_t first, int64_t last, float *const *sums) {                          \
        int64_t v = 0, vectors = (size + 15) / 16;                                                                     \
        for (; SCORE_VECTORS > 2 && v + 4 <= vectors; v += 4) EACH_QUERY_TILE(m, VALUE4_##NAME)                              \
        for (; SCORE_VECTORS > 1 && v + 2 <= vectors; v += 2) EACH_QUERY_TILE(m, VALUE2_##NAME)                              \
        for (; v < vectors; v++) EACH_QUERY_TILE(m, VALUE1_##NAME)                                                           \
    }

#define SCORE(M, N, TYPE) score_tile(M, N, queries, keys, TYPE, size, v, scores);
#define VALUE(M, N, TYPE) value_tile(M, N, weights, factors, values, TYPE, size, first, last, v, sums);
#define SCORE_f32(M) SCORE(M, SCORE_VECTORS, PITH_F32)
#define SCORE_f16(M) SCORE(M, SCORE_VECTORS, PITH_F16)
#define SCORE_bf16(M) SCORE(M, SCORE_VECTORS, PITH_BF16)
#define SCORE_ONE_f32(M) SCORE(M, 1, PITH_F32)
#define SCORE_ONE_f16(M) SCORE(M, 1, PITH_F16)
#define SCORE_ONE_bf16(M) SCORE(M, 1, PITH_BF16)
#define VALUE4_f32(M) VALUE(M, 4, PITH_F32)
#define VALUE4_f16(M) VALUE(M, 4, PITH_F16)
#define VALUE4_bf16(M) VALUE(M, 4, PITH_BF16)
#define VALUE2_f32(M) VALUE(M, 2, PITH_F32)
#define VALUE2_f16(M) VALUE(M, 2, PITH_F16)
#define VALUE2_bf16(M) VALUE(M, 2, PITH_BF16)
#define VALUE1_f32(M) VALUE(M, 1, PITH_F32)
#define VALUE1_f16(M) VALUE(M, 1, PITH_F16)
#define VALUE1_bf16(M) VALUE(M, 1, PITH_BF16)
ATTENTION_TILES(f32, PITH_F32)
ATTENTION_TILES(f16, PITH_F16)
ATTENTION_TILES(bf16, PITH_BF16)

static void score_block(pith_element type, int m, const float *const *queries, const void *keys, int64_t size,
                        int vectors, float (*scores)[KEY_BLOCK]) {
    switch (type) {
    case PITH_F32: score_f32(m, queries, keys, size, vectors, scores); break;
    case PITH_F16: score_f16(m, queries, keys, size, vectors, scores); break;
    default: score_bf16(m, queries, keys, size, vectors, scores);
    }
}

static void value_block(pith_element type, int m, float (*weights)[KEY_BLOCK], const float *factors,
                        const void *values, int64_t size, int64_t first, int64_t last, float *const *sums) {
    switch (type) {
    case PITH_F32: value_f32(m, weights, factors, values, size, first, last, sums); break;
    case PITH_F16: value_f16(m, weights, factors, values, size, first, last, sums); break;
    default: value_bf16(m, weights, factors, values, size, first, last, sums);
    }
}

/// Turns the scores of the positions from `first` to `visible` of a block into weights, zeros around them; returns the
/// factor that brings what was summed before to the new maximum.
INLINE float weigh_block(float *scores, int64_t first, int64_t visible, const pith_queries *q, float *partial) {
    const i16v lanes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const u16v none = as_bits(splat(-INFINITY));
    f16v s[BLOCK_VECTORS];
    u16v sees[BLOCK_VECTORS];
    _Pragma("unroll") for (int v = 0; v < BLOCK_VECTORS; v++) {
        sees[v] = (u16v)(lanes < (i16v){0} + (int32_t)(visible - v * 16));
        if (first > 0) sees[v] &= (u16v)(lanes >= (i16v){0} + (int32_t)(first - v * 16));
        s[v] = load16(scores + v * 16) * splat(q->scale);
        if (q->softcap != 0) s[v] = softcap16(s[v], q->softcap);
        if (visible < KEY_BLOCK || first > 0) s[v] = as_floats(choose(sees[v], as_bits(s[v]), none));
    }
    f16v best = __builtin_elementwise_max(__builtin_elementwise_max(s[0], s[1]), __builtin_elementwise_max(s[2], s[3]));
    float before = partial[0], now = max_lanes(best);
    now = before > now ? before : now;
    partial[0] = now;
    _Pragma("unroll") for (int v = 0; v < BLOCK_VECTORS; v++) {
        s[v] = exp16(s[v] - splat(now));
        if (visible < KEY_BLOCK || first > 0) s[v] = as_floats(as_bits(s[v]) & sees[v]);
        store16(scores + v * 16, s[v]);
    }
    float factor = before == now ? 1.0f : exp16(splat(before - now))[0];
    f16v sum = load16(partial + PARTIAL_LANES);
    store16(partial + PARTIAL_LANES, FMA(sum, splat(factor), (s[0] + s[1]) + (s[2] + s[3])));
    return factor;
}

/// The weights of a block of which a query sees nothing.
INLINE float weigh_nothing(float *scores) {
    memset(scores, 0, KEY_BLOCK * sizeof(float));
    return 1.0f;
}

// MARK: Kernels

static void attend_segment(const pith_queries *q, const pith_cached_head *head, int64_t visible, float *widened,
                           float *partials) {
    int64_t size = head->key_size, width = head->value_size;
    int64_t stride = pith_partial_stride(width), count = q->rows * q->heads;
    // Positions that a row sees more than the row before it.
    int64_t step = q->bidirectional ? 0 : 1;
    int64_t all = visible + step * (q->rows - 1);
    if (all > PITH_SEGMENT) all = PITH_SEGMENT;
    for (int64_t i = 0; i < count; i++) {
        memset(partials + i * stride, 0, (size_t)stride * sizeof(float));
        partials[i * stride] = -INFINITY;
    }
    for (int64_t start = 0; start < all; start += KEY_BLOCK) {
        int64_t held = all - start < KEY_BLOCK ? all - start : KEY_BLOCK;
        pith_element key_type = head->key_type, value_type = head->value_type;
        const void *keys = (const char *)head->keys + start * size * element_size(key_type);
        const void *values = (const char *)head->values + start * width * element_size(value_type);
        if (widened && key_type != PITH_F32) {
            widen(keys, key_type, (held + 15) / 16 * 16 * size, widened);
            keys = widened;
            key_type = PITH_F32;
        }
        if (widened && value_type != PITH_F32) {
            widen(values, value_type, held * width, widened + KEY_BLOCK * size);
            values = widened + KEY_BLOCK * size;
            value_type = PITH_F32;
        }
        // Earlier rows see nothing of this block.
        int64_t i = step && start + 1 > visible ? (start + 1 - visible) * q->heads : 0;
        while (i < count) {
            int m = query_tile(count - i);
            const float *queries[QUERY_TILE];
            float *sums[QUERY_TILE], factors[QUERY_TILE], scores[QUERY_TILE][KEY_BLOCK];
            int64_t sees[QUERY_TILE], from[QUERY_TILE];
            for (int j = 0; j < m; j++) {
                int64_t row = (i + j) / q->heads, seen = visible + step * row;
                from[j] = q->window ? seen - q->window - start : 0;
                queries[j] = q->values + row * q->stride + (i + j) % q->heads * size;
                sums[j] = partials + (i + j) * stride + PARTIAL_VALUES;
                sees[j] = seen - start < KEY_BLOCK ? seen - start : KEY_BLOCK;
            }
            if (from[0] >= KEY_BLOCK) {
                // The windows of these rows begin behind the block.
                i += m;
                continue;
            }
            score_block(key_type, m, queries, keys, size, (int)((sees[m - 1] + 15) / 16), scores);
            for (int j = 0; j < m; j++) {
                float *partial = partials + (i + j) * stride;
                factors[j] = from[j] >= KEY_BLOCK             ? weigh_nothing(scores[j])
                             : sees[j] == KEY_BLOCK && from[j] <= 0 ? weigh_block(scores[j], 0, KEY_BLOCK, q, partial)
                                                              : weigh_block(scores[j], from[j], sees[j], q, partial);
            }
            value_block(value_type, m, scores, factors, values, width, 0, sees[0], sums);
            const float one = 1.0f;
            for (int j = 1; j < m; j++)
                if (sees[j] > sees[0])
                    value_block(value_type, 1, scores + j, &one, values, width, sees[0], sees[j], sums + j);
            i += m;
        }
    }
}

static void merge_partials(float *partials, const float *others, int64_t count, int64_t size) {
    int64_t stride = pith_partial_stride(size);
    for (int64_t i = 0; i < count; i++, partials += stride, others += stride) {
        float most = partials[0] > others[0] ? partials[0] : others[0];
        f16v own = exp16(splat(partials[0] - most)), other = exp16(splat(others[0] - most));
        partials[0] = most;
        for (int64_t d = PARTIAL_LANES; d < stride; d += 16)
            store16(partials + d, FMA(load16(others + d), other, load16(partials + d) * own));
    }
}

static void finish_attention(const float *partials, const pith_queries *q, int64_t size, float *output,
                             int64_t output_stride) {
    int64_t stride = pith_partial_stride(size);
    for (int64_t i = 0; i < q->rows * q->heads; i++, partials += stride) {
        float *target = output + i / q->heads * output_stride + i % q->heads * size;
        f16v inverse = splat(1.0f / sum_lanes(load16(partials + PARTIAL_LANES)));
        for (int64_t d = 0; d < size; d += 16) {
            // Adding zero: a sum that rounds to nothing has one sign, however many zeros were added to it.
            f16v v = load16(partials + PARTIAL_VALUES + d) * inverse + 0.0f;
            store_up_to_16(target + d, v, size - d);
        }
    }
}

/// 16 floats as they are kept; F16 saturates, so that one large element does not become infinite.
INLINE h16v kept_bits(f16v v, pith_element type) {
    if (type == PITH_F16)
        v = __builtin_elementwise_min(__builtin_elementwise_max(v, splat(-65504.0f)), splat(65504.0f));
    return __builtin_convertvector(narrow_bits(v, type), h16v);
}

/// Keys lie by sixteens: element d of 16 positions side by side.
static void cache_keys(const float *keys, int64_t stride, int64_t rows, int64_t position, const pith_cached_head *head) {
    int64_t size = head->key_size, bytes = element_size(head->key_type);
    for (int64_t r = 0; r < rows; r++, position++, keys += stride) {
        char *key = (char *)head->keys + (position / 16 * size * 16 + position % 16) * bytes;
        for (int64_t d = 0; d < size; d += 16) {
            int64_t count = size - d < 16 ? size - d : 16;
            if (head->key_type == PITH_F32) {
                for (int64_t j = 0; j < count; j++) memcpy(key + (d + j) * 64, keys + d + j, 4);
            } else {
                h16v narrow = kept_bits(load_up_to_16(keys + d, count), head->key_type);
                uint16_t element[16];
                memcpy(element, &narrow, sizeof element);
                for (int64_t j = 0; j < count; j++) memcpy(key + (d + j) * 32, element + j, 2);
            }
        }
    }
}

static void cache_values(const float *values, int64_t stride, int64_t rows, int64_t position,
                         const pith_cached_head *head) {
    int64_t size = head->value_size, bytes = element_size(head->value_type);
    for (int64_t r = 0; r < rows; r++, position++, values += stride) {
        char *value = (char *)head->values + position * size * bytes;
        for (int64_t d = 0; d < size; d += 16) {
            int64_t count = size - d < 16 ? size - d : 16;
            if (head->value_type == PITH_F32) {
                memcpy(value + d * 4, values + d, (size_t)count * 4);
            } else {
                h16v narrow = kept_bits(load_up_to_16(values + d, count), head->value_type);
                memcpy(value + d * 2, &narrow, (size_t)count * 2);
            }
        }
    }
}
