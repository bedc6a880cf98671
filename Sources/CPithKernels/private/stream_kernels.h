// The kernels of the learning network, written once over vectors of 16 floats. A file that includes this defines
// STREAM_TABLE, the name of the table, and TILE_ROWS, how many rows a product keeps in registers.
#include "CPithStreamKernels.h"
#include "vectors.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

INLINE f16v splat(float x) { return (f16v){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }

/// exp(x) to 2 units in the last place, for |x| cut at 87: x = n ln 2 + r, a polynomial for exp(r), n into the exponent.
INLINE f16v exp16(f16v x) {
    x = __builtin_elementwise_min(__builtin_elementwise_max(x, splat(-87.0f)), splat(87.0f));
    // Adding 1.5 · 2²³ rounds to a whole number, which then stands in the low bits.
    f16v shifted = FMA(x, splat(1.44269504f), splat(12582912.0f));
    f16v n = shifted - splat(12582912.0f);
    f16v r = FMA(n, splat(-0.693359375f), x);
    r = FMA(n, splat(2.12194440e-4f), r);
    f16v p = splat(1.9875691500e-4f);
    p = FMA(p, r, splat(1.3981999507e-3f));
    p = FMA(p, r, splat(8.3334519073e-3f));
    p = FMA(p, r, splat(4.1665795894e-2f));
    p = FMA(p, r, splat(1.6666665459e-1f));
    p = FMA(p, r, splat(5.0000001201e-1f));
    p = FMA(p, r * r, r + 1.0f);
    i16v exponent;
    memcpy(&exponent, &shifted, sizeof exponent);
    exponent = (exponent - 0x4B400000 + 127) << 23;
    f16v power;
    memcpy(&power, &exponent, sizeof power);
    return p * power;
}
INLINE f16v sigmoid16(f16v x) { return 1.0f / (exp16(-x) + 1.0f); }

// MARK: Products

/// A tile of `multiply` or, with x read down its columns, of `outer`: element (i, k) of x lies at i * down + k * right.
INLINE void product_tile(const float *x, int64_t down, int64_t right, const float *w, const float *bias, int64_t inner,
                         int64_t stride, int rows, int vectors, float *y) {
    f16v sums[TILE_ROWS][4];
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < vectors; v++) sums[i][v] = bias ? load16(bias + 16 * v) : splat(0);
    for (int64_t k = 0; k < inner; k++) {
        f16v weights[4];
        for (int v = 0; v < vectors; v++) weights[v] = load16(w + k * stride + 16 * v);
        for (int i = 0; i < rows; i++) {
            f16v value = splat(x[i * down + k * right]);
            for (int v = 0; v < vectors; v++) sums[i][v] = FMA(value, weights[v], sums[i][v]);
        }
    }
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < vectors; v++) store16(y + i * stride + 16 * v, sums[i][v]);
}

/// y = bias + x w, for `columns` columns of matrices of `stride`.
INLINE void product(const float *x, int64_t down, int64_t right, const float *w, const float *bias, int64_t rows,
                    int64_t inner, int64_t columns, int64_t stride, float *y) {
    for (int64_t c = 0; c < columns;) {
        int wide = columns - c >= 32;
        const float *b = bias ? bias + c : NULL;
        int64_t r = 0;
        for (; r + TILE_ROWS <= rows; r += TILE_ROWS) {
            if (wide) product_tile(x + r * down, down, right, w + c, b, inner, stride, TILE_ROWS, 2, y + r * stride + c);
            else product_tile(x + r * down, down, right, w + c, b, inner, stride, TILE_ROWS, 1, y + r * stride + c);
        }
        for (; r < rows; r++) {
            if (wide) product_tile(x + r * down, down, right, w + c, b, inner, stride, 1, 2, y + r * stride + c);
            else product_tile(x + r * down, down, right, w + c, b, inner, stride, 1, 1, y + r * stride + c);
        }
        c += wide ? 32 : 16;
    }
}

/// One row: wide strips keep enough sums in flight.
INLINE void product_row(const float *x, const float *w, const float *bias, int64_t inner, int64_t columns,
                        int64_t stride, float *y) {
    int64_t c = 0;
    for (; c + 64 <= columns; c += 64) product_tile(x, 0, 1, w + c, bias + c, inner, stride, 1, 4, y + c);
    for (; c < columns; c += 16) product_tile(x, 0, 1, w + c, bias + c, inner, stride, 1, 1, y + c);
}

static void multiply(const float *x, const float *w, const float *bias, int64_t rows, int64_t inner, int64_t columns,
                     int64_t stride, float *y) {
    if (rows == 1) product_row(x, w, bias, inner, columns, stride, y);
    else product(x, inner, 1, w, bias, rows, inner, columns, stride, y);
}

static void outer(const float *x, const float *y, int64_t rows, int64_t inner, int64_t columns, int64_t stride,
                  float *w) {
    product(x, 1, stride, y, NULL, inner, rows, columns, columns, w);
}

static void sum_rows(const float *y, int64_t rows, int64_t columns, float *bias) {
    for (int64_t c = 0; c < columns; c += 16) {
        f16v sum = splat(0);
        for (int64_t r = 0; r < rows; r++) sum += load16(y + r * columns + c);
        store16(bias + c, sum);
    }
}

INLINE void back_tile(const float *y, const float *w, int64_t columns, int64_t stride, int rows, int outputs, float *x) {
    f16v sums[4][4];
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < outputs; j++) sums[i][j] = splat(0);
    for (int64_t c = 0; c < columns; c += 16) {
        f16v weights[4];
        for (int j = 0; j < outputs; j++) weights[j] = load16(w + j * columns + c);
        for (int i = 0; i < rows; i++) {
            f16v value = load16(y + i * columns + c);
            for (int j = 0; j < outputs; j++) sums[i][j] = FMA(value, weights[j], sums[i][j]);
        }
    }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < outputs; j++) x[i * stride + j] = sum_lanes(sums[i][j]);
}

static void multiply_back(const float *y, const float *w, int64_t rows, int64_t inner, int64_t columns, int64_t stride,
                          float *x) {
    // A strip of W stays in the first cache while all rows pass.
    for (int64_t j = 0; j < inner; j += 4) {
        int64_t r = 0;
        for (; r + BACK_ROWS <= rows; r += BACK_ROWS)
            back_tile(y + r * columns, w + j * columns, columns, stride, BACK_ROWS, 4, x + r * stride + j);
        for (; r < rows; r++) back_tile(y + r * columns, w + j * columns, columns, stride, 1, 4, x + r * stride + j);
    }
}

// MARK: Norm

INLINE float dot16(const float *a, const float *b, int64_t count) {
    f16v sum = splat(0);
    for (int64_t i = 0; i < count; i += 16) sum = FMA(load16(a + i), load16(b + i), sum);
    return sum_lanes(sum);
}

static void normalize(const float *x, int64_t rows, int64_t width, float *y, float *scales) {
    for (int64_t r = 0; r < rows; r++, x += width, y += width) {
        float scale = 1.0f / sqrtf(dot16(x, x, width) / (float)width + 1e-5f);
        for (int64_t i = 0; i < width; i += 16) store16(y + i, load16(x + i) * scale);
        scales[r] = scale;
    }
}

static void normalize_back(const float *dy, const float *x, const float *scales, int64_t rows, int64_t width,
                           float *dx) {
    for (int64_t r = 0; r < rows; r++, x += width, dy += width, dx += width) {
        float scale = scales[r];
        float common = dot16(dy, x, width) * (scale * scale * scale) / (float)width;
        for (int64_t i = 0; i < width; i += 16) {
            f16v slope = FMA(load16(x + i), splat(-common), load16(dx + i));
            store16(dx + i, FMA(load16(dy + i), splat(scale), slope));
        }
    }
}

// MARK: Recurrence

static void scan(const pith_stream_layer *layer, int64_t first, int64_t count, int32_t sets, float *x) {
    int64_t width = layer->width, before = layer->streams * width;
    for (int64_t r = first; r < first + count; r++) {
        float *gates = layer->gates + r * 3 * width, *state = layer->states + before + r * width;
        for (int64_t i = 0; i < width; i += 16) {
            f16v c = load16(state - before + i), z = load16(gates + i);
            f16v f = sigmoid16(FMA(load16(layer->peephole + i), c, load16(gates + width + i)));
            f16v g = load16(gates + 2 * width + i);
            c = FMA(f, c - z, z);
            store16(gates + width + i, f);
            store16(state + i, c);
            f16v gate = g * sigmoid16(g);
            store16(x + r * width + i, sets ? c * gate : FMA(c, gate, load16(x + r * width + i)));
        }
    }
}

static void scan_back(const pith_stream_layer *layer, int64_t rows, const float *dx, float *carry,
                      float *peephole_slopes) {
    int64_t width = layer->width, streams = layer->streams, before = streams * width;
    memset(carry, 0, (size_t)before * sizeof(float));
    memset(peephole_slopes, 0, (size_t)width * sizeof(float));
    for (int64_t r = rows - 1; r >= 0; r--) {
        float *gates = layer->gates + r * 3 * width, *state = layer->states + before + r * width;
        float *later = carry + r % streams * width;
        for (int64_t i = 0; i < width; i += 16) {
            f16v c = load16(state + i), old = load16(state - before + i), z = load16(gates + i);
            f16v f = load16(gates + width + i), g = load16(gates + 2 * width + i);
            f16v d = load16(dx + r * width + i), open = sigmoid16(g);
            f16v dc = FMA(d, g * open, load16(later + i));
            f16v df = dc * (old - z) * (f * (1.0f - f));
            store16(later + i, FMA(dc, f, df * load16(layer->peephole + i)));
            store16(peephole_slopes + i, FMA(df, old, load16(peephole_slopes + i)));
            store16(gates + i, dc * (1.0f - f));
            store16(gates + width + i, df);
            store16(gates + 2 * width + i, d * c * (open * FMA(g, 1.0f - open, splat(1))));
        }
    }
}

// MARK: Loss and learning

static void softmax(float *values, int64_t rows) {
    for (int64_t r = 0; r < rows; r++, values += 256) {
        f16v most = load16(values);
        for (int i = 16; i < 256; i += 16) most = __builtin_elementwise_max(most, load16(values + i));
        float largest = most[0];
        for (int i = 1; i < 16; i++) largest = most[i] > largest ? most[i] : largest;
        f16v sum = splat(0);
        for (int i = 0; i < 256; i += 16) {
            f16v power = exp16(load16(values + i) - largest);
            store16(values + i, power);
            sum += power;
        }
        float factor = 1.0f / sum_lanes(sum);
        for (int i = 0; i < 256; i += 16) store16(values + i, load16(values + i) * factor);
    }
}

static void adam(const pith_stream_adam *step, const float *gradient, int64_t count, float *parameters, float *mean,
                 float *square) {
    f16v keep = splat(step->keep_mean), keep_square = splat(step->keep_square);
    float gain = 1.0f - step->keep_mean, gain_square = 1.0f - step->keep_square;
    const int has_momentum = step->keep_mean != 0;
    for (int64_t i = 0; i < count; i += 16) {
        f16v g = load16(gradient + i);
        f16v m = has_momentum ? FMA(load16(mean + i), keep, g * gain) : g;
        f16v s = FMA(load16(square + i), keep_square, g * g * gain_square);
        if (has_momentum) store16(mean + i, m);
        store16(square + i, s);
        f16v size = __builtin_elementwise_sqrt(s * step->spread) + step->epsilon;
        store16(parameters + i, load16(parameters + i) - m * step->rate / size);
    }
}

const pith_stream_kernels STREAM_TABLE = {
    .multiply = multiply, .multiply_back = multiply_back, .outer = outer, .sum_rows = sum_rows,
    .normalize = normalize, .normalize_back = normalize_back, .scan = scan, .scan_back = scan_back, .softmax = softmax,
    .adam = adam,
};
