// SIMD kernels of the recurrent network that learns the bytes it predicts: floats with explicit fused multiply-add and
// a fixed order of additions, so that all paths give the same bits.
#ifndef CPITH_STREAM_KERNELS_H
#define CPITH_STREAM_KERNELS_H

#include "CPithKernels.h"

/// What one step of Adam needs beside the arrays.
typedef struct {
    float rate;       ///< the learning rate over 1 - keep_mean^step
    float keep_mean;  ///< decay of the mean gradient; with 0 `mean` is not touched
    float keep_square; ///< decay of the mean square
    float spread;     ///< 1 / (1 - keep_square^step)
    float epsilon;    ///< added to the root of the mean square
} pith_stream_adam;

/// What one layer's recurrence computed, row by row; a row is one byte of one of `streams` streams, and the row before
/// it in its stream lies `streams` rows before. `width` is a multiple of 16.
typedef struct {
    int64_t width, streams;
    /// [rows, 3 width]: candidates z, and in place of what enters them the forget gates f; then the output gates g
    /// before their activation.
    float *gates;
    /// [streams + rows, width]: states c; the first `streams` rows are those before the block.
    float *states;
    /// [width]: how much the state before opens its own forget gate.
    const float *peephole;
} pith_stream_layer;

/// One set of kernels. Matrices are row-major, and dense where no stride is given: that lies between the rows of those
/// of which a part is computed, so that threads can share a product. `columns` and `width` are multiples of 16. No
/// result depends on how many rows or columns there are.
typedef struct PITH_SENDABLE {
    /// y = bias + x W: x of [rows, inner], W of [inner, columns], bias of [columns]; the stride is W's and y's.
    void (*multiply)(const float *x, const float *w, const float *bias, int64_t rows, int64_t inner, int64_t columns,
                     int64_t stride, float *y);
    /// x = y Wᵀ: y of [rows, columns], W of [inner, columns]; the stride is x's, `inner` a multiple of 4.
    void (*multiply_back)(const float *y, const float *w, int64_t rows, int64_t inner, int64_t columns, int64_t stride,
                          float *x);
    /// W = xᵀ y: x of [rows, inner], y of [rows, columns]; the stride is x's.
    void (*outer)(const float *x, const float *y, int64_t rows, int64_t inner, int64_t columns, int64_t stride,
                  float *w);
    /// bias = the sum of y's rows.
    void (*sum_rows)(const float *y, int64_t rows, int64_t columns, float *bias);
    /// y = x / sqrt(mean x² + 1e-5), for each row; `scales` of [rows] gets the factors.
    void (*normalize)(const float *x, int64_t rows, int64_t width, float *y, float *scales);
    /// Adds to `dx` the slope by x, of dy by `normalize`'s y.
    void (*normalize_back)(const float *dy, const float *x, const float *scales, int64_t rows, int64_t width,
                           float *dx);
    /// Rows first..<first + count of a layer: f = σ(f + peephole c'), c = z + f (c' - z) with c' the state before,
    /// and the stream x of [rows, width] gains c silu(g), or becomes it if `sets`.
    void (*scan)(const pith_stream_layer *layer, int64_t first, int64_t count, int32_t sets, float *x);
    /// Back over all of `rows`: `dx` of [rows, width] is the slope by what `scan` added; the gates become the slopes by
    /// what entered them, `peephole_slopes` of [width] the sum of those by the peephole. `carry` of
    /// [streams, width] is work.
    void (*scan_back)(const pith_stream_layer *layer, int64_t rows, const float *dx, float *carry,
                      float *peephole_slopes);
    /// Each row of [rows, 256] becomes its softmax.
    void (*softmax)(float *rows_of_256, int64_t rows);
    /// One step of Adam for `count` parameters, a multiple of 16.
    void (*adam)(const pith_stream_adam *step, const float *gradient, int64_t count, float *parameters, float *mean,
                 float *square);
} pith_stream_kernels;

/// The kernels of a path; NULL where this machine or this build has none.
const pith_stream_kernels *pith_stream_kernels_of(pith_path path);

#endif
