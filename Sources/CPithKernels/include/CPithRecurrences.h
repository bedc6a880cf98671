// What the kernels of recurrent models are given: rows of one sequence, and the state that they change.
#ifndef CPITH_RECURRENCES_H
#define CPITH_RECURRENCES_H

#include <stdint.h>

/// The most elements that a selective scan keeps of a channel.
#define PITH_SCAN_LIMIT 256

/// A selective state space of Mamba: for each channel h = exp(-step exp(rate)) h + step x B, y = C h + skip x, where h,
/// B and C have `size` elements, at most PITH_SCAN_LIMIT.
typedef struct {
    int64_t rows, width, size;
    /// x and its steps, [rows, width].
    const float *inputs, *steps;
    /// B and C, [rows, size].
    const float *writes, *reads;
    /// The logarithms of the rates, [width, size].
    const float *rates;
    /// [width].
    const float *skips;
    /// h, [width, size].
    float *states;
    /// [rows, width].
    float *outputs;
} pith_selective_scan;

/// A state S of [size, size] for each head, from keys to values, as in RWKV 5, 6 and 7:
/// S = diag(decay) S + b (aᵀ S) + k vᵀ, where a and b may be missing. A row reads r S: the S before its own turn where
/// they are missing, the S behind it otherwise.
typedef struct {
    int64_t rows, heads, size;
    /// [rows, heads · size] each; a and b may be NULL.
    const float *receptances, *decays, *keys, *values, *a, *b;
    /// S, [heads, size, size].
    float *states;
    /// [rows, heads · size].
    float *outputs;
} pith_matrix_recurrence;

/// An average of values in each channel, weighted by exp(key), of which the weight of those before shrinks by
/// exp(-exp(decay)) with each row and that of the row itself is exp(bonus) times as large, as in RWKV 4.
typedef struct {
    int64_t rows, width;
    /// [rows, width].
    const float *keys, *values;
    /// [width].
    const float *decays, *bonuses;
    /// The weighted sum, the sum of weights, and the logarithm of what both were divided by, [3, width]; 0 at first.
    float *states;
    /// [rows, width].
    float *outputs;
} pith_exponential_average;

#endif
