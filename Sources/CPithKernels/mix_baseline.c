// The mixing kernels in plain C: the reference, and what compilers make vectors of for SSE2 and NEON.
#include "CPithMixKernels.h"

#include <stddef.h>

static void dot(const int16_t *x, int64_t count, const int16_t *weights, const int64_t *rows, int64_t sets,
                int32_t *sums) {
    for (int64_t s = 0; s < sets; s++) {
        const int16_t *w = weights + rows[s];
        uint32_t sum = 0;
        for (int64_t i = 0; i < count; i += 2)
            sum += (uint32_t)((int32_t)((uint32_t)(x[i] * w[i]) + (uint32_t)(x[i + 1] * w[i + 1])) >> 6);
        sums[s] = (int32_t)sum;
    }
}

static int16_t saturated(int32_t value) {
    return (int16_t)(value > INT16_MAX ? INT16_MAX : value < INT16_MIN ? INT16_MIN : value);
}

static void train(const int16_t *x, int64_t count, int16_t *weights, const int64_t *rows, int64_t sets,
                  const int16_t *errors) {
    for (int64_t s = 0; s < sets; s++) {
        if (errors[s] == 0) continue;
        int16_t *high = weights + rows[s];
        uint16_t *low = (uint16_t *)(high + count);
        int32_t error = errors[s];
        for (int64_t i = 0; i < count; i++) {
            int32_t step = x[i] * error;
            uint32_t sum = (uint32_t)low[i] + (uint16_t)step;
            low[i] = (uint16_t)sum;
            high[i] = saturated(saturated(high[i] + (step >> 16)) + (int32_t)(sum >> 16));
        }
    }
}

const pith_mix_kernels pith_mix_kernels_baseline = {dot, train};
