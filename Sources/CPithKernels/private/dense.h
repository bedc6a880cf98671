// Products with dense matrices.
//
// A row is read in steps of 16 lanes: 16 floats, or 32 BF16 in pairs. Lane l adds the products of its elements, step
// after step, each with one fused multiply-add; of a pair the odd element comes first, as `vdpbf16ps` has it. (That
// instruction takes subnormal numbers as zeros, which the other paths do not repeat: weights and inputs below 1e-38
// say nothing.) With a scale for each group of columns, lanes are summed by group and added up, times the scale, by
// one fused multiply-add. In the end lanes are added in a fixed tree. So all paths, and all ways to cut rows, columns
// and inputs into blocks, give the same bits.

/// What a lane holds of a step.
enum { ONE_FLOAT, BF16_PAIR };

#if defined(USE_BF16)
INLINE f16v add_pairs(f16v sum, f16v a, f16v b) {
    return (f16v)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
}
#else
INLINE f16v add_pairs(f16v sum, f16v a, f16v b) {
    sum = FMA(as_floats(as_bits(a) & 0xFFFF0000u), as_floats(as_bits(b) & 0xFFFF0000u), sum);
    return FMA(as_floats(as_bits(a) << 16), as_floats(as_bits(b) << 16), sum);
}
#endif

INLINE f16v add_products(int lanes, f16v sum, f16v a, f16v b) {
    return lanes == ONE_FLOAT ? FMA(a, b, sum) : add_pairs(sum, a, b);
}

// MARK: Steps

#if defined(USE_VNNI512)
// The BF16 of each FP8 without its sign, first the low bytes, then the high ones.
#define E4M3_BF16(M)                                                                                                   \
    ((M) == 127 ? 0x7FC0 : (M) >= 8 ? 0x3C00 + ((M) << 4) : (M) >= 4 ? 0x3C00 + (((M) & 3) << 5)                       \
                       : (M) >= 2 ? 0x3B80 + (((M) & 1) << 6) : (M) ? 0x3B00 : 0)
#define E5M2_BF16(M)                                                                                                   \
    ((M) >= 125 ? 0x7FC0 : (M) == 124 ? 0x7F80 : (M) >= 4 ? 0x3800 + ((M) << 5)                                        \
                         : (M) >= 2 ? 0x3800 + (((M) & 1) << 6) : (M) ? 0x3780 : 0)
#define EIGHT(F, S, M)                                                                                                 \
    F(M) >> S & 255, F(M + 1) >> S & 255, F(M + 2) >> S & 255, F(M + 3) >> S & 255, F(M + 4) >> S & 255,               \
        F(M + 5) >> S & 255, F(M + 6) >> S & 255, F(M + 7) >> S & 255
#define HALF(F, S, M)                                                                                                  \
    EIGHT(F, S, M), EIGHT(F, S, M + 8), EIGHT(F, S, M + 16), EIGHT(F, S, M + 24), EIGHT(F, S, M + 32),                 \
        EIGHT(F, S, M + 40), EIGHT(F, S, M + 48), EIGHT(F, S, M + 56)
static const _Alignas(64) uint8_t fp8_tables[2][4][64] = {
    {{HALF(E4M3_BF16, 0, 0)}, {HALF(E4M3_BF16, 0, 64)}, {HALF(E4M3_BF16, 8, 0)}, {HALF(E4M3_BF16, 8, 64)}},
    {{HALF(E5M2_BF16, 0, 0)}, {HALF(E5M2_BF16, 0, 64)}, {HALF(E5M2_BF16, 8, 0)}, {HALF(E5M2_BF16, 8, 64)}},
};
#define TWICE(I) I, I, I + 1, I + 1, I + 2, I + 2, I + 3, I + 3, I + 4, I + 4, I + 5, I + 5, I + 6, I + 6, I + 7, I + 7
static const _Alignas(64) uint8_t twice_each[64] = {TWICE(0), TWICE(8), TWICE(16), TWICE(24)};

/// 32 FP8 as BF16.
INLINE f16v pairs_of_fp8(const void *p, pith_element type) {
    const uint8_t(*table)[64] = fp8_tables[type == PITH_F8_E5M2];
    __m512i bytes = _mm512_permutexvar_epi8(_mm512_load_si512(twice_each), _mm512_castsi256_si512(_mm256_loadu_si256(p)));
    // A table of 128 bytes leaves the sign out.
    __m512i v = _mm512_mask2_permutex2var_epi8(
        _mm512_load_si512(table[0]), bytes, 0x5555555555555555u, _mm512_load_si512(table[1]));
    v = _mm512_mask2_permutex2var_epi8(
        _mm512_load_si512(table[2]), v, 0xAAAAAAAAAAAAAAAAu, _mm512_load_si512(table[3]));
    return (f16v)_mm512_ternarylogic_epi32(v, bytes, _mm512_set1_epi16((short)0x8000), 0xF8);
}
#else
/// 32 FP8 as BF16.
INLINE f16v pairs_of_fp8(const void *p, pith_element type) {
    b32v v;
    memcpy(&v, p, sizeof v);
    b16v even = __builtin_shufflevector(v, v, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    b16v odd = __builtin_shufflevector(v, v, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    f16v low = type == PITH_F8_E4M3 ? widen_e4m3(even) : widen_e5m2(even);
    f16v high = type == PITH_F8_E4M3 ? widen_e4m3(odd) : widen_e5m2(odd);
    return as_floats(as_bits(low) >> 16 | (as_bits(high) & 0xFFFF0000u));
}
#endif

/// Elements of a step.
INLINE int64_t step_elements(int lanes) { return lanes == ONE_FLOAT ? 16 : 32; }

/// A step of elements of `type`, as its lanes are multiplied.
INLINE f16v read_step(int lanes, pith_element type, const char *p) {
    return lanes == ONE_FLOAT ? widen16(p, type) : type == PITH_BF16 ? load16((const float *)p) : pairs_of_fp8(p, type);
}

/// Rows of a matrix: step s of row r lies at `base` + r * `row` + s * `step` bytes.
typedef struct {
    const char *base;
    int64_t row, step;
    /// Elements of the last step, if it is no whole one.
    int64_t part;
} step_rows;

INLINE f16v read_last_step(int lanes, pith_element type, const char *p, int64_t part) {
    char bytes[64] = {0};
    memcpy(bytes, p, (size_t)(part * element_size(type)));
    return read_step(lanes, type, bytes);
}

// MARK: Tiles

#define MOST_INPUTS PITH_DENSE_TILE_ROWS
#define MOST_WEIGHTS 4

/// Steps that weights of a panel are fetched before they are needed.
#define STEPS_AHEAD 4
/// The same where they come from memory.
#define BYTES_AHEAD 8192

/// Adds `steps` steps of products of `mr` rows of inputs with `nr` rows of weights, the last one perhaps in part.
/// `ahead` is needed next and fetched meanwhile: inputs where a full tile of them meets a panel, else weights.
INLINE void sum_tile(int lanes, pith_element type, int mr, int nr, step_rows x, step_rows w, int64_t steps, int is_last,
                     const char *ahead, f16v sum[MOST_INPUTS][MOST_WEIGHTS]) {
    pith_element input = lanes == ONE_FLOAT ? PITH_F32 : PITH_BF16;
    int64_t whole = is_last && (x.part || w.part) ? steps - 1 : steps;
    const char *xs = x.base, *ws = w.base;
    for (int64_t s = 0; s < whole; s++, xs += x.step, ws += w.step) {
        f16v b[MOST_WEIGHTS];
        if (mr == MOST_INPUTS) {
            _Pragma("unroll") for (int n = 0; n < nr; n++)
                __builtin_prefetch(ws + n * w.row + STEPS_AHEAD * w.step);
            __builtin_prefetch(ahead + 64 * s, 0, 2);
        } else {
            // Rows follow each other and are fetched in one stream, some pages ahead.
            int bytes = nr * (int)(step_elements(lanes) * element_size(type));
            _Pragma("unroll") for (int line = 0; line < bytes; line += 64)
                __builtin_prefetch(ahead + s * bytes + line + BYTES_AHEAD);
        }
        _Pragma("unroll") for (int n = 0; n < nr; n++) b[n] = read_step(lanes, type, ws + n * w.row);
        _Pragma("unroll") for (int m = 0; m < mr; m++) {
            f16v a = read_step(lanes, input, xs + m * x.row);
            _Pragma("unroll") for (int n = 0; n < nr; n++) sum[m][n] = add_products(lanes, sum[m][n], a, b[n]);
        }
    }
    if (whole == steps) return;
    int64_t all = step_elements(lanes), xpart = x.part ? x.part : all, wpart = w.part ? w.part : all;
    f16v b[MOST_WEIGHTS];
    _Pragma("unroll") for (int n = 0; n < nr; n++) b[n] = read_last_step(lanes, type, ws + n * w.row, wpart);
    _Pragma("unroll") for (int m = 0; m < mr; m++) {
        f16v a = read_last_step(lanes, input, xs + m * x.row, xpart);
        _Pragma("unroll") for (int n = 0; n < nr; n++) sum[m][n] = add_products(lanes, sum[m][n], a, b[n]);
    }
}

// The tree of `sum_lanes` for several vectors at once: each step adds halves, and puts two results side by side.
INLINE f16v add_halves(f16v a, f16v b) {
    return __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) +
           __builtin_shufflevector(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
}
INLINE f16v add_quarters(f16v a, f16v b) {
    return __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27) +
           __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
}
INLINE f16v add_pairs_of_lanes(f16v a, f16v b) {
    return __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29) +
           __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
}
INLINE f16v add_neighbours(f16v a, f16v b) {
    return __builtin_shufflevector(a, b, 0, 2, 16, 18, 4, 6, 20, 22, 8, 10, 24, 26, 12, 14, 28, 30) +
           __builtin_shufflevector(a, b, 1, 3, 17, 19, 5, 7, 21, 23, 9, 11, 25, 27, 13, 15, 29, 31);
}

/// y[m * ldy + n] = the lanes of sum[m][n], added.
INLINE void store_sums(int mr, int nr, f16v sum[MOST_INPUTS][MOST_WEIGHTS], float *y, int64_t ldy) {
    if (nr < 4) {
        for (int m = 0; m < mr; m++)
            for (int n = 0; n < nr; n++) y[m * ldy + n] = sum_lanes(sum[m][n]);
        return;
    }
    // Four input rows at a time, four floats of each side by side.
    _Pragma("unroll") for (int m = 0; m < mr; m += 4) {
        f16v quarters[4];
        _Pragma("unroll") for (int n = 0; n < 4; n++) {
            f16v low = add_halves(sum[m][n], sum[m + 1 < mr ? m + 1 : m][n]);
            f16v high = m + 2 < mr ? add_halves(sum[m + 2][n], sum[m + 3 < mr ? m + 3 : m + 2][n]) : low;
            quarters[n] = add_quarters(low, high);
        }
        f16v all = add_neighbours(add_pairs_of_lanes(quarters[0], quarters[1]),
                                  add_pairs_of_lanes(quarters[2], quarters[3]));
        _Pragma("unroll") for (int i = 0; i < 4 && m + i < mr; i++)
            memcpy(y + (m + i) * ldy, (char *)&all + 16 * i, 16);
    }
}

/// One product of a block of inputs and a block of weights.
typedef struct {
    step_rows x, w;
    int64_t inputs, outputs;
    /// Whether the weights lie in a panel, [outputs / 4][steps][4][64 bytes], the last tile with the rest.
    int is_panel;
    /// Steps of a row, and steps that are summed before the next tile; a group of columns, if rows have several.
    int64_t steps, block;
    /// The scales of the first row of weights, or NULL, and how many a row has.
    const char *scales;
    pith_element scale_type;
    int64_t groups;
    float *y;
    int64_t ldy;
} dense_product;

/// Scale i of F32 or F16.
INLINE float scale_at(const char *scales, pith_element type, int64_t i) {
    return (type == PITH_F32 ? load_typed(scales, PITH_F32, i, 1) : load_typed(scales, PITH_F16, i, 1))[0];
}

/// Weights of a panel. Their lanes are kept between blocks of steps while they pass by a tile of inputs.
#define PANEL_WEIGHTS 48

/// The rows of a panel from row n on.
INLINE step_rows panel_tile(const dense_product *p, int64_t n) {
    int64_t first = n / 4 * 4, rows = p->outputs - first < 4 ? p->outputs - first : 4;
    return (step_rows){p->w.base + (first * p->steps + n - first) * 64, 64, 64 * rows, 0};
}

/// The products of `mr` inputs from m on with `nr` weights from n on, for the steps from `start` on.
INLINE void multiply_tile(int lanes, pith_element type, int mr, int nr, const dense_product *p, int64_t m, int64_t n,
                          int64_t start, f16v *kept) {
    f16v sum[MOST_INPUTS][MOST_WEIGHTS];
    int is_last = start + p->block >= p->steps, is_grouped = p->scales && p->groups > 1;
    int64_t steps = is_last ? p->steps - start : p->block;
    step_rows x = p->x, w = p->w;
    x.base += m * x.row + start * x.step;
    if (p->is_panel) w = panel_tile(p, n);
    else w.base += n * w.row;
    w.base += start * w.step;
    _Pragma("unroll") for (int i = 0; i < mr; i++)
        _Pragma("unroll") for (int j = 0; j < nr; j++)
            sum[i][j] = start == 0 || is_grouped ? (f16v){0} : kept[i * nr + j];
    // Tiles of inputs follow each other: the next block of steps begins where this one ends. So do rows of weights.
    const char *ahead = mr < MOST_INPUTS ? w.base + nr * w.row : x.base + (n / 4 < mr ? (mr + n / 4) * steps * 64 : 0);
    sum_tile(lanes, type, mr, nr, x, w, steps, is_last, ahead, sum);
    if (p->scales && (is_grouped || is_last)) {
        int64_t group = is_grouped ? start / p->block : 0;
        _Pragma("unroll") for (int j = 0; j < nr; j++) {
            f16v scale = (f16v){0} + scale_at(p->scales, p->scale_type, (n + j) * p->groups + group);
            _Pragma("unroll") for (int i = 0; i < mr; i++)
                sum[i][j] = FMA(sum[i][j], scale, is_grouped && start > 0 ? kept[i * nr + j] : (f16v){0});
        }
    }
    if (is_last) {
        store_sums(mr, nr, sum, p->y + m * p->ldy + n, p->ldy);
        return;
    }
    _Pragma("unroll") for (int i = 0; i < mr; i++)
        _Pragma("unroll") for (int j = 0; j < nr; j++) kept[i * nr + j] = sum[i][j];
}

/// The products of `mr` inputs from m on with all weights, at most PANEL_WEIGHTS.
INLINE void multiply_inputs(int lanes, pith_element type, int mr, const dense_product *p, int64_t m) {
    _Alignas(64) f16v kept[MOST_INPUTS * PANEL_WEIGHTS];
    for (int64_t start = 0; start < p->steps; start += p->block) {
        int64_t n = 0;
        // Memory is read fastest row after row, and one input leaves time for it; bytes need more chains of sums.
        int together = mr > 1 || p->is_panel || element_size(type) == 1;
        for (; together && n + 4 <= p->outputs; n += 4) multiply_tile(lanes, type, mr, 4, p, m, n, start, kept + n * mr);
        for (; n < p->outputs; n++) multiply_tile(lanes, type, mr, 1, p, m, n, start, kept + n * mr);
    }
}

#if defined(__AVX512F__) || defined(__aarch64__)
#define EACH_TILE(CALL) CALL(6) CALL(4) CALL(2) CALL(1)
#else
#define EACH_TILE(CALL) CALL(2) CALL(1)
#endif

/// All inputs, by tiles of as many rows as registers hold.
#define TILE_OF_INPUTS(MR)                                                                                             \
    for (; m + MR <= p->inputs; m += MR) multiply_inputs(lanes, type, MR, p, m);
INLINE void multiply_block(int lanes, pith_element type, const dense_product *p) {
    int64_t m = 0;
    EACH_TILE(TILE_OF_INPUTS)
}

static void multiply_block_of(int lanes, pith_element type, const dense_product *p) {
    if (lanes == BF16_PAIR) switch (type) {
        case PITH_BF16: multiply_block(BF16_PAIR, PITH_BF16, p); return;
        case PITH_F8_E4M3: multiply_block(BF16_PAIR, PITH_F8_E4M3, p); return;
        default: multiply_block(BF16_PAIR, PITH_F8_E5M2, p); return;
        }
    switch (type) {
    case PITH_F32: multiply_block(ONE_FLOAT, PITH_F32, p); return;
    case PITH_F16: multiply_block(ONE_FLOAT, PITH_F16, p); return;
    case PITH_BF16: multiply_block(ONE_FLOAT, PITH_BF16, p); return;
    case PITH_F8_E4M3: multiply_block(ONE_FLOAT, PITH_F8_E4M3, p); return;
    default: multiply_block(ONE_FLOAT, PITH_F8_E5M2, p); return;
    }
}

// MARK: Blocks

/// Columns that are summed before the next tile, so that those of a tile of inputs stay in the caches.
#define BLOCK_COLUMNS 2048
/// Bytes of weights that stay in the second cache.
#define BLOCK_BYTES (512 * 1024)
/// Tiles of inputs that come from memory once for all weights of a panel.
#define GROUP_TILES 4

/// Writes rows to a panel, each step as its lanes are multiplied, the last one filled with zeros.
INLINE void fill_panel_of(int lanes, pith_element type, const dense_product *p, char *panel) {
    dense_product filled = *p;
    filled.w.base = panel;
    for (int64_t n = 0; n < p->outputs; n++) {
        step_rows to = panel_tile(&filled, n);
        const char *from = p->w.base + n * p->w.row;
        int64_t whole = p->w.part ? p->steps - 1 : p->steps;
        for (int64_t s = 0; s < whole; s++, from += p->w.step)
            store16((float *)(to.base + s * to.step), read_step(lanes, type, from));
        if (whole < p->steps)
            store16((float *)(to.base + whole * to.step), read_last_step(lanes, type, from, p->w.part));
    }
}

static void fill_panel(int lanes, pith_element type, const dense_product *p, char *panel) {
    if (lanes == BF16_PAIR) switch (type) {
        case PITH_BF16: fill_panel_of(BF16_PAIR, PITH_BF16, p, panel); return;
        case PITH_F8_E4M3: fill_panel_of(BF16_PAIR, PITH_F8_E4M3, p, panel); return;
        default: fill_panel_of(BF16_PAIR, PITH_F8_E5M2, p, panel); return;
        }
    switch (type) {
    case PITH_F32: fill_panel_of(ONE_FLOAT, PITH_F32, p, panel); return;
    case PITH_F16: fill_panel_of(ONE_FLOAT, PITH_F16, p, panel); return;
    case PITH_BF16: fill_panel_of(ONE_FLOAT, PITH_BF16, p, panel); return;
    case PITH_F8_E4M3: fill_panel_of(ONE_FLOAT, PITH_F8_E4M3, p, panel); return;
    default: fill_panel_of(ONE_FLOAT, PITH_F8_E5M2, p, panel); return;
    }
}

/// The products of a block: inputs lie as `x` says or, where it has no step, in tiles, `x.row` bytes for each row.
static void multiply_groups(int lanes, pith_element type, const dense_product *block, step_rows x) {
    int64_t tile = x.step ? block->inputs : MOST_INPUTS, group = GROUP_TILES * tile;
    int64_t most = BLOCK_BYTES / (block->steps * 64) / 4 * 4;
    most = most < 12 ? 12 : most > PANEL_WEIGHTS ? PANEL_WEIGHTS : most;
    for (int64_t first = 0; first < block->inputs; first += group)
        for (int64_t n = 0; n < block->outputs; n += most) {
            dense_product p = *block;
            p.outputs = block->outputs - n < most ? block->outputs - n : most;
            p.w.base += n * (p.is_panel ? p.steps * 64 : p.w.row);
            if (p.scales) p.scales += n * p.groups * element_size(p.scale_type);
            for (int64_t m = first; m < block->inputs && m < first + group; m += tile) {
                p.inputs = block->inputs - m < tile ? block->inputs - m : tile;
                p.x = x.step ? x : (step_rows){.row = 64, .step = 64 * p.inputs};
                p.x.base = x.base + m * x.row;
                p.y = block->y + m * p.ldy + n;
                multiply_block_of(lanes, type, &p);
            }
        }
}

/// Multiplies `inputs` rows by `outputs` rows of w, which are `ldw` elements apart.
static void multiply_rows(int lanes, const pith_dense *w, int64_t outputs, int64_t ldw, step_rows x, int64_t inputs,
                          float *y, int64_t ldy, char *panel) {
    int64_t elements = step_elements(lanes), size = element_size(w->type);
    dense_product p = {.inputs = inputs, .steps = (w->columns + elements - 1) / elements, .groups = w->groups,
                       .scale_type = w->scale_type, .is_panel = panel && inputs >= PITH_PANEL_INPUTS, .ldy = ldy};
    if (p.steps == 0) {
        for (int64_t m = 0; m < inputs; m++) memset(y + m * ldy, 0, (size_t)outputs * sizeof(float));
        return;
    }
    p.block = w->scales && w->groups > 1 ? w->group / elements : inputs > MOST_INPUTS ? BLOCK_COLUMNS / elements : p.steps;
    for (int64_t n = 0; n < outputs; n += PANEL_WEIGHTS) {
        p.outputs = outputs - n < PANEL_WEIGHTS ? outputs - n : PANEL_WEIGHTS;
        p.w = (step_rows){(const char *)w->values + n * ldw * size, ldw * size, elements * size, w->columns % elements};
        p.scales = w->scales ? (const char *)w->scales + n * w->groups * element_size(w->scale_type) : NULL;
        p.y = y + n;
        pith_element type = w->type;
        if (p.is_panel) {
            fill_panel(lanes, type, &p, panel);
            p.w = (step_rows){.base = panel};
            type = lanes == ONE_FLOAT ? PITH_F32 : PITH_BF16;
        }
        multiply_groups(lanes, type, &p, x);
    }
}

static void multiply(const float *x, int64_t rows, int64_t ldx, const float *w, int64_t outputs, int64_t ldw,
                     int64_t k, float *y, int64_t ldy) {
    pith_dense weights = {.values = w, .type = PITH_F32, .columns = k};
    step_rows inputs = {(const char *)x, ldx * 4, 64, k % 16};
    multiply_rows(ONE_FLOAT, &weights, outputs, ldw, inputs, rows, y, ldy, NULL);
}

static float dot(const float *x, const void *w, pith_element type, int64_t k) {
    pith_dense weights = {.values = w, .type = type, .columns = k};
    float product;
    multiply_rows(ONE_FLOAT, &weights, 1, k, (step_rows){(const char *)x, k * 4, 64, k % 16}, 1, &product, 1, NULL);
    return product;
}

static void multiply_dense(const pith_dense *w, int64_t outputs, const pith_tiled_rows *x, float *y, int64_t ldy,
                           void *panel) {
    step_rows inputs = {.base = x->values, .row = x->columns * element_size(x->type)};
    multiply_rows(x->type == PITH_F32 ? ONE_FLOAT : BF16_PAIR, w, outputs, w->columns, inputs, x->rows, y, ldy, panel);
}

static void tile_rows(const float *source, int64_t count, int64_t tile, const pith_tiled_rows *x) {
    int64_t first = tile * MOST_INPUTS, rows = x->rows - first < MOST_INPUTS ? x->rows - first : MOST_INPUTS;
    int64_t elements = x->type == PITH_F32 ? 16 : 32;
    char *to = (char *)x->values + first * x->columns * element_size(x->type);
    for (int64_t row = 0; row < rows; row++) {
        const float *from = source + (first + row) * count;
        for (int64_t i = 0; i < x->columns; i += elements) {
            char *step = to + (i / elements * rows + row) * 64;
            f16v v = load_up_to_16(from + i, count - i);
            if (x->type == PITH_F32) {
                store16((float *)step, v);
                continue;
            }
            h16v low = __builtin_convertvector(narrow_bf16(v), h16v);
            h16v high = __builtin_convertvector(narrow_bf16(load_up_to_16(from + i + 16, count - i - 16)), h16v);
            memcpy(step, &low, sizeof low);
            memcpy(step + 32, &high, sizeof high);
        }
    }
}

static void widen_dense(const pith_dense *row, float *target) {
    widen(row->values, row->type, row->columns, target);
    if (!row->scales) return;
    int64_t group = row->groups > 1 ? row->group : row->columns;
    for (int64_t i = 0; i < row->columns; i++)
        target[i] *= scale_at(row->scales, row->scale_type, i / group);
}
