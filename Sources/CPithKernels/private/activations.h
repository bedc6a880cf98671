// Element-wise functions and their slopes, each written once for the engine that runs and for the one that learns.

/// Phi(x), the normal distribution function: its tail is a polynomial in 1 / (1 + 0.3275911 |x| / sqrt(2)) times
/// exp(-x^2 / 2) to 2e-7 (Abramowitz and Stegun 1964, 7.1.26). `density` is exp(-x^2 / 2).
INLINE f16v normal16(f16v x, f16v *density) {
    f16v size = __builtin_elementwise_abs(x), e = exp16(x * x * -0.5f);
    f16v t = 1.0f / FMA(size, (f16v){0} + 0.231641888f, (f16v){0} + 1.0f);
    f16v p = (f16v){0} + 0.5307027145f;
    p = FMA(p, t, (f16v){0} - 0.7265760135f);
    p = FMA(p, t, (f16v){0} + 0.7107068705f);
    p = FMA(p, t, (f16v){0} - 0.142248368f);
    p = FMA(p, t, (f16v){0} + 0.127414796f);
    f16v tail = p * t * e;
    *density = e;
    return as_floats(choose((u16v)(x < 0.0f), as_bits(tail), as_bits(1.0f - tail)));
}

/// log(1 + exp(x)) is max(x, 0) + log(1 + e) with e = exp(-|x|); log(1 + e) = 2 artanh(e / (2 + e)).
INLINE f16v softplus16(f16v x) {
    f16v e = exp16(-__builtin_elementwise_abs(x)), s = e / (e + 2.0f), square = s * s;
    f16v sum = (f16v){0} + 1.0f / 15;
    sum = FMA(sum, square, (f16v){0} + 1.0f / 13);
    sum = FMA(sum, square, (f16v){0} + 1.0f / 11);
    sum = FMA(sum, square, (f16v){0} + 1.0f / 9);
    sum = FMA(sum, square, (f16v){0} + 1.0f / 7);
    sum = FMA(sum, square, (f16v){0} + 1.0f / 5);
    sum = FMA(sum, square, (f16v){0} + 1.0f / 3);
    sum = FMA(sum, square, (f16v){0} + 1.0f);
    return __builtin_elementwise_max(x, (f16v){0}) + 2.0f * s * sum;
}

/// f(x); its slope f'(x) goes to `slope`.
INLINE f16v activation16(pith_activation kind, f16v x, f16v *slope) {
    switch (kind) {
    case PITH_SILU: {
        f16v s = 1.0f / (exp16(-x) + 1.0f), value = x * s;
        *slope = s + value * (1.0f - s);
        return x / (exp16(-x) + 1.0f);
    }
    case PITH_GELU_TANH: {
        // x * s(u) with u = 2 sqrt(2 / pi) (x + 0.044715 x^3), for 1 + tanh(u) is twice the sigmoid of 2 u.
        f16v squares = x * x;
        f16v e = exp16(-(FMA(squares, (f16v){0} + 0.0713548163f, (f16v){0} + 1.59576912f) * x)) + 1.0f, s = 1.0f / e;
        *slope = s + x * s * (1.0f - s) * FMA(squares, (f16v){0} + 0.2140644488f, (f16v){0} + 1.59576912f);
        return x / e;
    }
    case PITH_GELU: {
        f16v density, normal = normal16(x, &density);
        *slope = FMA(x * density, (f16v){0} + 0.3989422804f, normal);
        return x * normal;
    }
    case PITH_RELU: {
        f16v zero = {0};
        *slope = as_floats(choose((u16v)(x > zero), as_bits(zero + 1.0f), as_bits(zero)));
        return __builtin_elementwise_max(x, zero);
    }
    case PITH_SIGMOID: {
        f16v s = 1.0f / (exp16(-x) + 1.0f);
        *slope = s * (1.0f - s);
        return s;
    }
    case PITH_TANH: {
        f16v value = 1.0f - 2.0f / (exp16(x * 2.0f) + 1.0f);
        *slope = 1.0f - value * value;
        return value;
    }
    case PITH_SOFTPLUS:
        *slope = 1.0f / (exp16(-x) + 1.0f);
        return softplus16(x);
    case PITH_SQUARED_RELU: {
        f16v positive = __builtin_elementwise_max(x, (f16v){0});
        *slope = positive * 2.0f;
        return positive * positive;
    }
    case PITH_DECAY: {
        f16v speed = exp16(x), value = exp16(-speed);
        *slope = -speed * value;
        return value;
    }
    case PITH_BOUNDED_DECAY: {
        f16v s = 1.0f / (exp16(-x) + 1.0f), value = exp16(s * -0.606531f);
        *slope = s * (1.0f - s) * -0.606531f * value;
        return value;
    }
    }
}

/// Runs CALL(kind) with a kind that the compiler knows.
#define EACH_ACTIVATION(kind, CALL)                                                                                    \
    switch (kind) {                                                                                                    \
    case PITH_SILU: CALL(PITH_SILU) break;                                                                             \
    case PITH_GELU_TANH: CALL(PITH_GELU_TANH) break;                                                                   \
    case PITH_GELU: CALL(PITH_GELU) break;                                                                             \
    case PITH_RELU: CALL(PITH_RELU) break;                                                                             \
    case PITH_SIGMOID: CALL(PITH_SIGMOID) break;                                                                       \
    case PITH_TANH: CALL(PITH_TANH) break;                                                                             \
    case PITH_SOFTPLUS: CALL(PITH_SOFTPLUS) break;                                                                     \
    case PITH_SQUARED_RELU: CALL(PITH_SQUARED_RELU) break;                                                             \
    case PITH_DECAY: CALL(PITH_DECAY) break;                                                                           \
    case PITH_BOUNDED_DECAY: CALL(PITH_BOUNDED_DECAY) break;                                                           \
    }

INLINE void activate_kind(pith_activation kind, const float *x, const float *factors, int64_t count, float *target) {
    f16v slope;
    int64_t i = 0;
    for (; i + 16 <= count; i += 16) {
        f16v y = activation16(kind, load16(x + i), &slope);
        store16(target + i, factors ? y * load16(factors + i) : y);
    }
    if (i < count) {
        f16v y = activation16(kind, load_part(x + i, count - i), &slope);
        if (factors) y *= load_part(factors + i, count - i);
        memcpy(target + i, &y, (size_t)(count - i) * sizeof(float));
    }
}

static void activate(pith_activation kind, const float *x, const float *factors, int64_t count, float *target) {
#define ACTIVATE(KIND) activate_kind(KIND, x, factors, count, target);
    EACH_ACTIVATION(kind, ACTIVATE)
#undef ACTIVATE
}
