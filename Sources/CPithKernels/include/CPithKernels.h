// SIMD kernels. Each is one source (`kernels.inc`) compiled for several instruction sets and chosen at run time.
//
// Sums run over 16 virtual lanes: lane l takes the elements l, l + 16, ..., each by one fused multiply-add, and the
// lanes are added pairwise in a fixed tree. So every path, and every way to cut the rows, gives the same bits.
#ifndef CPITH_KERNELS_H
#define CPITH_KERNELS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
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
typedef enum { PITH_F32 = 0, PITH_F16 = 1, PITH_BF16 = 2 } pith_element;

/// How the units of a packed matrix become codes of a byte.
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
} pith_packing;

/// A matrix packed for vectors of any width: blocks of 16 rows, in units of 32 columns, as `packed.h` says.
/// weight = (code - zero) * scale, by row and group of columns. Rows and columns are padded to whole units.
typedef struct {
    /// Packed units, [blocks][units][unit_bytes]; of masked packings at least 63 bytes may be read behind the last.
    const uint8_t *codes;
    /// Masks of what is kept, [blocks][units][64], for masked packings; else NULL.
    const uint8_t *masks;
    /// The units that are stored of a block, if not all are: those from offsets[block] to offsets[block + 1].
    const uint16_t *kept_units;
    /// Where the codes of a block begin, in `unit_bytes`; NULL where all units are stored.
    const uint32_t *offsets;
    /// F16, [blocks][groups][16].
    const uint16_t *scales;
    /// [blocks][groups][16], or NULL where all are `zero`.
    const uint8_t *zeros;
    int32_t zero;
    pith_packing packing;
    int64_t unit_bytes;
    /// Units of a row.
    int64_t units;
    /// Units that share a scale.
    int64_t group;
    /// Scales of a row.
    int64_t groups;
} pith_packed;

/// Rows of inputs that are laid out together.
#define PITH_TILE_ROWS 12

/// Inputs as bytes, x = byte * scale by group of columns. Rows lie in tiles of PITH_TILE_ROWS, the last tile with the
/// rest: bytes [columns / 4][rows of the tile][4]; scales and sums, the negative sums of the bytes of a group,
/// [groups][rows of the tile].
typedef struct {
    int8_t *bytes;
    float *scales;
    int32_t *sums;
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

/// One set of kernels.
typedef struct {
    /// y[m * ldy + n] = sum over k of x[m * ldx + k] * w[n * ldw + k].
    void (*multiply)(const float *x, int64_t rows, int64_t ldx, const float *w, int64_t outputs, int64_t ldw,
                     int64_t k, float *y, int64_t ldy);
    /// One output of a product with a dense row of any element type.
    float (*dot)(const float *x, const void *w, pith_element type, int64_t k);
    /// Outputs y[n] of a product with `rows` dense rows that follow each other; the bits of `dot`.
    void (*dot_rows)(const float *x, const void *w, pith_element type, int64_t rows, int64_t k, float *y);
    /// Widens a dense row to floats.
    void (*widen)(const void *source, pith_element type, int64_t count, float *target);
    /// Narrows floats, rounding to nearest even.
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
    /// Decodes one row of a packed matrix.
    void (*decode_packed)(const pith_packed *w, int64_t row, int64_t count, float *target);
    /// Decodes one row with weights left out to floats.
    void (*decode_sparse)(const pith_sparse_row *row, int64_t count, float *target);
    /// Outputs y[n] of a product with rows with weights left out, all of one form; the same bits as decoding first.
    void (*dot_sparse)(const float *x, const pith_sparse_row *rows, int64_t count, int64_t k, float *y);
    /// target = source * weight / sqrt(mean(source^2) + epsilon), a row.
    void (*rms_norm)(const float *source, const float *weight, float epsilon, int64_t count, float *target);
    /// target[i] = gate[i] * sigmoid(gate[i]) * up[i].
    void (*swiglu)(const float *gate, const float *up, int64_t count, float *target);
    /// target[i] = exp(source[i] - shift); returns the sum.
    float (*exp_sum)(const float *source, float shift, int64_t count, float *target);
    /// Sum of weight[i] * (a[i] - b[i]).
    float (*weighted_difference)(const float *weight, const float *a, const float *b, int64_t count);
    /// The largest element; count must be positive.
    float (*maximum)(const float *source, int64_t count);
    /// target[i] += factor * source[i].
    void (*add_scaled)(const float *source, float factor, int64_t count, float *target);
    /// Rotary position embedding in place over `heads` vectors of 2 * half elements, element i paired with i + half.
    void (*rotate)(float *vectors, int64_t heads, int64_t half, const float *cosines, const float *sines);
    /// Attention of one query over `count` keys and values that lie `stride` floats apart.
    /// scores is room for `count` floats; output has `size` elements.
    void (*attend)(const float *query, const float *keys, const float *values, int64_t count, int64_t stride,
                   int64_t size, float scale, float *scores, float *output);
    /// XᵀX in double precision: adds the rows of X to the part of its upper triangle that lies in the rows 8 * panel
    /// to 8 * panel + 7 of `products`, [width, width]. X is [panels, rows, 8]: columns by eights, zeros behind the last.
    void (*gram)(const double *x, int64_t rows, int64_t width, int64_t panel, double *products);
} pith_kernels;

/// The best path of this machine.
pith_path pith_best_path(void);
/// The kernels of a path; NULL where this machine or this build has none.
const pith_kernels *pith_kernels_of(pith_path path);

#ifdef __cplusplus
}
#endif

#include "CPithTrainingKernels.h"

#endif
