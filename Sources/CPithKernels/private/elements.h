// Elements of dense matrices: how they become floats, and floats become them.

typedef uint8_t b32v __attribute__((vector_size(32), aligned(1)));

INLINE f16v as_floats(u16v bits) {
    f16v v;
    memcpy(&v, &bits, sizeof v);
    return v;
}
INLINE u16v as_bits(f16v floats) {
    u16v v;
    memcpy(&v, &floats, sizeof v);
    return v;
}
/// Where the lanes of `mask` are all ones `a`, else `b`.
INLINE u16v choose(u16v mask, u16v a, u16v b) { return (a & mask) | (b & ~mask); }

INLINE f16v widen_bf16(const uint16_t *p) {
    h16v h;
    memcpy(&h, p, sizeof h);
    return as_floats(__builtin_convertvector(h, u16v) << 16);
}

#if defined(__F16C__) || defined(__aarch64__)
INLINE f16v widen_halves(h16v h) {
    half16v v;
    memcpy(&v, &h, sizeof v);
    return __builtin_convertvector(v, f16v);
}
#else
// Without a conversion in hardware: move the bits, and let a multiplication renormalise the exponent (exact, also
// for subnormals); infinities and NaNs get the full exponent.
INLINE f16v widen_halves(h16v h) {
    u16v w = __builtin_convertvector(h, u16v);
    u16v sign = (w & 0x8000u) << 16, magnitude = w & 0x7FFFu;
    u16v shifted = magnitude << 13;
    u16v bits = as_bits(as_floats(shifted) * 0x1p112f);
    return as_floats(choose((u16v)(magnitude >= 0x7C00u), shifted | 0x7F800000u, bits) | sign);
}
#endif

INLINE f16v widen_f16(const uint16_t *p) {
    h16v h;
    memcpy(&h, p, sizeof h);
    return widen_halves(h);
}

/// FP8 with 4 exponent bits, moved and renormalised in the same way; it has NaNs, 0x7F and 0xFF, but no infinities.
INLINE f16v widen_e4m3(b16v bytes) {
    u16v w = __builtin_convertvector(bytes, u16v), magnitude = w & 0x7Fu;
    u16v bits = as_bits(as_floats(magnitude << 20) * 0x1p120f);
    return as_floats(choose((u16v)(magnitude == 0x7Fu), (u16v){0} + 0x7FC00000u, bits) | (w & 0x80u) << 24);
}

/// FP8 with 5 exponent bits: the upper byte of a half.
INLINE f16v widen_e5m2(b16v bytes) { return widen_halves(__builtin_convertvector(bytes, h16v) << 8); }

/// Bytes of an element.
INLINE int64_t element_size(pith_element type) { return type == PITH_F32 ? 4 : type >= PITH_F8_E4M3 ? 1 : 2; }

/// 16 elements from p on.
INLINE f16v widen16(const void *p, pith_element type) {
    b16v bytes;
    switch (type) {
    case PITH_F32: return load16(p);
    case PITH_F16: return widen_f16(p);
    case PITH_BF16: return widen_bf16(p);
    case PITH_F8_E4M3: memcpy(&bytes, p, sizeof bytes); return widen_e4m3(bytes);
    default: memcpy(&bytes, p, sizeof bytes); return widen_e5m2(bytes);
    }
}

/// 16 elements of any type from element i on; `count` limits them, zeros behind.
INLINE f16v load_typed(const void *source, pith_element type, int64_t i, int64_t count) {
    const char *p = (const char *)source + i * element_size(type);
    if (count >= 16) return widen16(p, type);
    char part[64] = {0};
    memcpy(part, p, (size_t)(count * element_size(type)));
    return widen16(part, type);
}

static void widen(const void *source, pith_element type, int64_t count, float *target) {
#define WIDEN_LOOP(TYPE)                                                                                               \
    for (int64_t i = 0; i < count; i += 16) {                                                                          \
        f16v v = load_typed(source, TYPE, i, count - i);                                                               \
        store_up_to_16(target + i, v, count - i);                                                                          \
    }                                                                                                                  \
    break;
    switch (type) {
    case PITH_F32: memcpy(target, source, (size_t)count * sizeof(float)); break;
    case PITH_F16: WIDEN_LOOP(PITH_F16)
    case PITH_BF16: WIDEN_LOOP(PITH_BF16)
    case PITH_F8_E4M3: WIDEN_LOOP(PITH_F8_E4M3)
    default: WIDEN_LOOP(PITH_F8_E5M2)
    }
}

// MARK: Narrowing

/// The bits of BF16, rounded to nearest even.
INLINE u16v narrow_bf16(f16v v) {
    u16v bits = as_bits(v), rounded = (bits + 0x7FFFu + (bits >> 16 & 1)) >> 16;
    return choose((u16v)((bits & 0x7FFFFFFFu) > 0x7F800000u), bits >> 16 | 0x40, rounded);
}

/// The bits of a float with `fraction` fraction bits and an exponent bias of `bias`, rounded to nearest even.
/// Magnitudes from the float with the bits `beyond` on become `infinity`.
INLINE u16v narrow_small(f16v v, int fraction, int bias, uint32_t beyond, uint32_t infinity, uint32_t nan) {
    u16v bits = as_bits(v), magnitude = bits & 0x7FFFFFFFu;
    int shift = 23 - fraction;
    u16v normal = (magnitude - ((uint32_t)(127 - bias) << 23) + ((1u << (shift - 1)) - 1) + (magnitude >> shift & 1)) >> shift;
    // Subnormal: adding this leaves the rounded multiple of the smallest value in the low bits.
    u16v base = (u16v){0} + ((uint32_t)(127 + 1 - bias - fraction + 23) << 23);
    u16v small = as_bits(as_floats(magnitude) + as_floats(base)) - base;
    u16v code = choose((u16v)(magnitude < (uint32_t)(128 - bias) << 23), small, normal);
    code = choose((u16v)(magnitude >= beyond), (u16v){0} + infinity, code);
    code = choose((u16v)(magnitude > 0x7F800000u), (u16v){0} + nan, code);
    // The sign stands above exponent and fraction: 16 bits in a half, 8 in FP8.
    return code | (fraction == 10 ? bits >> 16 & 0x8000u : bits >> 24 & 0x80u);
}

INLINE u16v narrow_bits(f16v v, pith_element type) {
    switch (type) {
    case PITH_BF16: return narrow_bf16(v);
    case PITH_F16: return narrow_small(v, 10, 15, 0x477FF000u, 0x7C00, 0x7E00);
    // No infinity: what is beyond the largest value, 448, becomes it.
    case PITH_F8_E4M3: return narrow_small(v, 3, 7, 0x43E00000u, 0x7E, 0x7F);
    default: return narrow_small(v, 2, 15, 0x47700000u, 0x7C, 0x7E);
    }
}

static void narrow(const float *source, pith_element type, int64_t count, void *target) {
#define NARROW_LOOP(TYPE, VECTOR, SIZE)                                                                                \
    for (int64_t i = 0; i < count; i += 16) {                                                                          \
        int64_t rest = count - i < 16 ? count - i : 16;                                                                \
        VECTOR v = __builtin_convertvector(narrow_bits(load_up_to_16(source + i, rest), TYPE), VECTOR);                \
        memcpy((char *)target + i * SIZE, &v, (size_t)(rest * SIZE));                                                  \
    }                                                                                                                  \
    break;
    switch (type) {
    case PITH_F32: memcpy(target, source, (size_t)count * sizeof(float)); break;
    case PITH_F16: NARROW_LOOP(PITH_F16, h16v, 2)
    case PITH_BF16: NARROW_LOOP(PITH_BF16, h16v, 2)
    case PITH_F8_E4M3: NARROW_LOOP(PITH_F8_E4M3, b16v, 1)
    default: NARROW_LOOP(PITH_F8_E5M2, b16v, 1)
    }
}
