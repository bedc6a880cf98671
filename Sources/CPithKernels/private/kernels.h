// The kernels, written once over vectors of 16 floats. A file that includes this defines KERNEL_TABLE, the name of
// the table, and has set the instruction set before. What the set lacks the compiler splits: 16 floats are one
// AVX-512 register, two of AVX2, four of SSE or NEON.
#include "CPithKernels.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

// Vectors pass between inlined functions only, so how they would be passed does not matter.
#pragma clang diagnostic ignored "-Wpsabi"

typedef float f16v __attribute__((vector_size(64), aligned(4)));
typedef float f8v __attribute__((vector_size(32), aligned(4)));
typedef float f4v __attribute__((vector_size(16), aligned(4)));
typedef int32_t i16v __attribute__((vector_size(64), aligned(4)));
typedef uint32_t u16v __attribute__((vector_size(64), aligned(4)));
typedef uint16_t h16v __attribute__((vector_size(32), aligned(2)));
typedef uint8_t b16v __attribute__((vector_size(16), aligned(1)));
typedef uint8_t b8v __attribute__((vector_size(8), aligned(1)));
typedef _Float16 half16v __attribute__((vector_size(32), aligned(2)));

#define INLINE static inline __attribute__((always_inline))
#define FMA(a, b, c) __builtin_elementwise_fma((a), (b), (c))

INLINE f16v load16(const float *p) {
    f16v v;
    memcpy(&v, p, sizeof v);
    return v;
}
INLINE void store16(float *p, f16v v) { memcpy(p, &v, sizeof v); }

/// The first `count` floats, zeros behind them.
INLINE f16v load_part(const float *p, int64_t count) {
    f16v v = {0};
    memcpy(&v, p, (size_t)count * sizeof(float));
    return v;
}

/// The sum of the lanes: halves are added until one is left.
INLINE float sum_lanes(f16v v) {
    f8v a = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
            __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
    f4v b = __builtin_shufflevector(a, a, 0, 1, 2, 3) + __builtin_shufflevector(a, a, 4, 5, 6, 7);
    return (b[0] + b[2]) + (b[1] + b[3]);
}

// MARK: Dense products

/// A tile of MR x NR outputs, all of k at once.
#define TILE(MR, NR)                                                                                                   \
    static void tile_##MR##x##NR(const float *x, int64_t ldx, const float *w, int64_t ldw, int64_t k, float *y,        \
                                 int64_t ldy) {                                                                        \
        f16v sum[MR][NR];                                                                                              \
        for (int m = 0; m < MR; m++)                                                                                   \
            for (int n = 0; n < NR; n++) sum[m][n] = (f16v){0};                                                        \
        int64_t i = 0;                                                                                                 \
        for (; i + 16 <= k; i += 16) {                                                                                 \
            f16v b[NR];                                                                                                \
            _Pragma("unroll") for (int n = 0; n < NR; n++) b[n] = load16(w + n * ldw + i);                             \
            _Pragma("unroll") for (int m = 0; m < MR; m++) {                                                           \
                f16v a = load16(x + m * ldx + i);                                                                      \
                _Pragma("unroll") for (int n = 0; n < NR; n++) sum[m][n] = FMA(a, b[n], sum[m][n]);                    \
            }                                                                                                          \
        }                                                                                                              \
        if (i < k) {                                                                                                   \
            for (int m = 0; m < MR; m++) {                                                                             \
                f16v a = load_part(x + m * ldx + i, k - i);                                                            \
                for (int n = 0; n < NR; n++) sum[m][n] = FMA(a, load_part(w + n * ldw + i, k - i), sum[m][n]);         \
            }                                                                                                          \
        }                                                                                                              \
        for (int m = 0; m < MR; m++)                                                                                   \
            for (int n = 0; n < NR; n++) y[m * ldy + n] = sum_lanes(sum[m][n]);                                        \
    }

#if defined(__AVX512F__)
#define MR_FULL 4
#define NR_FULL 6
TILE(4, 6)
TILE(1, 6)
#define FULL_TILE tile_4x6
#define ROW_TILE tile_1x6
#else
#define MR_FULL 2
#define NR_FULL 3
TILE(2, 3)
TILE(1, 3)
#define FULL_TILE tile_2x3
#define ROW_TILE tile_1x3
#endif
TILE(1, 1)

static void multiply(const float *x, int64_t rows, int64_t ldx, const float *w, int64_t outputs, int64_t ldw,
                     int64_t k, float *y, int64_t ldy) {
    // A strip of NR weight rows stays in the first cache while all of x passes by.
    int64_t n = 0;
    for (; n + NR_FULL <= outputs; n += NR_FULL) {
        int64_t m = 0;
        for (; m + MR_FULL <= rows; m += MR_FULL)
            FULL_TILE(x + m * ldx, ldx, w + n * ldw, ldw, k, y + m * ldy + n, ldy);
        for (; m < rows; m++) ROW_TILE(x + m * ldx, ldx, w + n * ldw, ldw, k, y + m * ldy + n, ldy);
    }
    for (; n < outputs; n++)
        for (int64_t m = 0; m < rows; m++) tile_1x1(x + m * ldx, ldx, w + n * ldw, ldw, k, y + m * ldy + n, ldy);
}

INLINE f16v widen_bf16(const uint16_t *p) {
    h16v h;
    memcpy(&h, p, sizeof h);
    u16v bits = __builtin_convertvector(h, u16v) << 16;
    f16v v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

#if defined(__F16C__) || defined(__aarch64__)
INLINE f16v widen_f16(const uint16_t *p) {
    half16v h;
    memcpy(&h, p, sizeof h);
    return __builtin_convertvector(h, f16v);
}
#else
// Without a conversion in hardware: move the bits, and let a multiplication renormalise the exponent (exact, also
// for subnormals); infinities and NaNs get the full exponent.
INLINE f16v widen_f16(const uint16_t *p) {
    h16v h;
    memcpy(&h, p, sizeof h);
    u16v w = __builtin_convertvector(h, u16v);
    u16v sign = (w & 0x8000u) << 16, magnitude = w & 0x7FFFu;
    u16v shifted = magnitude << 13;
    f16v scaled;
    memcpy(&scaled, &shifted, sizeof scaled);
    scaled *= 0x1p112f;
    u16v bits;
    memcpy(&bits, &scaled, sizeof bits);
    u16v special = (u16v)(magnitude >= 0x7C00u);
    bits = ((bits & ~special) | ((shifted | 0x7F800000u) & special)) | sign;
    f16v v;
    memcpy(&v, &bits, sizeof v);
    return v;
}
#endif

/// 16 elements of any type from element i on; `count` limits them, zeros behind.
INLINE f16v load_typed(const void *source, pith_element type, int64_t i, int64_t count) {
    if (type == PITH_F32) {
        const float *p = (const float *)source + i;
        return count >= 16 ? load16(p) : load_part(p, count);
    }
    const uint16_t *p = (const uint16_t *)source + i;
    uint16_t part[16] = {0};
    if (count < 16) {
        memcpy(part, p, (size_t)count * sizeof(uint16_t));
        p = part;
    }
    return type == PITH_BF16 ? widen_bf16(p) : widen_f16(p);
}

#define DOT_LOOP(TYPE)                                                                                                 \
    {                                                                                                                  \
        f16v sum = {0};                                                                                                \
        int64_t i = 0;                                                                                                 \
        for (; i + 16 <= k; i += 16) sum = FMA(load16(x + i), load_typed(w, TYPE, i, 16), sum);                        \
        if (i < k) sum = FMA(load_part(x + i, k - i), load_typed(w, TYPE, i, k - i), sum);                             \
        return sum_lanes(sum);                                                                                         \
    }

static float dot(const float *x, const void *w, pith_element type, int64_t k) {
    switch (type) {
    case PITH_F32: DOT_LOOP(PITH_F32)
    case PITH_F16: DOT_LOOP(PITH_F16)
    default: DOT_LOOP(PITH_BF16)
    }
}

/// Four rows at a time: their chains of sums do not wait for each other.
#define DOT_ROWS_LOOP(TYPE, SIZE)                                                                                      \
    for (; n + 4 <= rows; n += 4) {                                                                                    \
        const char *row = (const char *)w + n * k * SIZE;                                                              \
        f16v sum[4] = {{0}, {0}, {0}, {0}};                                                                            \
        int64_t i = 0;                                                                                                 \
        for (; i + 16 <= k; i += 16) {                                                                                 \
            f16v a = load16(x + i);                                                                                    \
            _Pragma("unroll") for (int r = 0; r < 4; r++)                                                              \
                sum[r] = FMA(a, load_typed(row + r * k * SIZE, TYPE, i, 16), sum[r]);                                  \
        }                                                                                                              \
        if (i < k) {                                                                                                   \
            f16v a = load_part(x + i, k - i);                                                                          \
            for (int r = 0; r < 4; r++)                                                                                \
                sum[r] = FMA(a, load_typed(row + r * k * SIZE, TYPE, i, k - i), sum[r]);                               \
        }                                                                                                              \
        for (int r = 0; r < 4; r++) y[n + r] = sum_lanes(sum[r]);                                                      \
    }                                                                                                                  \
    for (; n < rows; n++) y[n] = dot(x, (const char *)w + n * k * SIZE, TYPE, k);                                      \
    break;

static void dot_dense_rows(const float *x, const void *w, pith_element type, int64_t rows, int64_t k, float *y) {
    int64_t n = 0;
    switch (type) {
    case PITH_F32: DOT_ROWS_LOOP(PITH_F32, 4)
    case PITH_F16: DOT_ROWS_LOOP(PITH_F16, 2)
    default: DOT_ROWS_LOOP(PITH_BF16, 2)
    }
}

static void widen(const void *source, pith_element type, int64_t count, float *target) {
    int64_t i = 0;
    for (; i + 16 <= count; i += 16) store16(target + i, load_typed(source, type, i, 16));
    if (i < count) {
        f16v v = load_typed(source, type, i, count - i);
        memcpy(target + i, &v, (size_t)(count - i) * sizeof(float));
    }
}

static uint16_t narrow_bf16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return (uint16_t)((bits >> 16) | 0x40);
    return (uint16_t)((bits + 0x7FFFu + ((bits >> 16) & 1)) >> 16);
}

static uint16_t narrow_f16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = (bits >> 16) & 0x8000u, magnitude = bits & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u) return (uint16_t)(sign | 0x7E00u);
    if (magnitude >= 0x477FF000u) return (uint16_t)(sign | 0x7C00u);
    if (magnitude < 0x38800000u) {
        // Subnormal: adding 0.5 leaves the rounded multiple of 2^-24 in the low bits.
        float sum;
        memcpy(&sum, &magnitude, sizeof sum);
        sum += 0.5f;
        memcpy(&magnitude, &sum, sizeof magnitude);
        return (uint16_t)(sign | (magnitude - 0x3F000000u));
    }
    magnitude += 0xC8000FFFu + ((magnitude >> 13) & 1);
    return (uint16_t)(sign | (magnitude >> 13));
}

static void narrow(const float *source, pith_element type, int64_t count, void *target) {
    if (type == PITH_F32) {
        memcpy(target, source, (size_t)count * sizeof(float));
        return;
    }
    uint16_t *halves = target;
    for (int64_t i = 0; i < count; i++) halves[i] = type == PITH_BF16 ? narrow_bf16(source[i]) : narrow_f16(source[i]);
}

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

static void swiglu(const float *gate, const float *up, int64_t count, float *target) {
    int64_t i = 0;
    for (; i + 16 <= count; i += 16) {
        f16v g = load16(gate + i);
        store16(target + i, g / (exp16(-g) + 1.0f) * load16(up + i));
    }
    if (i < count) {
        f16v g = load_part(gate + i, count - i);
        f16v v = g / (exp16(-g) + 1.0f) * load_part(up + i, count - i);
        memcpy(target + i, &v, (size_t)(count - i) * sizeof(float));
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

static void rotate(float *vectors, int64_t heads, int64_t half, const float *cosines, const float *sines) {
    for (int64_t h = 0; h < heads; h++) {
        float *a = vectors + h * 2 * half, *b = a + half;
        for (int64_t i = 0; i < half; i++) {
            float x = a[i], y = b[i];
            a[i] = x * cosines[i] - y * sines[i];
            b[i] = y * cosines[i] + x * sines[i];
        }
    }
}

/// output = sum over t of weights[t] * values[t], the first 16 floats of each value, or 32 with two vectors.
/// Four sums at a time, t modulo 4, so that they do not wait for each other.
INLINE void sum_values(const float *weights, const float *values, int64_t count, int64_t stride, int vectors,
                       float *output) {
    f16v sum[4][2];
    for (int r = 0; r < 4; r++)
        for (int v = 0; v < vectors; v++) sum[r][v] = (f16v){0};
    int64_t t = 0;
    for (; t + 4 <= count; t += 4) {
        _Pragma("unroll") for (int r = 0; r < 4; r++) {
            f16v weight = (f16v){0} + weights[t + r];
            _Pragma("unroll") for (int v = 0; v < vectors; v++)
                sum[r][v] = FMA(weight, load16(values + (t + r) * stride + v * 16), sum[r][v]);
        }
    }
    for (; t < count; t++)
        for (int v = 0; v < vectors; v++)
            sum[0][v] = FMA((f16v){0} + weights[t], load16(values + t * stride + v * 16), sum[0][v]);
    for (int v = 0; v < vectors; v++)
        store16(output + v * 16, (sum[0][v] + sum[2][v]) + (sum[1][v] + sum[3][v]));
}

static void attend(const float *query, const float *keys, const float *values, int64_t count, int64_t stride,
                   int64_t size, float scale, float *scores, float *output) {
    multiply(query, 1, size, keys, count, stride, size, scores, count);
    for (int64_t t = 0; t < count; t++) scores[t] *= scale;
    float inverse = 1.0f / exp_sum(scores, maximum(scores, count), count, scores);
    for (int64_t t = 0; t < count; t++) scores[t] *= inverse;
    int64_t i = 0;
    for (; i + 32 <= size; i += 32) sum_values(scores, values + i, count, stride, 2, output + i);
    for (; i + 16 <= size; i += 16) sum_values(scores, values + i, count, stride, 1, output + i);
    if (i == size) return;
    for (int64_t j = i; j < size; j++) output[j] = 0;
    for (int64_t t = 0; t < count; t++) add_scaled(values + t * stride + i, scores[t], size - i, output + i);
}

// MARK: Calibration

typedef double d8v __attribute__((vector_size(64), aligned(8)));

static void gram(const double *x, int64_t rows, int64_t width, int64_t panel, double *products) {
    const double *a = x + panel * rows * 8;
    for (int64_t column = panel * 8; column < width; column += 8) {
        const double *b = x + column * rows;
        size_t bytes = (size_t)(width - column < 8 ? width - column : 8) * sizeof(double);
        for (int64_t half = 0; half < 8; half += 4) {
            int64_t row = panel * 8 + half, count = width - row < 4 ? width - row : 4;
            d8v sum[4] = {{0}, {0}, {0}, {0}};
            for (int64_t i = 0; i < count; i++) memcpy(&sum[i], products + (row + i) * width + column, bytes);
            for (int64_t r = 0; r < rows; r++) {
                d8v y;
                memcpy(&y, b + r * 8, sizeof y);
                _Pragma("unroll") for (int i = 0; i < 4; i++)
                    sum[i] = FMA((d8v){0} + a[r * 8 + half + i], y, sum[i]);
            }
            for (int64_t i = 0; i < count; i++) memcpy(products + (row + i) * width + column, &sum[i], bytes);
        }
    }
}

const pith_kernels KERNEL_TABLE = {
    .multiply = multiply,         .dot = dot,           .widen = widen,       .narrow = narrow,
    .narrow_rows = narrow_rows, .multiply_packed = multiply_packed, .decode_packed = decode_packed,
    .multiply_packed_floats = multiply_packed_floats, .rms_norm = rms_norm, .swiglu = swiglu,
    .exp_sum = exp_sum,           .maximum = maximum,   .add_scaled = add_scaled, .rotate = rotate,
    .attend = attend,             .gram = gram,       .decode_sparse = decode_sparse, .dot_sparse = dot_sparse,
    .weighted_difference = weighted_difference, .dot_rows = dot_dense_rows,
};
