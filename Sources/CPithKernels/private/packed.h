// Products with packed matrices: 16 rows of W side by side, a lane for each row, so that sums need no lanes added.
//
// A tile is 16 rows by 32 columns: eight vectors of 64 bytes, vector j holding the columns 4j to 4j + 3 of each row,
// row after row. Inputs are bytes with a scale by group; within a group all arithmetic is exact in whole numbers, and
// over groups sum += (float(dot) * input scale) * weight scale with one fused multiply-add, group after group. So all
// paths give the same bits, whatever is multiplied together.

#include "byte_products.h"

// MARK: How tiles are packed

#define TILE_BYTES 512

/// How far ahead codes are asked for where loads are too far apart for processors to see the stream in time.
#define PREFETCH_BYTES 4096

#include "masked.h"

/// Where a block of W is read next.
typedef struct {
    const uint8_t *codes;
    mask_cursor masks;
    // Trits alone: what is left of eight vectors, the tiles from them on, and how many of those were read.
    b64v rest[8];
    int64_t tiles;
    int trit;
} tile_cursor;

/// Whether only the listed tiles are stored.
INLINE int lists_tiles(const pith_packed *w) { return w->offsets && !is_masked(w->packing); }

/// How many tiles of a block are stored, and which the i-th of them is.
INLINE int64_t stored_tiles(const pith_packed *w, int64_t block) {
    return lists_tiles(w) ? w->offsets[block + 1] - w->offsets[block] : w->tiles;
}
INLINE int64_t stored_tile(const pith_packed *w, int64_t block, int64_t i) {
    return lists_tiles(w) ? w->kept_tiles[w->offsets[block] + i] : i;
}

/// Codes of up to 8 bits in planes of 4, 2 and 1 bits, the lowest bits first: a vector of a plane of b bits holds 8/b
/// vectors of the tile, the first in the lowest bits.
INLINE void read_codes(tile_cursor *cursor, int bits, b64v v[8]) {
    const uint8_t *p = cursor->codes;
    int shift = 0;
    if (bits == 8) {
        _Pragma("unroll") for (int j = 0; j < 8; j++) v[j] = load64(p + 64 * j);
        cursor->codes += TILE_BYTES;
        return;
    }
    // Loads are too few, and pages too many, for processors to keep the memory busy by themselves.
    _Pragma("unroll") for (int j = 0; j < bits; j++) __builtin_prefetch(cursor->codes + PREFETCH_BYTES + 64 * j);
    if (bits & 4) {
        _Pragma("unroll") for (int j = 0; j < 4; j++) {
            b64v plane = load64(p + 64 * j);
            v[2 * j] = plane & 15;
            v[2 * j + 1] = shift_bytes(plane, 4, 15);
        }
        p += 256;
        shift = 4;
    }
    if (bits & 2) {
        _Pragma("unroll") for (int j = 0; j < 2; j++) {
            b64v plane = load64(p + 64 * j);
            _Pragma("unroll") for (int i = 0; i < 4; i++) {
                b64v part = shift_bytes(plane, 2 * i - shift, 3 << shift);
                v[4 * j + i] = shift ? v[4 * j + i] | part : part;
            }
        }
        p += 128;
        shift += 2;
    }
    if (bits & 1) {
        b64v plane = load64(p);
        _Pragma("unroll") for (int i = 0; i < 8; i++) v[i] |= shift_bytes(plane, i - shift, 1 << shift);
        p += 64;
    }
    cursor->codes = p;
}

#include "packing.h"
#include "codebooks.h"

INLINE tile_cursor begin_tiles(const pith_packed *w, int64_t block, int packing) {
    if (packing == PITH_TRITS) return begin_trits(w, block);
    int64_t start = w->offsets ? w->offsets[block] : block * w->tiles;
    tile_cursor cursor = {.codes = w->codes + start * w->tile_bytes};
    if (is_masked(packing)) cursor.masks = begin_masks(w, block);
    return cursor;
}

/// The next tile, as codes of a byte each.
INLINE void read_tile(tile_cursor *cursor, const pith_packed *w, int packing, b64v v[8]) {
    if (is_masked(packing))
        cursor->codes = read_masked(&cursor->masks, cursor->codes, w->group, bits_of_masked(packing), v);
    else if (packing >= PITH_CODEBOOK_2 && packing <= PITH_CODEBOOK_8)
        read_entries(cursor, w, packing - PITH_CODEBOOK_2 + 2, v);
    else if (packing == PITH_TRITS) read_trits(cursor, v);
    else if (packing == PITH_VECTORS_4) read_vectors(cursor, w, 4, v);
    else if (packing == PITH_VECTORS_8) read_vectors(cursor, w, 8, v);
    else read_codes(cursor, packing, v);
}

/// How large codes are: below 16, below 128, or any byte.
typedef enum { SMALL_CODES, NARROW_CODES, WIDE_CODES } code_kind;

INLINE code_kind kind_of(int packing) {
    if (packing == PITH_TRITS) return SMALL_CODES;
    int bits = is_masked(packing) ? bits_of_masked(packing) : packing;
    return bits <= 4 ? SMALL_CODES : bits < 8 ? NARROW_CODES : WIDE_CODES;
}

/// Whether all codes of a packing are below 128.
INLINE int is_narrow(int packing) { return kind_of(packing) != WIDE_CODES; }

/// Calls F with the packing as a constant, so that each packing gets a loop of its own.
#define FOR_PACKING(W, F, ...)                                                                                         \
    switch ((W)->packing) {                                                                                            \
    case PITH_MASKED_2: F(__VA_ARGS__, PITH_MASKED_2); break;                                                          \
    case PITH_MASKED_3: F(__VA_ARGS__, PITH_MASKED_3); break;                                                          \
    case PITH_MASKED_4: F(__VA_ARGS__, PITH_MASKED_4); break;                                                          \
    case PITH_MASKED_5: F(__VA_ARGS__, PITH_MASKED_5); break;                                                          \
    case PITH_MASKED_6: F(__VA_ARGS__, PITH_MASKED_6); break;                                                          \
    case PITH_MASKED_7: F(__VA_ARGS__, PITH_MASKED_7); break;                                                          \
    case PITH_MASKED_8: F(__VA_ARGS__, PITH_MASKED_8); break;                                                          \
    default: FOR_CODES(W, F, __VA_ARGS__)                                                                              \
    }

/// The same for packings of all codes.
#define FOR_CODES(W, F, ...)                                                                                           \
    switch ((W)->packing) {                                                                                            \
    case PITH_CODES_2: F(__VA_ARGS__, PITH_CODES_2); break;                                                            \
    case PITH_CODES_3: F(__VA_ARGS__, PITH_CODES_3); break;                                                            \
    case PITH_CODES_4: F(__VA_ARGS__, PITH_CODES_4); break;                                                            \
    case PITH_CODES_5: F(__VA_ARGS__, PITH_CODES_5); break;                                                            \
    case PITH_CODES_6: F(__VA_ARGS__, PITH_CODES_6); break;                                                            \
    case PITH_CODES_7: F(__VA_ARGS__, PITH_CODES_7); break;                                                            \
    case PITH_CODEBOOK_2: F(__VA_ARGS__, PITH_CODEBOOK_2); break;                                                      \
    case PITH_CODEBOOK_3: F(__VA_ARGS__, PITH_CODEBOOK_3); break;                                                      \
    case PITH_CODEBOOK_4: F(__VA_ARGS__, PITH_CODEBOOK_4); break;                                                      \
    case PITH_CODEBOOK_5: F(__VA_ARGS__, PITH_CODEBOOK_5); break;                                                      \
    case PITH_CODEBOOK_6: F(__VA_ARGS__, PITH_CODEBOOK_6); break;                                                      \
    case PITH_CODEBOOK_7: F(__VA_ARGS__, PITH_CODEBOOK_7); break;                                                      \
    case PITH_CODEBOOK_8: F(__VA_ARGS__, PITH_CODEBOOK_8); break;                                                      \
    case PITH_TRITS: F(__VA_ARGS__, PITH_TRITS); break;                                                                \
    case PITH_VECTORS_4: F(__VA_ARGS__, PITH_VECTORS_4); break;                                                        \
    case PITH_VECTORS_8: F(__VA_ARGS__, PITH_VECTORS_8); break;                                                        \
    default: F(__VA_ARGS__, PITH_CODES_8); break;                                                                      \
    }

// MARK: Scales and zeros

/// Scales of the 16 rows of a block, for the group that `tile` belongs to.
INLINE f16v block_scales(const pith_packed *w, int64_t block, int64_t tile) {
    return widen_f16(w->scales + (block * w->groups + tile / w->group) * 16);
}

INLINE i16v block_zeros(const pith_packed *w, int64_t block, int64_t tile) {
    if (!w->zeros) return (i16v){0} + w->zero;
    b16v bytes;
    memcpy(&bytes, w->zeros + (block * w->groups + tile / w->group) * 16, sizeof bytes);
    return __builtin_convertvector(bytes, i16v);
}

/// The same for codes as `dot_bytes` multiplies them.
INLINE i16v product_zeros(const pith_packed *w, int64_t block, int64_t tile, code_kind kind) {
    return block_zeros(w, block, tile) - (kind == WIDE_CODES ? WIDE_BIAS : 0);
}

#include "scalings.h"

// MARK: Inputs

#define LARGEST_INPUT 127.0f

/// The bytes, scales and sums of one tile of rows.
typedef struct {
    int8_t *bytes;
    float *scales;
    int32_t *sums;
    int32_t *half_sums;
    int64_t rows;
} input_tile;

INLINE input_tile input_tile_of(const pith_narrow_rows *x, int64_t tile) {
    int64_t first = tile * PITH_TILE_ROWS, groups = (x->columns + x->group - 1) / x->group;
    int64_t rows = x->rows - first < PITH_TILE_ROWS ? x->rows - first : PITH_TILE_ROWS;
    return (input_tile){x->bytes + first * x->columns, x->scales + first * groups, x->sums + first * groups,
                        x->half_sums ? x->half_sums + 2 * first * groups : NULL, rows};
}

INLINE int32_t sum_integers(i16v v) {
    int32_t total = 0;
    for (int i = 0; i < 16; i++) total += v[i];
    return total;
}

/// Rounds one group of one row: bytes = x * 127 / max |x|. `stride` is the distance of four bytes to the next four.
/// `half_sums`, if there are any, are the negative sums of 16 columns, `rows` apart.
INLINE void narrow_group(const float *x, int64_t count, int64_t group, int8_t *bytes, int64_t stride, float *scale,
                         int32_t *negative_sum, int32_t *half_sums, int64_t rows) {
    f16v largest = {0};
    for (int64_t i = 0; i < count; i += 16)
        largest = __builtin_elementwise_max(largest, __builtin_elementwise_abs(load_up_to_16(x + i, count - i)));
    f8v a = __builtin_elementwise_max(__builtin_shufflevector(largest, largest, 0, 1, 2, 3, 4, 5, 6, 7),
                                      __builtin_shufflevector(largest, largest, 8, 9, 10, 11, 12, 13, 14, 15));
    f4v b = __builtin_elementwise_max(__builtin_shufflevector(a, a, 0, 1, 2, 3), __builtin_shufflevector(a, a, 4, 5, 6, 7));
    float most = b[0] > b[1] ? b[0] : b[1], other = b[2] > b[3] ? b[2] : b[3];
    if (other > most) most = other;
    // Rows of zeros, and of what is no number, become zeros.
    int usable = most > 0x1p-100f && most < 0x1p126f;
    f16v factor = (f16v){0} + (usable ? LARGEST_INPUT / most : 0.0f);
    i16v sum = {0};
    for (int64_t i = 0; i < group; i += 16) {
        f16v scaled = usable ? load_up_to_16(x + i, count - i) * factor : (f16v){0};
        i16v rounded = __builtin_convertvector(__builtin_elementwise_roundeven(scaled), i16v);
        sum += rounded;
        if (half_sums) half_sums[i / 16 * rows] = -sum_integers(rounded);
        typedef int8_t c16v __attribute__((vector_size(16)));
        c16v narrow = __builtin_convertvector(rounded, c16v);
        for (int j = 0; j < 4; j++) memcpy(bytes + (i / 4 + j) * stride, (char *)&narrow + 4 * j, 4);
    }
    *scale = usable ? most / LARGEST_INPUT : 0.0f;
    *negative_sum = -sum_integers(sum);
}

static void narrow_rows(const float *source, int64_t count, int64_t tile, const pith_narrow_rows *x) {
    input_tile to = input_tile_of(x, tile);
    source += tile * PITH_TILE_ROWS * count;
    for (int64_t row = 0; row < to.rows; row++) {
        for (int64_t start = 0, g = 0; start < x->columns; start += x->group, g++) {
            int64_t padded = x->columns - start < x->group ? x->columns - start : x->group;
            int64_t here = count - start < padded ? count - start : padded;
            narrow_group(source + row * count + start, here, padded, to.bytes + start * to.rows + 4 * row,
                         4 * to.rows, to.scales + g * to.rows + row, to.sums + g * to.rows + row,
                         to.half_sums ? to.half_sums + 2 * g * to.rows + row : NULL, to.rows);
        }
    }
}

// MARK: One input row

/// Products of one input row with the 16 rows of a block, tiles unpacked on the way. `rows` is input.rows, a constant.
INLINE void dot_block(const pith_packed *w, int64_t block, const pith_narrow_rows *x, input_tile input, int64_t row,
                      float *y, int packing, int64_t rows) {
    tile_cursor cursor = begin_tiles(w, block, packing);
    const int8_t *inputs = input.bytes + 4 * row;
    int64_t step = x->group / 32, stride = 4 * rows;
    f16v sum = {0};
    for (int64_t tile = 0, g = row; tile < w->tiles; g += rows) {
        int64_t end = tile + step < w->tiles ? tile + step : w->tiles;
        f16v scales = block_scales(w, block, tile);
        i16v zeros = product_zeros(w, block, tile, kind_of(packing));
        i16v dots[2] = {zero_term(zeros, input.sums[g]), {0}};
#if defined(HAS_TRIT_SUMS)
        if (packing == PITH_TRITS) {
            trit_sums sums = {0};
            for (; tile < end; tile++, inputs += 8 * stride) add_trits(&cursor, &sums, inputs, stride);
            dots[0] += trit_total(&sums);
        }
#endif
        for (; tile < end; tile++, inputs += 8 * stride) {
            b64v v[8];
            read_tile(&cursor, w, packing, v);
            _Pragma("unroll") for (int j = 0; j < 8; j++)
                dots[j & 1] = dot_bytes(dots[j & 1], v[j], four_inputs(inputs + j * stride), is_narrow(packing));
        }
        sum = FMA(__builtin_convertvector(dots[0] + dots[1], f16v) * input.scales[g], scales, sum);
    }
    store16(y, sum);
}

/// The same where only some tiles are kept. Groups of inputs are one tile, so that tiles stand alone.
INLINE void dot_kept_tiles(const pith_packed *w, int64_t block, input_tile input, int64_t row, float *y, int packing) {
    tile_cursor cursor = begin_tiles(w, block, packing);
    int64_t stride = 4 * input.rows, count = stored_tiles(w, block);
    f16v sum = {0};
    for (int64_t i = 0; i < count; i++) {
        int64_t tile = stored_tile(w, block, i), g = tile * input.rows + row;
        const int8_t *inputs = input.bytes + tile * 8 * stride + 4 * row;
        i16v zeros = product_zeros(w, block, tile, kind_of(packing));
        i16v dots[2] = {zero_term(zeros, input.sums[g]), {0}};
        b64v v[8];
        read_tile(&cursor, w, packing, v);
        _Pragma("unroll") for (int j = 0; j < 8; j++)
            dots[j & 1] = dot_bytes(dots[j & 1], v[j], four_inputs(inputs + j * stride), is_narrow(packing));
        f16v dot = __builtin_convertvector(dots[0] + dots[1], f16v) * input.scales[g];
        sum = FMA(dot, block_scales(w, block, tile), sum);
    }
    store16(y, sum);
}

/// One or two input rows.
INLINE void dot_blocks(const pith_packed *w, int64_t block, int64_t blocks, const pith_narrow_rows *x, float *y,
                       int64_t ldy, int packing) {
    input_tile input = input_tile_of(x, 0);
    for (int64_t b = 0; b < blocks; b++) {
        if (input.rows == 1) dot_block(w, block + b, x, input, 0, y + b * 16, packing, 1);
        else
            for (int64_t row = 0; row < input.rows; row++)
                dot_block(w, block + b, x, input, row, y + row * ldy + b * 16, packing, 2);
    }
}

INLINE void dot_kept_blocks(const pith_packed *w, int64_t block, int64_t blocks, const pith_narrow_rows *x, float *y,
                            int64_t ldy, int packing) {
    for (int64_t b = 0; b < blocks; b++)
        for (int64_t row = 0; row < x->rows; row++)
            dot_kept_tiles(w, block + b, input_tile_of(x, 0), row, y + row * ldy + b * 16, packing);
}

// MARK: Many input rows

/// Tiles of a block that are unpacked together: 32 KB.
#define CHUNK_TILES 64

/// The next `count` tiles.
INLINE void unpack_tiles(tile_cursor *cursor, const pith_packed *w, int64_t count, uint8_t *bytes, int packing) {
    for (int64_t i = 0; i < count; i++) {
        b64v v[8];
        read_tile(cursor, w, packing, v);
        _Pragma("unroll") for (int j = 0; j < 8; j++) store64(bytes + i * TILE_BYTES + 64 * j, v[j]);
    }
}

static void unpack(tile_cursor *cursor, const pith_packed *w, int64_t count, uint8_t *bytes) {
    FOR_PACKING(w, unpack_tiles, cursor, w, count, bytes)
}

/// Tiles of one or two blocks laid out as bytes.
typedef struct {
    const pith_packed *w;
    const uint8_t *bytes;
    int64_t block, tile, count;
} byte_panel;

/// Adds the products of TT input rows with a tile of each of NB blocks.
#define PANEL_TILE(TT, NB)                                                                                             \
    INLINE void tile_##TT##x##NB(const uint8_t *bytes, const int8_t *inputs, int64_t stride, i16v dots[TT][NB],        \
                                 code_kind kind) {                                                                     \
        PAIRS_OF_TILE(TT, NB)                                                                                          \
        for (int j = 0; j < 8; j++) {                                                                                  \
            b64v v[NB];                                                                                                \
            for (int b = 0; b < NB; b++) v[b] = load64(bytes + 64 * j + b * CHUNK_TILES * TILE_BYTES);                 \
            _Pragma("unroll") for (int t = 0; t < TT; t++) {                                                           \
                i16v four = four_inputs(inputs + j * stride + 4 * t);                                                  \
                _Pragma("unroll") for (int b = 0; b < NB; b++)                                                         \
                    dots[t][b] = dot_bytes(dots[t][b], v[b], four, kind != WIDE_CODES);                                \
            }                                                                                                          \
        }                                                                                                              \
    }
#if defined(HAS_PAIRS)
#define PAIRS_OF_TILE(TT, NB)                                                                                          \
    if (kind == SMALL_CODES) {                                                                                         \
        p32v pairs[TT][NB];                                                                                            \
        for (int t = 0; t < TT; t++)                                                                                   \
            for (int b = 0; b < NB; b++) pairs[t][b] = (p32v){0};                                                      \
        for (int j = 0; j < 8; j++) {                                                                                  \
            b64v v[NB];                                                                                                \
            for (int b = 0; b < NB; b++) v[b] = load64(bytes + 64 * j + b * CHUNK_TILES * TILE_BYTES);                 \
            _Pragma("unroll") for (int t = 0; t < TT; t++) {                                                           \
                i16v four = four_inputs(inputs + j * stride + 4 * t);                                                  \
                _Pragma("unroll") for (int b = 0; b < NB; b++) pairs[t][b] = add_byte_pairs(pairs[t][b], v[b], four);  \
            }                                                                                                          \
        }                                                                                                              \
        for (int t = 0; t < TT; t++)                                                                                   \
            for (int b = 0; b < NB; b++) dots[t][b] = sum_byte_pairs(dots[t][b], pairs[t][b]);                         \
        return;                                                                                                        \
    }
#else
#define PAIRS_OF_TILE(TT, NB)
#endif

/// Adds the products of TT input rows, from `row` of a tile on, with NB blocks of a panel to y.
#define PANEL(TT, NB)                                                                                                  \
    PANEL_TILE(TT, NB)                                                                                                 \
    INLINE void panel_##TT##x##NB(const byte_panel *p, const pith_narrow_rows *x, input_tile input, int64_t row,       \
                                  float *y, int64_t ldy, code_kind kind) {                                             \
        int64_t step = x->group / 32, stride = 4 * input.rows, stop = p->tile + p->count;                              \
        const int8_t *inputs = input.bytes + p->tile * 8 * stride + 4 * row;                                           \
        const uint8_t *bytes = p->bytes;                                                                               \
        for (int64_t tile = p->tile; tile < stop;) {                                                                   \
            int64_t g = tile / step * input.rows + row, end = tile + step < stop ? tile + step : stop;                 \
            i16v zeros[NB], dots[TT][NB];                                                                              \
            for (int b = 0; b < NB; b++)                                                                               \
                zeros[b] = product_zeros(p->w, p->block + b, tile, kind);                                              \
            _Pragma("unroll") for (int t = 0; t < TT; t++)                                                             \
                _Pragma("unroll") for (int b = 0; b < NB; b++) dots[t][b] = zero_term(zeros[b], input.sums[g + t]);    \
            f16v scales[NB];                                                                                           \
            for (int b = 0; b < NB; b++) scales[b] = block_scales(p->w, p->block + b, tile);                           \
            for (; tile < end; tile++, inputs += 8 * stride, bytes += TILE_BYTES)                                      \
                tile_##TT##x##NB(bytes, inputs, stride, dots, kind);                                                   \
            _Pragma("unroll") for (int t = 0; t < TT; t++)                                                             \
                _Pragma("unroll") for (int b = 0; b < NB; b++) {                                                       \
                    float *to = y + (row + t) * ldy + 16 * b;                                                          \
                    f16v dot = __builtin_convertvector(dots[t][b], f16v) * input.scales[g + t];                        \
                    store16(to, FMA(dot, scales[b], load16(to)));                                                      \
                }                                                                                                      \
        }                                                                                                              \
    }

// As many sums as there are registers for.
PANEL(4, 1)
PANEL(1, 1)
#if defined(__AVX512F__)
#define PANEL_BLOCKS 2
PANEL(12, 2)
PANEL(4, 2)
PANEL(1, 2)
PANEL(12, 1)
#else
#define PANEL_BLOCKS 1
#endif

#define PANEL_ROWS(NB)                                                                                                 \
    INLINE void panel_rows_kind_##NB(const byte_panel *p, const pith_narrow_rows *x, input_tile input, float *y,       \
                                int64_t ldy, code_kind kind) {                                                         \
        int64_t row = 0;                                                                                               \
        PANEL_FULL(NB)                                                                                                 \
        for (; row + 4 <= input.rows; row += 4) panel_4x##NB(p, x, input, row, y, ldy, kind);                          \
        for (; row < input.rows; row++) panel_1x##NB(p, x, input, row, y, ldy, kind);                                  \
    }
#if defined(__AVX512F__)
#define PANEL_FULL(NB)                                                                                                 \
    for (; row + 12 <= input.rows; row += 12) panel_12x##NB(p, x, input, row, y, ldy, kind);
#else
#define PANEL_FULL(NB)
#endif
#define PANEL_KINDS(NB)                                                                                                \
    PANEL_ROWS(NB)                                                                                                     \
    static void panel_rows_##NB(const byte_panel *p, const pith_narrow_rows *x, input_tile input, float *y,            \
                                int64_t ldy, code_kind kind) {                                                         \
        switch (kind) {                                                                                                \
        case SMALL_CODES: panel_rows_kind_##NB(p, x, input, y, ldy, SMALL_CODES); break;                               \
        case NARROW_CODES: panel_rows_kind_##NB(p, x, input, y, ldy, NARROW_CODES); break;                             \
        default: panel_rows_kind_##NB(p, x, input, y, ldy, WIDE_CODES); break;                                         \
        }                                                                                                              \
    }
PANEL_KINDS(1)
#if PANEL_BLOCKS == 2
PANEL_KINDS(2)
#endif

/// Up to PANEL_BLOCKS blocks, unpacked chunk by chunk.
static void multiply_panel(const pith_packed *w, int64_t block, int64_t blocks, const pith_narrow_rows *x, float *y,
                           int64_t ldy) {
    _Alignas(64) uint8_t bytes[PANEL_BLOCKS * CHUNK_TILES * TILE_BYTES];
    int64_t input_tiles = (x->rows + PITH_TILE_ROWS - 1) / PITH_TILE_ROWS, step = x->group / 32;
    int64_t chunk = CHUNK_TILES / step * step;
    for (int64_t row = 0; row < x->rows; row++) memset(y + row * ldy, 0, (size_t)blocks * 64);
    tile_cursor cursors[PANEL_BLOCKS];
    for (int64_t b = 0; b < blocks; b++) cursors[b] = begin_tiles(w, block + b, w->packing);
    for (int64_t tile = 0; tile < w->tiles; tile += chunk) {
        byte_panel panel = {w, bytes, block, tile, w->tiles - tile < chunk ? w->tiles - tile : chunk};
        for (int64_t b = 0; b < blocks; b++) {
            uint8_t *to = bytes + b * CHUNK_TILES * TILE_BYTES;
            unpack(&cursors[b], w, panel.count, to);
        }
        code_kind kind = kind_of(w->packing);
        for (int64_t t = 0; t < input_tiles; t++) {
            float *to = y + t * PITH_TILE_ROWS * ldy;
#if PANEL_BLOCKS == 2
            if (blocks == 2) {
                panel_rows_2(&panel, x, input_tile_of(x, t), to, ldy, kind);
                continue;
            }
#endif
            panel_rows_1(&panel, x, input_tile_of(x, t), to, ldy, kind);
        }
    }
}

/// One block where only some tiles are kept: each is a panel of its own.
static void multiply_kept_tiles(const pith_packed *w, int64_t block, const pith_narrow_rows *x, float *y, int64_t ldy) {
    _Alignas(64) uint8_t bytes[CHUNK_TILES * TILE_BYTES];
    int64_t input_tiles = (x->rows + PITH_TILE_ROWS - 1) / PITH_TILE_ROWS, stored = stored_tiles(w, block);
    tile_cursor cursor = begin_tiles(w, block, w->packing);
    for (int64_t row = 0; row < x->rows; row++) memset(y + row * ldy, 0, 64);
    for (int64_t first = 0; first < stored; first += CHUNK_TILES) {
        int64_t count = stored - first < CHUNK_TILES ? stored - first : CHUNK_TILES;
        unpack(&cursor, w, count, bytes);
        for (int64_t t = 0; t < input_tiles; t++) {
            input_tile input = input_tile_of(x, t);
            for (int64_t i = 0; i < count; i++) {
                byte_panel panel = {w, bytes + i * TILE_BYTES, block, stored_tile(w, block, first + i), 1};
                panel_rows_1(&panel, x, input, y + t * PITH_TILE_ROWS * ldy, ldy, kind_of(w->packing));
            }
        }
    }
}

#include "scaled_products.h"

static void multiply_packed(const pith_packed *w, int64_t block, int64_t blocks, const pith_narrow_rows *x, float *y,
                            int64_t ldy) {
    if (w->scaling != PITH_GROUP_SCALES) {
        multiply_scaled(w, block, blocks, x, y, ldy);
        return;
    }
    if (lists_tiles(w)) {
        if (x->rows <= 2) {
            FOR_CODES(w, dot_kept_blocks, w, block, blocks, x, y, ldy)
            return;
        }
        for (int64_t b = 0; b < blocks; b++) multiply_kept_tiles(w, block + b, x, y + 16 * b, ldy);
        return;
    }
    if (x->rows <= 2) {
        FOR_PACKING(w, dot_blocks, w, block, blocks, x, y, ldy)
        return;
    }
    for (int64_t b = 0; b < blocks; b += PANEL_BLOCKS)
        multiply_panel(w, block + b, blocks - b < PANEL_BLOCKS ? 1 : PANEL_BLOCKS, x, y + 16 * b, ldy);
}

// MARK: Inputs as floats

/// Adds the products of TT input rows of floats with one unpacked tile: columns one after the other.
#define FLOAT_TILE(TT)                                                                                                 \
    INLINE void float_tile_##TT(const uint8_t *bytes, f16v scales, f16v shifts, const float *x, int64_t ldx,           \
                                int64_t columns, float *y, int64_t ldy) {                                              \
        f16v sum[TT];                                                                                                  \
        for (int t = 0; t < TT; t++) sum[t] = load16(y + t * ldy);                                                     \
        for (int64_t k = 0; k < columns; k++) {                                                                        \
            u16v quad;                                                                                                 \
            memcpy(&quad, bytes + k / 4 * 64, sizeof quad);                                                            \
            f16v codes = __builtin_convertvector((i16v)(quad >> (uint32_t)(k % 4 * 8) & 255), f16v);                   \
            f16v weights = FMA(codes, scales, shifts);                                                                 \
            _Pragma("unroll") for (int t = 0; t < TT; t++) sum[t] = FMA(weights, (f16v){0} + x[t * ldx + k], sum[t]);  \
        }                                                                                                              \
        for (int t = 0; t < TT; t++) store16(y + t * ldy, sum[t]);                                                     \
    }
FLOAT_TILE(8)
FLOAT_TILE(1)

static void multiply_packed_floats(const pith_packed *w, int64_t block, int64_t blocks, const float *x, int64_t rows,
                                   int64_t count, float *y, int64_t ldy) {
    _Alignas(64) uint8_t bytes[TILE_BYTES];
    for (int64_t row = 0; row < rows; row++) memset(y + row * ldy, 0, (size_t)blocks * 64);
    for (int64_t b = 0; b < blocks; b++) {
        tile_cursor cursor = begin_tiles(w, block + b, w->packing);
        int64_t stored = stored_tiles(w, block + b);
        for (int64_t i = 0; i < stored; i++) {
            int64_t tile = stored_tile(w, block + b, i);
            unpack(&cursor, w, 1, bytes);
            int64_t columns = count - tile * 32 < 32 ? count - tile * 32 : 32, width = 32 / halves_of(w->scaling);
            for (int64_t start = 0; start < columns; start += width) {
                part_scales part = scales_of(w, w->scaling, block + b, tile, start / width);
                // Exact where there is a zero: a scale has up to 18 bits, and no zero has more than 8, of which most are
                // powers of two.
                f16v shifts = -FMA(part.scale, part.zero, part.minimum);
                const uint8_t *codes = bytes + start * 16;
                const float *from = x + tile * 32 + start;
                int64_t here = columns - start < width ? columns - start : width, row = 0;
                for (; row + 8 <= rows; row += 8)
                    float_tile_8(codes, part.scale, shifts, from + row * count, count, here, y + row * ldy + 16 * b,
                                 ldy);
                for (; row < rows; row++)
                    float_tile_1(codes, part.scale, shifts, from + row * count, count, here, y + row * ldy + 16 * b,
                                 ldy);
            }
        }
    }
}

static void decode_packed(const pith_packed *w, int64_t row, int64_t count, float *target) {
    _Alignas(64) uint8_t bytes[TILE_BYTES];
    int64_t block = row / 16, lane = row % 16, stored = stored_tiles(w, block);
    tile_cursor cursor = begin_tiles(w, block, w->packing);
    if (lists_tiles(w)) memset(target, 0, (size_t)count * sizeof(float));
    for (int64_t i = 0; i < stored; i++) {
        int64_t tile = stored_tile(w, block, i);
        unpack(&cursor, w, 1, bytes);
        int64_t columns = count - tile * 32 < 32 ? count - tile * 32 : 32, width = 32 / halves_of(w->scaling);
        for (int64_t start = 0; start < columns; start += width) {
            part_scales part = scales_of(w, w->scaling, block, tile, start / width);
            float scale = part.scale[lane], zero = part.zero[lane], minimum = part.minimum[lane];
            int64_t end = columns - start < width ? columns : start + width;
            for (int64_t k = start; k < end; k++)
                target[tile * 32 + k] = ((float)bytes[k / 4 * 64 + lane * 4 + k % 4] - zero) * scale - minimum;
        }
    }
}
