// SIMD kernels. Each is one source (`kernels.inc`) compiled for several instruction sets and chosen at run time.
//
// Sums run over 16 virtual lanes: lane l takes the elements l, l + 16, ..., each by one fused multiply-add, and the
// lanes are added pairwise in a fixed tree. So every path, and every way to cut the rows, gives the same bits.
#ifndef CPITH_KERNELS_H
#define CPITH_KERNELS_H

#include <stdint.h>

#include "CPithRecurrences.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Sets of kernels hold functions alone: Swift may pass them from thread to thread.
#ifdef __clang__
#define PITH_SENDABLE __attribute__((swift_attr("@Sendable")))
#else
#define PITH_SENDABLE
#endif

/// Instruction sets, weakest first.
typedef enum {
    PITH_PATH_BASELINE = 0, ///< what the compiler's target has: SSE2 on x86-64, NEON on arm64
    PITH_PATH_NEON_DOT = 1, ///< NEON with dot products of bytes
    PITH_PATH_AVX2 = 2,     ///< AVX2, FMA and F16C
    PITH_PATH_AVX_VNNI = 3, ///< AVX2 with dot products of bytes
    PITH_PATH_AVX512 = 4,   ///< AVX-512 F, BW, DQ and VL
    PITH_PATH_AVX512_VNNI = 5, ///< AVX-512 with dot products of bytes, VBMI and VBMI2
    PITH_PATH_AVX512_BF16 = 6, ///< the same, with dot products of BF16
} pith_path;

/// Element types of dense matrices.
typedef enum { PITH_F32 = 0, PITH_F16 = 1, PITH_BF16 = 2, PITH_F8_E4M3 = 3, PITH_F8_E5M2 = 4 } pith_element;

/// Rows of a dense matrix, row after row; weight = value * scale, by row and group of columns.
typedef struct {
    const void *values;
    pith_element type;
    int64_t columns;
    /// F32 or F16, [rows][groups], or NULL where all are 1.
    const void *scales;
    pith_element scale_type;
    /// Scales of a row.
    int64_t groups;
    /// Columns that share a scale, a multiple of 32 if there are several groups.
    int64_t group;
} pith_dense;

/// Rows of inputs of dense matrices that are laid out together.
#define PITH_DENSE_TILE_ROWS 6

/// Inputs of dense matrices, as they are or rounded to BF16. Rows lie in tiles of PITH_DENSE_TILE_ROWS, the last tile
/// with the rest: [columns by the elements of 64 bytes][rows of the tile][64 bytes].
typedef struct {
    void *values;
    /// F32 or BF16.
    pith_element type;
    int64_t rows;
    /// A multiple of 32; zeros behind the last one.
    int64_t columns;
} pith_tiled_rows;

/// From so many inputs on `multiply_dense` lays weights out anew, once for all of them.
#define PITH_PANEL_INPUTS 5
/// The room that it needs for them.
static inline int64_t pith_panel_bytes(int64_t columns, int64_t inputs) {
    return inputs < PITH_PANEL_INPUTS ? 0 : 48 * ((columns + 31) / 32 * 128 + 64);
}

/// How the tiles of a packed matrix become codes of a byte.
typedef enum {
    PITH_CODES_2 = 2, ///< integer codes of as many bits, in planes of 4, 2 and 1 bits
    PITH_CODES_3 = 3,
    PITH_CODES_4 = 4,
    PITH_CODES_5 = 5,
    PITH_CODES_6 = 6,
    PITH_CODES_7 = 7,
    PITH_CODES_8 = 8,
    PITH_MASKED_2 = 34, ///< codes of as many bits for the weights that a mask keeps, as `masked.h` says
    PITH_MASKED_3 = 35,
    PITH_MASKED_4 = 36,
    PITH_MASKED_5 = 37,
    PITH_MASKED_6 = 38,
    PITH_MASKED_7 = 39,
    PITH_MASKED_8 = 40,
    PITH_CODEBOOK_2 = 66, ///< codes of as many bits that name the entries of a table
    PITH_CODEBOOK_3 = 67,
    PITH_CODEBOOK_4 = 68,
    PITH_CODEBOOK_5 = 69,
    PITH_CODEBOOK_6 = 70,
    PITH_CODEBOOK_7 = 71,
    PITH_CODEBOOK_8 = 72,
    PITH_TRITS = 80,     ///< codes 0, 1 and 2, five to a byte
    PITH_VECTORS_4 = 84, ///< codes of 8 bits that name four columns of a row in each of some codebooks
    PITH_VECTORS_8 = 88, ///< the same with eight columns
} pith_packing;

/// How the codes of a packed matrix become weights. Groups of inputs are one tile with all but the first.
typedef enum {
    /// (code - zero) * scale, by row and group of columns.
    PITH_GROUP_SCALES = 0,
    /// code * scale - minimum: `scales` F16 [blocks][tiles][2][16], scales and then minima.
    PITH_TILE_MINIMA = 1,
    /// The same, where both are products: of F16 `scales` [blocks][groups][2][16] and bytes `factors`
    /// [blocks][tiles][2][16].
    PITH_FACTOR_MINIMA = 2,
    /// The same for halves of tiles, in four bits: `factors` [blocks][tiles][2][16], the scale's in the lower bits.
    PITH_HALF_MINIMA = 3,
    /// (code - zero) * scale * factor: `scales` F16 [blocks][groups][16], signed `factors` [blocks][tiles][16].
    PITH_FACTORS = 4,
    /// The same for halves of tiles: `factors` [blocks][tiles][2][16].
    PITH_HALF_FACTORS = 5,
    /// (code - zero) * 2^(factor - 128): `factors` [blocks][tiles][16].
    PITH_EXPONENTS = 6,
} pith_scaling;

/// A matrix packed for vectors of any width: blocks of 16 rows, in tiles of 32 columns, as `packed.h` says. `scaling`
/// says what weights are. Rows and columns are padded to whole tiles.
typedef struct {
    /// Packed tiles, [blocks][tiles][tile_bytes]; of masked packings at least 63 bytes may be read behind the last.
    const uint8_t *codes;
    /// Masks of what is kept, [blocks][tiles][64], for masked packings; else NULL.
    const uint8_t *masks;
    /// The tiles that are stored of a block, if not all are: those from offsets[block] to offsets[block + 1].
    const uint16_t *kept_tiles;
    /// Where the codes of a block begin, in `tile_bytes`; NULL where all tiles are stored.
    const uint32_t *offsets;
    /// F16, [blocks][groups][16], or what `scaling` says.
    const uint16_t *scales;
    /// What `scaling` says.
    const uint8_t *factors;
    /// [blocks][groups][16], or NULL where all are `zero`.
    const uint8_t *zeros;
    int32_t zero;
    /// Books that are added.
    int32_t codebooks;
    /// What codes name, as bytes, if they are names.
    const uint8_t *tables;
    pith_packing packing;
    pith_scaling scaling;
    int64_t tile_bytes;
    /// Tiles of a row.
    int64_t tiles;
    /// Tiles that share a scale.
    int64_t group;
    /// Scales of a row.
    int64_t groups;
} pith_packed;

/// Rows of inputs that are laid out together.
#define PITH_TILE_ROWS 12

/// Inputs as bytes, x = byte * scale by group of columns. Rows lie in tiles of PITH_TILE_ROWS, the last tile with the
/// rest: bytes [columns / 4][rows of the tile][4]; scales and sums, the negative sums of the bytes of a group,
/// [groups][rows of the tile]. For groups of 32 columns also the sums of the halves of a group,
/// [groups][2][rows of the tile], or NULL where nobody asks.
typedef struct {
    int8_t *bytes;
    float *scales;
    int32_t *sums;
    int32_t *half_sums;
    int64_t rows;
    /// A multiple of 32.
    int64_t columns;
    /// Columns of a group, a multiple of 32, at most 128.
    int64_t group;
} pith_narrow_rows;

/// One matrix row with most weights left out. A pattern says which of eight columns are kept; patterns are a
/// little-endian bit stream, `bits` each, and `masks` gives the columns that each of them means, the first column in
/// the lowest bit (NULL where patterns are masks themselves, of 8 bits). The kept weights lie in `values` in order.
typedef struct {
    const uint8_t *patterns;
    const uint8_t *masks;
    const void *values;
    int64_t pattern_bytes;
    int64_t value_count;
    pith_element type;
    int32_t bits;
} pith_sparse_row;

/// Positions whose keys and values are kept together.
#define PITH_SEGMENT 512

/// The keys and values of one head in a segment: keys [PITH_SEGMENT / 16][key_size][16], so that 16 scores are
/// computed side by side, and values [PITH_SEGMENT][value_size], with room for 16 elements behind them.
typedef struct {
    void *keys;
    void *values;
    pith_element key_type;
    pith_element value_type;
    int64_t key_size;
    int64_t value_size;
} pith_cached_head;

/// The queries of some rows that share a key head: head h of row r is at values + r * stride + h * size.
typedef struct {
    const float *values;
    int64_t rows;
    int64_t heads;
    int64_t stride;
    /// Multiplies scores.
    float scale;
    /// Scores s become softcap * tanh(s / softcap), if it is not 0.
    float softcap;
    /// Positions that a row sees, the last one of its own, if it is not 0.
    int64_t window;
    /// All rows see what the first one sees, not each one position more.
    int32_t bidirectional;
} pith_queries;

/// An element-wise function.
typedef enum {
    PITH_SILU,      ///< x * sigmoid(x)
    PITH_GELU_TANH, ///< GELU approximated with a hyperbolic tangent
    PITH_GELU,      ///< x * Phi(x)
    PITH_RELU,      ///< max(x, 0)
    PITH_SIGMOID,   ///< 1 / (1 + exp(-x))
    PITH_TANH,      ///< the hyperbolic tangent
    PITH_SOFTPLUS,  ///< log(1 + exp(x))
    PITH_SQUARED_RELU,  ///< max(x, 0)^2
    PITH_DECAY,         ///< exp(-exp(x))
    PITH_BOUNDED_DECAY, ///< exp(-0.606531 / (1 + exp(-x))), which is at least exp(-exp(-1/2))
} pith_activation;

/// Floats of a partial result of attention.
static inline int64_t pith_partial_stride(int64_t size) { return 32 + (size + 15) / 16 * 16; }

/// One set of kernels.
typedef struct PITH_SENDABLE {
    /// y[m * ldy + n] = sum over k of x[m * ldx + k] * w[n * ldw + k].
    void (*multiply)(const float *x, int64_t rows, int64_t ldx, const float *w, int64_t outputs, int64_t ldw,
                     int64_t k, float *y, int64_t ldy);
    /// One output of a product with a dense row of any element type.
    float (*dot)(const float *x, const void *w, pith_element type, int64_t k);
    /// y[m * ldy + n] = products of the inputs with `outputs` rows of a dense matrix, of BF16 or FP8 if the inputs are
    /// BF16. With inputs of F32, without scales, the bits of `dot`. `panel`: room of pith_panel_bytes.
    void (*multiply_dense)(const pith_dense *w, int64_t outputs, const pith_tiled_rows *x, float *y, int64_t ldy,
                           void *panel);
    /// Fills one tile of `x` from rows of `count` floats.
    void (*tile_rows)(const float *source, int64_t count, int64_t tile, const pith_tiled_rows *x);
    /// Widens one row of a dense matrix, scales included.
    void (*widen_dense)(const pith_dense *row, float *target);
    /// Widens elements to floats.
    void (*widen)(const void *source, pith_element type, int64_t count, float *target);
    /// Narrows floats, rounding to nearest even; what is too large for F8_E4M3 becomes its largest value.
    void (*narrow)(const float *source, pith_element type, int64_t count, void *target);
    /// Rounds one tile of `x` from rows of `count` floats.
    void (*narrow_rows)(const float *source, int64_t count, int64_t tile, const pith_narrow_rows *x);
    /// y[row * ldy + n] = products of the inputs with 16 * blocks rows of a packed matrix. The group of the inputs
    /// divides that of the matrix, or the matrix has one group.
    void (*multiply_packed)(const pith_packed *w, int64_t block, int64_t blocks, const pith_narrow_rows *x, float *y,
                            int64_t ldy);
    /// The same with `rows` inputs of `count` floats, columns one after the other.
    void (*multiply_packed_floats)(const pith_packed *w, int64_t block, int64_t blocks, const float *x, int64_t rows,
                                   int64_t count, float *y, int64_t ldy);
    /// Packs 32 codes of a byte for each of 16 rows, `row_stride` apart, as a tile of PITH_CODES_2 to PITH_CODES_8:
    /// four codes of each row go to one vector, those of the next lie `vector_stride` further.
    void (*pack_tile)(const uint8_t *codes, int64_t row_stride, int64_t vector_stride, int bits, uint8_t *target);
    /// Decodes one row of a packed matrix.
    void (*decode_packed)(const pith_packed *w, int64_t row, int64_t count, float *target);
    /// Decodes one row with weights left out to floats.
    void (*decode_sparse)(const pith_sparse_row *row, int64_t count, float *target);
    /// Outputs y[n] of a product with rows with weights left out, all of one form; the same bits as decoding first.
    void (*dot_sparse)(const float *x, const pith_sparse_row *rows, int64_t count, int64_t k, float *y);
    /// target = source * weight / sqrt(mean(source^2) + epsilon), a row.
    void (*rms_norm)(const float *source, const float *weight, float epsilon, int64_t count, float *target);
    /// target = (source - mean) * weight / sqrt(mean((source - mean)^2) + epsilon) + bias, a row.
    void (*layer_norm)(const float *source, const float *weight, const float *bias, float epsilon, int64_t count,
                       float *target);
    /// target[i] = f(x[i]), times factors[i] unless `factors` is NULL.
    void (*activate)(pith_activation kind, const float *x, const float *factors, int64_t count, float *target);
    /// values[i] = cap * tanh(values[i] / cap).
    void (*softcap)(float *values, float cap, int64_t count);
    /// target[i] = exp(source[i] - shift); returns the sum.
    float (*exp_sum)(const float *source, float shift, int64_t count, float *target);
    /// Sum of weight[i] * (a[i] - b[i]).
    float (*weighted_difference)(const float *weight, const float *a, const float *b, int64_t count);
    /// The largest element; count must be positive.
    float (*maximum)(const float *source, int64_t count);
    /// target[i] += factor * source[i].
    void (*add_scaled)(const float *source, float factor, int64_t count, float *target);
    /// Rotary position embedding in place over `heads` vectors of `size` elements, of which the first 2 * half turn:
    /// element i is paired with i + half.
    void (*rotate)(float *vectors, int64_t heads, int64_t size, int64_t half, const float *cosines, const float *sines);
    /// Attends to one segment, of which row r sees the first `visible` + r positions (none if that is not positive), or
    /// the last `window` of them, counted from there also if they are more than the segment has,
    /// and writes a partial result for each query, [rows][heads][pith_partial_stride]. `widened` is room for
    /// 64 * (key_size + value_size) + 16 floats, worth its while for a dozen queries or more, or NULL.
    void (*attend_segment)(const pith_queries *queries, const pith_cached_head *head, int64_t visible, float *widened,
                           float *partials);
    /// Merges `count` partial results with those of the segment behind.
    void (*merge_partials)(float *partials, const float *others, int64_t count, int64_t size);
    /// Writes the results of all queries, `size` floats each: head h of row r to output + r * stride + h * size.
    void (*finish_attention)(const float *partials, const pith_queries *queries, int64_t size, float *output,
                             int64_t stride);
    /// Keeps keys, rows of `key_size` floats `stride` apart, from `position` of the segment on.
    void (*cache_keys)(const float *keys, int64_t stride, int64_t rows, int64_t position, const pith_cached_head *head);
    /// Keeps values, rows of `value_size` floats `stride` apart, from `position` of the segment on.
    void (*cache_values)(const float *values, int64_t stride, int64_t rows, int64_t position,
                         const pith_cached_head *head);
    /// XᵀX in double precision: adds the rows of X to the part of its upper triangle that lies in the rows 8 * first
    /// to 8 * end - 1 of `products`, [width, width]. X is [panels, rows, 8]: columns by eights, zeros behind the last.
    void (*gram)(const double *x, int64_t rows, int64_t width, int64_t first, int64_t end, double *products);
    /// codes[m * stride] = the entry of least biases[e] - sum over i of x[m * ldx + i] * entries[i * 256 + e], of 256
    /// entries; of equal ones the first.
    void (*nearest)(const float *x, int64_t rows, int64_t ldx, int64_t dimension, const float *entries,
                    const float *biases, uint8_t *codes, int64_t stride);
    /// Recurrences, for `count` channels or heads from `first` on.
    void (*selective_scan)(const pith_selective_scan *scan, int64_t first, int64_t count);
    void (*matrix_recurrence)(const pith_matrix_recurrence *recurrence, int64_t first, int64_t count);
    void (*exponential_average)(const pith_exponential_average *average, int64_t first, int64_t count);
} pith_kernels;

/// The best path of this machine.
pith_path pith_best_path(void);
/// The kernels of a path; NULL where this machine or this build has none.
const pith_kernels *pith_kernels_of(pith_path path);

#ifdef __cplusplus
}
#endif

#include "CPithLeanMixer.h"
#include "CPithPrefetch.h"
#include "CPithMixKernels.h"
#include "CPithStreamKernels.h"
#include "CPithTrainingKernels.h"

#endif
