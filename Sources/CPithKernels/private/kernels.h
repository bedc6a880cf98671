// The kernels, written once over vectors of 16 floats. A file that includes this defines KERNEL_TABLE, the name of
// the table, and has set the instruction set before. What the set lacks the compiler splits: 16 floats are one
// AVX-512 register, two of AVX2, four of SSE or NEON.
#include "CPithKernels.h"
#include "vectors.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

typedef uint32_t u16v __attribute__((vector_size(64), aligned(4)));
typedef uint16_t h16v __attribute__((vector_size(32), aligned(2)));
typedef uint8_t b16v __attribute__((vector_size(16), aligned(1)));
typedef uint8_t b8v __attribute__((vector_size(8), aligned(1)));
typedef _Float16 half16v __attribute__((vector_size(32), aligned(2)));

/// The first `count` floats, zeros behind them.
INLINE f16v load_part(const float *p, int64_t count) {
    f16v v = {0};
    memcpy(&v, p, (size_t)count * sizeof(float));
    return v;
}
INLINE f16v load_up_to_16(const float *p, int64_t count) {
    return count >= 16 ? load16(p) : count > 0 ? load_part(p, count) : (f16v){0};
}
INLINE void store_up_to_16(float *p, f16v v, int64_t count) {
    if (count >= 16) store16(p, v);
    else memcpy(p, &v, (size_t)count * sizeof(float));
}

#include "elements.h"
#include "dense.h"

// MARK: Compressed matrices

#include "packed.h"
#include "sparse.h"

// MARK: The rest of the forward pass

static void rms_norm(const float *source, const float *weight, float epsilon, int64_t count, float *target) {
    f16v sum = {0};
    int64_t i = 0;
    for (; i + 16 <= count; i += 16) sum = FMA(load16(source + i), load16(source + i), sum);
    if (i < count) {
        f16v part = load_part(source + i, count - i);
        sum = FMA(part, part, sum);
    }
    float factor = 1.0f / sqrtf(sum_lanes(sum) / (float)count + epsilon);
    for (int64_t j = 0; j < count; j++) target[j] = source[j] * factor * weight[j];
}

static void layer_norm(const float *source, const float *weight, const float *bias, float epsilon, int64_t count,
                       float *target) {
    f16v sum = {0}, squares = {0};
    int64_t i = 0;
    for (; i + 16 <= count; i += 16) sum += load16(source + i);
    if (i < count) sum += load_part(source + i, count - i);
    float mean = sum_lanes(sum) / (float)count;
    for (i = 0; i + 16 <= count; i += 16) {
        f16v v = load16(source + i) - mean;
        squares = FMA(v, v, squares);
    }
    for (; i < count; i++) squares[i % 16] += (source[i] - mean) * (source[i] - mean);
    float factor = 1.0f / sqrtf(sum_lanes(squares) / (float)count + epsilon);
    for (int64_t j = 0; j < count; j++) target[j] = (source[j] - mean) * factor * weight[j] + bias[j];
}

/// exp(x) to 2 units in the last place: x = n ln 2 + r, a polynomial of degree 6 for exp(r), n into the exponent.
INLINE f16v exp16(f16v x) {
    f16v low = (f16v){0} - 87.0f, high = (f16v){0} + 88.0f;
    x = __builtin_elementwise_min(__builtin_elementwise_max(x, low), high);
    f16v n = __builtin_elementwise_roundeven(x * 1.44269504088896341f);
    f16v r = FMA(n, (f16v){0} - 0.693359375f, x);
    r = FMA(n, (f16v){0} + 2.12194440e-4f, r);
    f16v p = (f16v){0} + 1.9875691500e-4f;
    p = FMA(p, r, (f16v){0} + 1.3981999507e-3f);
    p = FMA(p, r, (f16v){0} + 8.3334519073e-3f);
    p = FMA(p, r, (f16v){0} + 4.1665795894e-2f);
    p = FMA(p, r, (f16v){0} + 1.6666665459e-1f);
    p = FMA(p, r, (f16v){0} + 5.0000001201e-1f);
    p = FMA(p, r * r, r) + 1.0f;
    i16v bits = (__builtin_convertvector(n, i16v) + 127) << 23;
    f16v power;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}

/// cap * tanh(x / cap), for tanh(u) is 1 - 2 / (exp(2 u) + 1).
INLINE f16v softcap16(f16v x, float cap) { return cap - 2.0f * cap / (exp16(x * (2.0f / cap)) + 1.0f); }

#include "activations.h"

static void softcap(float *values, float cap, int64_t count) {
    int64_t i = 0;
    for (; i + 16 <= count; i += 16) store16(values + i, softcap16(load16(values + i), cap));
    if (i < count) {
        f16v v = softcap16(load_part(values + i, count - i), cap);
        memcpy(values + i, &v, (size_t)(count - i) * sizeof(float));
    }
}

static float exp_sum(const float *source, float shift, int64_t count, float *target) {
    f16v sum = {0};
    int64_t i = 0;
    for (; i + 16 <= count; i += 16) {
        f16v e = exp16(load16(source + i) - shift);
        store16(target + i, e);
        sum += e;
    }
    if (i < count) {
        f16v e = exp16(load_part(source + i, count - i) - shift);
        for (int64_t j = 0; j < 16; j++)
            if (j >= count - i) e[j] = 0;
        memcpy(target + i, &e, (size_t)(count - i) * sizeof(float));
        sum += e;
    }
    return sum_lanes(sum);
}

static float weighted_difference(const float *weight, const float *a, const float *b, int64_t count) {
    f16v sum = {0};
    int64_t i = 0;
    for (; i + 16 <= count; i += 16) sum = FMA(load16(weight + i), load16(a + i) - load16(b + i), sum);
    if (i < count) {
        int64_t rest = count - i;
        sum = FMA(load_part(weight + i, rest), load_part(a + i, rest) - load_part(b + i, rest), sum);
    }
    return sum_lanes(sum);
}

static float maximum(const float *source, int64_t count) {
    float best = source[0];
    int64_t i = 0;
    if (count >= 16) {
        f16v v = load16(source);
        for (i = 16; i + 16 <= count; i += 16) v = __builtin_elementwise_max(v, load16(source + i));
        for (int j = 0; j < 16; j++) best = v[j] > best ? v[j] : best;
    }
    for (; i < count; i++) best = source[i] > best ? source[i] : best;
    return best;
}

static void add_scaled(const float *source, float factor, int64_t count, float *target) {
    f16v f = (f16v){0} + factor;
    int64_t i = 0;
    for (; i + 16 <= count; i += 16) store16(target + i, FMA(f, load16(source + i), load16(target + i)));
    if (i < count) {
        f16v v = FMA(f, load_part(source + i, count - i), load_part(target + i, count - i));
        memcpy(target + i, &v, (size_t)(count - i) * sizeof(float));
    }
}

static void rotate(float *vectors, int64_t heads, int64_t size, int64_t half, const float *cosines, const float *sines) {
    for (int64_t h = 0; h < heads; h++) {
        float *a = vectors + h * size, *b = a + half;
        for (int64_t i = 0; i < half; i++) {
            float x = a[i], y = b[i];
            a[i] = x * cosines[i] - y * sines[i];
            b[i] = y * cosines[i] + x * sines[i];
        }
    }
}

#include "attention.h"
#include "recurrences.h"

// MARK: Calibration

/// The part of XᵀX in rows `row` to `row` + 3 and columns `column` to `column` + 7; `a` and `b` are those columns of X.
INLINE void gram_tile(const double *a, const double *b, int64_t rows, int64_t width, int64_t row, int64_t column,
                      double *products) {
    size_t bytes = (size_t)(width - column < 8 ? width - column : 8) * sizeof(double);
    int64_t count = width - row < 4 ? width - row : 4;
    d8v sum[4] = {{0}, {0}, {0}, {0}};
    for (int64_t i = 0; i < count; i++) memcpy(&sum[i], products + (row + i) * width + column, bytes);
    for (int64_t r = 0; r < rows; r++) {
        d8v y;
        memcpy(&y, b + r * 8, sizeof y);
        _Pragma("unroll") for (int i = 0; i < 4; i++) sum[i] = FMA((d8v){0} + a[r * 8 + i], y, sum[i]);
    }
    for (int64_t i = 0; i < count; i++) memcpy(products + (row + i) * width + column, &sum[i], bytes);
}

static void gram(const double *x, int64_t rows, int64_t width, int64_t first, int64_t end, double *products) {
    for (int64_t column = first * 8; column < width; column += 8)
        // Columns stay in the first cache while all panels meet them.
        for (int64_t panel = first; panel < end && panel * 8 <= column; panel++)
            for (int64_t half = 0; half < 8; half += 4)
                gram_tile(x + panel * rows * 8 + half, x + column * rows, rows, width, panel * 8 + half, column,
                          products);
}

// MARK: Nearest entries

#define NEAREST_ROWS 4

static void nearest(const float *x, int64_t rows, int64_t ldx, int64_t dimension, const float *entries,
                    const float *biases, uint8_t *codes, int64_t stride) {
    for (int64_t row = 0; row < rows; row += NEAREST_ROWS) {
        const float *of[NEAREST_ROWS];
        for (int t = 0; t < NEAREST_ROWS; t++) of[t] = x + (row + t < rows ? row + t : rows - 1) * ldx;
        f16v least[NEAREST_ROWS];
        i16v places[NEAREST_ROWS];
        for (int e = 0; e < 256; e += 16) {
            f16v score[NEAREST_ROWS];
            _Pragma("unroll") for (int t = 0; t < NEAREST_ROWS; t++) score[t] = load16(biases + e);
            for (int64_t i = 0; i < dimension; i++) {
                f16v entry = load16(entries + i * 256 + e);
                _Pragma("unroll") for (int t = 0; t < NEAREST_ROWS; t++)
                    score[t] = FMA((f16v){0} - of[t][i], entry, score[t]);
            }
            _Pragma("unroll") for (int t = 0; t < NEAREST_ROWS; t++) {
                i16v less = e == 0 ? (i16v){0} - 1 : (i16v)(score[t] < least[t]);
                places[t] = (less & e) | (~less & places[t]);
                least[t] = e == 0 ? score[t] : __builtin_elementwise_min(least[t], score[t]);
            }
        }
        for (int t = 0; t < NEAREST_ROWS && row + t < rows; t++) {
            int best = 0;
            for (int lane = 1; lane < 16; lane++)
                if (least[t][lane] < least[t][best]
                    || (least[t][lane] == least[t][best] && places[t][lane] + lane < places[t][best] + best))
                    best = lane;
            codes[(row + t) * stride] = (uint8_t)(places[t][best] + best);
        }
    }
}

const pith_kernels KERNEL_TABLE = {
    .multiply = multiply, .dot = dot, .multiply_dense = multiply_dense,
    .tile_rows = tile_rows, .widen_dense = widen_dense,
    .widen = widen,       .narrow = narrow,
    .narrow_rows = narrow_rows, .multiply_packed = multiply_packed, .decode_packed = decode_packed,
    .pack_tile = pack_tile,
    .multiply_packed_floats = multiply_packed_floats, .rms_norm = rms_norm,
    .layer_norm = layer_norm,     .activate = activate,
    .softcap = softcap,
    .exp_sum = exp_sum,           .maximum = maximum,   .add_scaled = add_scaled, .rotate = rotate,
    .attend_segment = attend_segment, .merge_partials = merge_partials, .finish_attention = finish_attention,
    .cache_keys = cache_keys,     .cache_values = cache_values, .gram = gram, .nearest = nearest, .decode_sparse = decode_sparse,
    .dot_sparse = dot_sparse,
    .weighted_difference = weighted_difference,
    .selective_scan = selective_scan, .matrix_recurrence = matrix_recurrence,
    .exponential_average = exponential_average,
};
