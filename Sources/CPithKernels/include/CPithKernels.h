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
    PITH_PATH_AVX2 = 1,     ///< AVX2, FMA and F16C
    PITH_PATH_AVX512 = 2,   ///< AVX-512 F, BW, DQ and VL
} pith_path;

/// Element types of dense matrices.
typedef enum { PITH_F32 = 0, PITH_F16 = 1, PITH_BF16 = 2 } pith_element;

/// Integer codes of one matrix row and what they mean: weight[i] = (code[i] - zero) * scale, by group.
/// Codes are a little-endian bit stream, `bits` each; a row begins on a byte.
/// Scales are F16; zeros are bytes, or NULL where all are 2^(bits-1).
typedef struct {
    const uint8_t *codes;
    const uint16_t *scales;
    const uint8_t *zeros;
    int32_t bits;
    int32_t group_size;
} pith_code_row;

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
    /// Decodes one row of integer codes to floats.
    void (*decode_codes)(const pith_code_row *row, int64_t count, float *target);
    /// One output of a product with a row of integer codes; the same bits as decoding it first.
    float (*dot_codes)(const float *x, const pith_code_row *row, int64_t k);
    /// y[n] = product of x with row n of integer codes; rows lie `row_bytes` bytes and `groups` scales apart.
    void (*multiply_codes)(const float *x, const pith_code_row *first, int64_t rows, int64_t row_bytes, int64_t groups,
                           int64_t k, float *y);
    /// Decodes one row with weights left out to floats.
    void (*decode_sparse)(const pith_sparse_row *row, int64_t count, float *target);
    /// One output of a product with a row with weights left out; the same bits as decoding it first.
    float (*dot_sparse)(const float *x, const pith_sparse_row *row, int64_t k);
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
