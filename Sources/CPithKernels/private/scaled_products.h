// Products with packed matrices whose scales `scalings.h` makes. Groups of inputs are single tiles: within a tile, or a
// half of it, sums are exact; over tiles sum += (float(dot) * input scale) * scale, then sum += float(negative sum of
// inputs) * input scale * minimum where there are minima, each with one fused multiply-add, tile after tile.

/// Calls F with packing and scaling as constants, for those that occur together.
#define FOR_SCALED(W, F, ...)                                                                                          \
    switch ((W)->scaling) {                                                                                            \
    case PITH_TILE_MINIMA:                                                                                             \
        switch ((W)->packing) {                                                                                        \
        case PITH_CODES_2: F(__VA_ARGS__, PITH_CODES_2, PITH_TILE_MINIMA); break;                                      \
        case PITH_CODES_3: F(__VA_ARGS__, PITH_CODES_3, PITH_TILE_MINIMA); break;                                      \
        case PITH_CODES_4: F(__VA_ARGS__, PITH_CODES_4, PITH_TILE_MINIMA); break;                                      \
        case PITH_CODES_6: F(__VA_ARGS__, PITH_CODES_6, PITH_TILE_MINIMA); break;                                      \
        case PITH_CODES_8: F(__VA_ARGS__, PITH_CODES_8, PITH_TILE_MINIMA); break;                                      \
        default: F(__VA_ARGS__, PITH_CODES_5, PITH_TILE_MINIMA); break;                                                \
        }                                                                                                              \
        break;                                                                                                         \
    case PITH_FACTOR_MINIMA:                                                                                           \
        if ((W)->packing == PITH_CODES_4) F(__VA_ARGS__, PITH_CODES_4, PITH_FACTOR_MINIMA);                            \
        else F(__VA_ARGS__, PITH_CODES_5, PITH_FACTOR_MINIMA);                                                         \
        break;                                                                                                         \
    case PITH_HALF_MINIMA: F(__VA_ARGS__, PITH_CODES_2, PITH_HALF_MINIMA); break;                                      \
    case PITH_HALF_FACTORS:                                                                                            \
        if ((W)->packing == PITH_CODES_6) F(__VA_ARGS__, PITH_CODES_6, PITH_HALF_FACTORS);                             \
        else F(__VA_ARGS__, PITH_CODES_3, PITH_HALF_FACTORS);                                                          \
        break;                                                                                                         \
    case PITH_FACTORS: F(__VA_ARGS__, PITH_CODEBOOK_4, PITH_FACTORS); break;                                           \
    default: F(__VA_ARGS__, PITH_CODEBOOK_4, PITH_EXPONENTS); break;                                                   \
    }

/// What is taken away of codes as they lie in vectors.
INLINE int32_t zero_of(const pith_packed *w, int minima, int narrow) {
    return (minima ? 0 : w->zero) - (narrow ? 0 : WIDE_BIAS);
}

/// The negative sum of the inputs of a tile or of one half of it.
INLINE int32_t sum_of_inputs(input_tile input, int halves, int64_t tile, int64_t half, int64_t rows, int64_t row) {
    return halves == 1 ? input.sums[tile * rows + row] : input.half_sums[(2 * tile + half) * rows + row];
}

// MARK: One input row

INLINE void dot_scaled_block(const pith_packed *w, int64_t block, input_tile input, int64_t row, float *y, int packing,
                             int scaling, int64_t rows) {
    tile_cursor cursor = begin_tiles(w, block, packing);
    const int8_t *inputs = input.bytes + 4 * row;
    const int halves = halves_of(scaling), minima = has_minima(scaling), narrow = is_narrow(packing);
    const int zero = zero_of(w, minima, narrow), shifts = !(minima && narrow);
    int64_t stride = 4 * rows, step = has_factors(scaling) ? w->group : w->tiles;
    f16v sum = {0};
    for (int64_t tile = 0; tile < w->tiles;) {
        int64_t end = tile + step < w->tiles ? tile + step : w->tiles;
        group_scales group = group_of(w, scaling, block, tile);
        for (; tile < end; tile++, inputs += 8 * stride) {
            b64v v[8];
            read_tile(&cursor, w, packing, v);
            float input_scale = input.scales[tile * rows + row];
            _Pragma("unroll") for (int half = 0; half < halves; half++) {
                int32_t inputs_sum = sum_of_inputs(input, halves, tile, half, rows, row);
                i16v dots[2] = {(i16v){0} + (shifts ? zero * inputs_sum : 0), {0}};
                _Pragma("unroll") for (int i = 0; i < 8 / halves; i++) {
                    int j = half * 4 + i;
                    dots[i & 1] = dot_bytes(dots[i & 1], v[j], four_inputs(inputs + j * stride), narrow);
                }
                part_scales part = part_of(w, scaling, group, block, tile, half);
                sum = FMA(floats_of(dots[0] + dots[1]) * input_scale, part.scale, sum);
                if (minima) sum = FMA((f16v){0} + (float)inputs_sum * input_scale, part.minimum, sum);
            }
        }
    }
    store16(y, sum);
}

/// One or two input rows.
INLINE void dot_scaled_blocks(const pith_packed *w, int64_t block, int64_t blocks, const pith_narrow_rows *x, float *y,
                              int64_t ldy, int packing, int scaling) {
    input_tile input = input_tile_of(x, 0);
    for (int64_t b = 0; b < blocks; b++) {
        if (input.rows == 1) dot_scaled_block(w, block + b, input, 0, y + b * 16, packing, scaling, 1);
        else
            for (int64_t row = 0; row < input.rows; row++)
                dot_scaled_block(w, block + b, input, row, y + row * ldy + b * 16, packing, scaling, 2);
    }
}

// MARK: Many input rows

/// Tiles of one or two blocks laid out as bytes, with their scales and minima as floats, [blocks][tiles][halves][16].
typedef struct {
    const uint8_t *bytes;
    const float *scales, *minima;
    int64_t tile, count;
    int32_t zero;
    int is_narrow;
} scaled_panel;

#define PANEL_SCALES (CHUNK_TILES * 2 * 16)

/// Adds the products of TT input rows, from `row` of a tile on, with NB blocks of a panel to y.
#define SCALED_PANEL(TT, NB)                                                                                           \
    INLINE void scaled_##TT##x##NB(const scaled_panel *p, input_tile input, int64_t row, float *y, int64_t ldy,        \
                                   int halves, int minima, int narrow) {                                               \
        int64_t stride = 4 * input.rows;                                                                               \
        const int8_t *inputs = input.bytes + p->tile * 8 * stride + 4 * row;                                           \
        for (int64_t i = 0; i < p->count; i++, inputs += 8 * stride) {                                                 \
            int64_t tile = p->tile + i, g = tile * input.rows + row;                                                   \
            for (int half = 0; half < halves; half++) {                                                                \
                i16v dots[TT][NB];                                                                                     \
                int32_t sums[TT];                                                                                      \
                _Pragma("unroll") for (int t = 0; t < TT; t++) {                                                       \
                    sums[t] = sum_of_inputs(input, halves, tile, half, input.rows, row + t);                           \
                    _Pragma("unroll") for (int b = 0; b < NB; b++)                                                     \
                        dots[t][b] = (i16v){0} + (minima && narrow ? 0 : p->zero * sums[t]);                           \
                }                                                                                                      \
                for (int j = half * 4; j < half * 4 + 8 / halves; j++) {                                               \
                    b64v v[NB];                                                                                        \
                    for (int b = 0; b < NB; b++) v[b] = load64(p->bytes + (b * CHUNK_TILES + i) * TILE_BYTES + 64 * j);\
                    _Pragma("unroll") for (int t = 0; t < TT; t++) {                                                   \
                        i16v four = four_inputs(inputs + j * stride + 4 * t);                                          \
                        _Pragma("unroll") for (int b = 0; b < NB; b++)                                                 \
                            dots[t][b] = dot_bytes(dots[t][b], v[b], four, narrow);                                    \
                    }                                                                                                  \
                }                                                                                                      \
                f16v scales[NB], lows[NB];                                                                             \
                for (int b = 0; b < NB; b++) {                                                                         \
                    int64_t place = b * PANEL_SCALES + (i * halves + half) * 16;                                       \
                    scales[b] = load16(p->scales + place);                                                             \
                    if (minima) lows[b] = load16(p->minima + place);                                                   \
                }                                                                                                      \
                _Pragma("unroll") for (int t = 0; t < TT; t++) {                                                       \
                    float input_scale = input.scales[g + t];                                                           \
                    _Pragma("unroll") for (int b = 0; b < NB; b++) {                                                   \
                        float *to = y + (row + t) * ldy + 16 * b;                                                      \
                        f16v sum = FMA(floats_of(dots[t][b]) * input_scale, scales[b], load16(to));                    \
                        if (minima) sum = FMA((f16v){0} + (float)sums[t] * input_scale, lows[b], sum);                 \
                        store16(to, sum);                                                                              \
                    }                                                                                                  \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }
SCALED_PANEL(4, 1)
SCALED_PANEL(1, 1)
#if PANEL_BLOCKS == 2
SCALED_PANEL(12, 2)
SCALED_PANEL(4, 2)
SCALED_PANEL(1, 2)
SCALED_PANEL(12, 1)
#define SCALED_FULL(NB)                                                                                                \
    for (; row + 12 <= input.rows; row += 12) scaled_12x##NB(p, input, row, y, ldy, halves, minima, narrow);
#else
#define SCALED_FULL(NB)
#endif

#define SCALED_ROWS(NB)                                                                                                \
    INLINE void scaled_rows_kind_##NB(const scaled_panel *p, input_tile input, float *y, int64_t ldy, int halves,      \
                                      int minima, int narrow) {                                                        \
        int64_t row = 0;                                                                                               \
        SCALED_FULL(NB)                                                                                                \
        for (; row + 4 <= input.rows; row += 4) scaled_4x##NB(p, input, row, y, ldy, halves, minima, narrow);          \
        for (; row < input.rows; row++) scaled_1x##NB(p, input, row, y, ldy, halves, minima, narrow);                  \
    }                                                                                                                  \
    static void scaled_rows_##NB(const scaled_panel *p, input_tile input, float *y, int64_t ldy, int scaling) {        \
        if (!p->is_narrow && has_minima(scaling)) scaled_rows_kind_##NB(p, input, y, ldy, 1, 1, 0);                    \
        else if (!p->is_narrow) scaled_rows_kind_##NB(p, input, y, ldy, 1, 0, 0);                                      \
        else if (!has_minima(scaling)) scaled_rows_kind_##NB(p, input, y, ldy, 2, 0, 1);                               \
        else if (halves_of(scaling) == 1) scaled_rows_kind_##NB(p, input, y, ldy, 1, 1, 1);                            \
        else scaled_rows_kind_##NB(p, input, y, ldy, 2, 1, 1);                                                         \
    }
SCALED_ROWS(1)
#if PANEL_BLOCKS == 2
SCALED_ROWS(2)
#endif

/// The next `count` tiles from `tile` on as bytes, and their scales.
INLINE void unpack_scaled(const pith_packed *w, int64_t block, tile_cursor *cursor, int64_t tile, int64_t count,
                          uint8_t *bytes, float *scales, float *minima, int packing, int scaling) {
    unpack_tiles(cursor, w, count, bytes, packing);
    for (int64_t i = 0; i < count; i++) {
        group_scales group = group_of(w, scaling, block, tile + i);
        for (int half = 0; half < halves_of(scaling); half++, scales += 16, minima += 16) {
            part_scales part = part_of(w, scaling, group, block, tile + i, half);
            store16(scales, part.scale);
            if (has_minima(scaling)) store16(minima, part.minimum);
        }
    }
}

/// Up to PANEL_BLOCKS blocks, unpacked chunk by chunk.
static void multiply_scaled_panel(const pith_packed *w, int64_t block, int64_t blocks, const pith_narrow_rows *x,
                                  float *y, int64_t ldy) {
    _Alignas(64) uint8_t bytes[PANEL_BLOCKS * CHUNK_TILES * TILE_BYTES];
    _Alignas(64) float scales[PANEL_BLOCKS * PANEL_SCALES], minima[PANEL_BLOCKS * PANEL_SCALES];
    int64_t input_tiles = (x->rows + PITH_TILE_ROWS - 1) / PITH_TILE_ROWS;
    int narrow = is_narrow(w->packing);
    for (int64_t row = 0; row < x->rows; row++) memset(y + row * ldy, 0, (size_t)blocks * 64);
    tile_cursor cursors[PANEL_BLOCKS];
    for (int64_t b = 0; b < blocks; b++) cursors[b] = begin_tiles(w, block + b, w->packing);
    for (int64_t tile = 0; tile < w->tiles; tile += CHUNK_TILES) {
        int64_t count = w->tiles - tile < CHUNK_TILES ? w->tiles - tile : CHUNK_TILES;
        scaled_panel panel = {bytes, scales, minima, tile, count, zero_of(w, has_minima(w->scaling), narrow), narrow};
        for (int64_t b = 0; b < blocks; b++) {
            FOR_SCALED(w, unpack_scaled, w, block + b, &cursors[b], tile, count, bytes + b * CHUNK_TILES * TILE_BYTES,
                       scales + b * PANEL_SCALES, minima + b * PANEL_SCALES)
        }
        for (int64_t t = 0; t < input_tiles; t++) {
            float *to = y + t * PITH_TILE_ROWS * ldy;
#if PANEL_BLOCKS == 2
            if (blocks == 2) {
                scaled_rows_2(&panel, input_tile_of(x, t), to, ldy, w->scaling);
                continue;
            }
#endif
            scaled_rows_1(&panel, input_tile_of(x, t), to, ldy, w->scaling);
        }
    }
}

static void multiply_scaled(const pith_packed *w, int64_t block, int64_t blocks, const pith_narrow_rows *x, float *y,
                            int64_t ldy) {
    if (x->rows <= 2) {
        FOR_SCALED(w, dot_scaled_blocks, w, block, blocks, x, y, ldy)
        return;
    }
    for (int64_t b = 0; b < blocks; b += PANEL_BLOCKS)
        multiply_scaled_panel(w, block + b, blocks - b < PANEL_BLOCKS ? 1 : PANEL_BLOCKS, x, y + 16 * b, ldy);
}
