// The kernels of the training loop. Comes after kernels.h, whose vectors it uses; TRAINING_TABLE names the table.
#include "CPithTrainingKernels.h"

/// The last, short vector of a row is computed with the same operations as the whole ones.
INLINE void store_part(float *p, f16v v, int64_t count) { memcpy(p, &v, (size_t)count * sizeof(float)); }

/// Runs BODY(load, store, i, n) over a row: whole vectors, then what is left.
#define EACH_VECTOR(COUNT, BODY)                                                                                       \
    {                                                                                                                  \
        int64_t i = 0;                                                                                                 \
        for (; i + 16 <= (COUNT); i += 16) BODY(LOAD_WHOLE, STORE_WHOLE, 16)                                           \
        if (i < (COUNT)) BODY(LOAD_PART, STORE_PART, (COUNT) - i)                                                      \
    }
#define LOAD_WHOLE(p, n) load16(p)
#define LOAD_PART(p, n) load_part((p), (n))
#define STORE_WHOLE(p, v, n) store16((p), (v))
#define STORE_PART(p, v, n) store_part((p), (v), (n))

INLINE f16v spread(float x) { return (f16v){0} + x; }

static void scale_row(float *row, float factor, int64_t count) {
#define SCALE(LOAD, STORE, n) { STORE(row + i, LOAD(row + i, n) * factor, n); }
    EACH_VECTOR(count, SCALE)
#undef SCALE
}

static void softmax(float *row, int64_t count, int64_t width) {
    float total = exp_sum(row, maximum(row, count), count, row);
    scale_row(row, 1.0f / total, count);
    memset(row + count, 0, (size_t)(width - count) * sizeof(float));
}

static void softmax_backward(const float *p, float dot, float scale, int64_t count, float *g) {
#define BACKWARD(LOAD, STORE, n) { STORE(g + i, LOAD(p + i, n) * ((LOAD(g + i, n) - dot) * scale), n); }
    EACH_VECTOR(count, BACKWARD)
#undef BACKWARD
}

static float cross_entropy(float *logits, int64_t count, int64_t target, float scale) {
    float largest = maximum(logits, count), chosen = logits[target];
    float total = exp_sum(logits, largest, count, logits);
    scale_row(logits, scale / total, count);
    logits[target] -= scale;
    return logf(total) + (largest - chosen);
}

INLINE void activate_kind_backward(pith_activation kind, const float *x, const float *factors, const float *g,
                                   int64_t count, float *gradient, float *factor_gradient) {
#define BACKWARD(LOAD, STORE, n)                                                                                       \
    {                                                                                                                  \
        f16v slope, y = activation16(kind, LOAD(x + i, n), &slope), dy = LOAD(g + i, n);                               \
        if (factors) {                                                                                                 \
            STORE(factor_gradient + i, dy * y, n);                                                                     \
            dy *= LOAD(factors + i, n);                                                                                \
        }                                                                                                              \
        STORE(gradient + i, dy * slope, n);                                                                            \
    }
    EACH_VECTOR(count, BACKWARD)
#undef BACKWARD
}

static void activate_backward(pith_activation kind, const float *x, const float *factors, const float *g, int64_t count,
                              float *gradient, float *factor_gradient) {
#define ACTIVATE(KIND) activate_kind_backward(KIND, x, factors, g, count, gradient, factor_gradient);
    EACH_ACTIVATION(kind, ACTIVATE)
#undef ACTIVATE
}

static float dot_rows(const float *a, const float *b, int64_t count) {
    f16v sum = {0};
#define ADD(LOAD, STORE, n) { sum = FMA(LOAD(a + i, n), LOAD(b + i, n), sum); }
    EACH_VECTOR(count, ADD)
#undef ADD
    return sum_lanes(sum);
}

static void rms_norm_backward(const float *source, const float *weight, const float *g, float epsilon, int64_t count,
                              int32_t add, float *source_gradient, float *weight_gradient) {
    f16v squares = {0}, products = {0};
#define SUMS(LOAD, STORE, n)                                                                                           \
    {                                                                                                                  \
        f16v x = LOAD(source + i, n);                                                                                  \
        squares = FMA(x, x, squares);                                                                                  \
        products = FMA(x, LOAD(weight + i, n) * LOAD(g + i, n), products);                                             \
    }
    EACH_VECTOR(count, SUMS)
#undef SUMS
    // y = x f w with f = (mean(x^2) + epsilon)^(-1/2), so df/dx = -f^3 x / count.
    float factor = 1.0f / sqrtf(sum_lanes(squares) / (float)count + epsilon);
    float back = -factor * factor * factor * sum_lanes(products) / (float)count;
#define BACKWARD(LOAD, STORE, n)                                                                                       \
    {                                                                                                                  \
        f16v x = LOAD(source + i, n), dy = LOAD(g + i, n);                                                             \
        f16v dx = FMA(x, spread(back), dy * LOAD(weight + i, n) * factor);                                             \
        if (add) dx += LOAD(source_gradient + i, n);                                                                   \
        STORE(source_gradient + i, dx, n);                                                                             \
        STORE(weight_gradient + i, FMA(dy, x * factor, LOAD(weight_gradient + i, n)), n);                              \
    }
    EACH_VECTOR(count, BACKWARD)
#undef BACKWARD
}

static void layer_norm_backward(const float *source, const float *weight, const float *g, float epsilon, int64_t count,
                                int32_t add, float *source_gradient, float *weight_gradient, float *bias_gradient) {
    f16v sum = {0}, squares = {0}, gradients = {0}, products = {0};
#define SUM(LOAD, STORE, n) { sum += LOAD(source + i, n); }
    EACH_VECTOR(count, SUM)
#undef SUM
    float mean = sum_lanes(sum) / (float)count;
    int64_t whole = count / 16 * 16;
    for (int64_t i = 0; i < whole; i += 16) {
        f16v x = load16(source + i) - mean, dy = load16(weight + i) * load16(g + i);
        squares = FMA(x, x, squares);
        gradients += dy;
        products = FMA(x, dy, products);
    }
    for (int64_t i = whole; i < count; i++) {
        float x = source[i] - mean, dy = weight[i] * g[i];
        squares[i - whole] += x * x;
        gradients[i - whole] += dy;
        products[i - whole] += x * dy;
    }
    // y = x f w with x from which the mean was taken and f = (mean(x^2) + epsilon)^(-1/2).
    float factor = 1.0f / sqrtf(sum_lanes(squares) / (float)count + epsilon);
    float back = -factor * factor * factor * sum_lanes(products) / (float)count;
    float shift = -factor * sum_lanes(gradients) / (float)count;
#define BACKWARD(LOAD, STORE, n)                                                                                       \
    {                                                                                                                  \
        f16v x = LOAD(source + i, n) - mean, dy = LOAD(g + i, n);                                                      \
        f16v dx = FMA(x, spread(back), FMA(dy * LOAD(weight + i, n), spread(factor), spread(shift)));                  \
        if (add) dx += LOAD(source_gradient + i, n);                                                                   \
        STORE(source_gradient + i, dx, n);                                                                             \
        STORE(weight_gradient + i, FMA(dy, x * factor, LOAD(weight_gradient + i, n)), n);                              \
        STORE(bias_gradient + i, dy + LOAD(bias_gradient + i, n), n);                                                  \
    }
    EACH_VECTOR(count, BACKWARD)
#undef BACKWARD
}

static double squared_sum(const float *values, int64_t count) {
    // Short runs in floats, their sums in doubles.
    double total = 0;
    for (int64_t start = 0; start < count; start += 4096) {
        int64_t length = count - start < 4096 ? count - start : 4096;
        total += (double)dot_rows(values + start, values + start, length);
    }
    return total;
}

static void adamw(const pith_adamw *o, const float *gradient, int64_t count, float *weights, float *first,
                  float *second) {
#define STEP(LOAD, STORE, n)                                                                                           \
    {                                                                                                                  \
        f16v g = LOAD(gradient + i, n) * o->gradient_scale, w = LOAD(weights + i, n);                                  \
        f16v m = FMA(LOAD(first + i, n), spread(o->beta1), g * (1.0f - o->beta1));                                     \
        f16v v = FMA(LOAD(second + i, n), spread(o->beta2), g * g * (1.0f - o->beta2));                                \
        f16v root = __builtin_elementwise_sqrt(v * o->correction2) + o->epsilon;                                       \
        STORE(first + i, m, n);                                                                                        \
        STORE(second + i, v, n);                                                                                       \
        STORE(weights + i, w - (m * o->correction1 / root + w * o->decay) * o->rate, n);                               \
    }
    EACH_VECTOR(count, STEP)
#undef STEP
}

const pith_training_kernels TRAINING_TABLE = {
    .softmax = softmax,
    .softmax_backward = softmax_backward,
    .cross_entropy = cross_entropy,
    .activate_backward = activate_backward,
    .rms_norm_backward = rms_norm_backward,
    .layer_norm_backward = layer_norm_backward,
    .dot = dot_rows,
    .squared_sum = squared_sum,
    .adamw = adamw,
};
