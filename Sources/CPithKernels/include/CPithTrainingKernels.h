// SIMD kernels of the training loop, beside those of the forward pass and compiled the same way. Training repeats
// itself bit for bit on one path; unlike the others these kernels promise nothing across paths.
#ifndef CPITH_TRAINING_KERNELS_H
#define CPITH_TRAINING_KERNELS_H

#include "CPithKernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/// What one AdamW step needs beside the arrays.
typedef struct {
    float rate;          ///< the learning rate
    float decay;         ///< decoupled weight decay
    float beta1;         ///< decay of the first moment
    float beta2;         ///< decay of the second moment
    float correction1;   ///< 1 / (1 - beta1^step)
    float correction2;   ///< 1 / (1 - beta2^step)
    float epsilon;       ///< added to the root of the second moment
    float gradient_scale; ///< multiplies the gradient: clipping
} pith_adamw;

/// One set of training kernels.
typedef struct PITH_SENDABLE {
    /// row = softmax of its first `count` elements, zeros from there to `width`. The count must be positive.
    void (*softmax)(float *row, int64_t count, int64_t width);
    /// Turns the gradient of a softmax into that of its input: g[i] = p[i] * (g[i] - dot) * scale.
    void (*softmax_backward)(const float *p, float dot, float scale, int64_t count, float *g);
    /// Returns -log softmax(logits)[target]; leaves scale * (softmax(logits) - onehot(target)) where the logits were.
    float (*cross_entropy)(float *logits, int64_t count, int64_t target, float scale);
    /// Gradients of what `activate` computed; without factors `factor_gradient` is not written.
    void (*activate_backward)(pith_activation kind, const float *x, const float *factors, const float *g, int64_t count,
                              float *gradient, float *factor_gradient);
    /// Gradients of a normalised row: that of the source is written, or added if `add`; that of the weight is added.
    void (*rms_norm_backward)(const float *source, const float *weight, const float *g, float epsilon, int64_t count,
                              int32_t add, float *source_gradient, float *weight_gradient);
    /// The same of a row that `layer_norm` made; that of the bias is added too.
    void (*layer_norm_backward)(const float *source, const float *weight, const float *g, float epsilon, int64_t count,
                                int32_t add, float *source_gradient, float *weight_gradient, float *bias_gradient);
    /// The dot product of two rows.
    float (*dot)(const float *a, const float *b, int64_t count);
    /// The sum of squares.
    double (*squared_sum)(const float *values, int64_t count);
    /// One step of AdamW over part of the parameters.
    void (*adamw)(const pith_adamw *options, const float *gradient, int64_t count, float *weights, float *first,
                  float *second);
} pith_training_kernels;

/// The training kernels of a path; NULL where this machine or this build has none.
const pith_training_kernels *pith_training_kernels_of(pith_path path);

#ifdef __cplusplus
}
#endif
#endif
