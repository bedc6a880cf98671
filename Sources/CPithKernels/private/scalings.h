// The ways in which codes become weights, other than by one scale for a group: weight = (code - zero) * scale - minimum.

/// Scales of this many columns of a tile differ.
INLINE int halves_of(int scaling) { return scaling == PITH_HALF_MINIMA || scaling == PITH_HALF_FACTORS ? 2 : 1; }

INLINE int has_minima(int scaling) {
    return scaling == PITH_TILE_MINIMA || scaling == PITH_FACTOR_MINIMA || scaling == PITH_HALF_MINIMA;
}

/// Whether scales are products of those of a group and a factor.
INLINE int has_factors(int scaling) { return scaling >= PITH_FACTOR_MINIMA && scaling <= PITH_HALF_FACTORS; }

/// What a group of tiles has in common.
typedef struct {
    f16v scale, minimum;
} group_scales;

INLINE group_scales group_of(const pith_packed *w, int scaling, int64_t block, int64_t tile) {
    group_scales group = {{0}, {0}};
    if (!has_factors(scaling)) return group;
    int64_t place = block * w->groups + tile / w->group;
    if (!has_minima(scaling)) {
        group.scale = widen_f16(w->scales + place * 16);
        return group;
    }
    group.scale = widen_f16(w->scales + place * 32);
    group.minimum = widen_f16(w->scales + place * 32 + 16);
    return group;
}

INLINE i16v unsigned_bytes(const uint8_t *p) {
    b16v bytes;
    memcpy(&bytes, p, sizeof bytes);
    return __builtin_convertvector(bytes, i16v);
}
INLINE i16v signed_bytes(const uint8_t *p) {
    typedef int8_t c16v __attribute__((vector_size(16), aligned(1)));
    c16v bytes;
    memcpy(&bytes, p, sizeof bytes);
    return __builtin_convertvector(bytes, i16v);
}
INLINE f16v floats_of(i16v v) { return __builtin_convertvector(v, f16v); }

/// The scales of a tile, or of one half of it, for 16 rows.
typedef struct {
    f16v scale, minimum, zero;
} part_scales;

INLINE part_scales part_of(const pith_packed *w, int scaling, group_scales group, int64_t block, int64_t tile,
                           int64_t half) {
    int64_t place = block * w->tiles + tile;
    f16v zero = (f16v){0} + (has_minima(scaling) ? 0 : (float)w->zero), none = {0};
    switch (scaling) {
    case PITH_TILE_MINIMA:
        return (part_scales){widen_f16(w->scales + place * 32), widen_f16(w->scales + place * 32 + 16), zero};
    case PITH_FACTOR_MINIMA: {
        const uint8_t *p = w->factors + place * 32;
        return (part_scales){group.scale * floats_of(unsigned_bytes(p)),
                             group.minimum * floats_of(unsigned_bytes(p + 16)), zero};
    }
    case PITH_HALF_MINIMA: {
        i16v both = unsigned_bytes(w->factors + (place * 2 + half) * 16);
        return (part_scales){group.scale * floats_of(both & 15), group.minimum * floats_of(both >> 4), zero};
    }
    case PITH_FACTORS:
        return (part_scales){group.scale * floats_of(signed_bytes(w->factors + place * 16)), none, zero};
    case PITH_HALF_FACTORS:
        return (part_scales){group.scale * floats_of(signed_bytes(w->factors + (place * 2 + half) * 16)), none, zero};
    default: {
        // 2^(e - 128); below the smallest normal float for exponents of 0 and 1.
        i16v e = unsigned_bytes(w->factors + place * 16), small = e < 2;
        i16v bits = (small & ((e & 1) * 0x200000 + 0x200000)) | (~small & ((e - 1) << 23));
        f16v scale;
        memcpy(&scale, &bits, sizeof scale);
        return (part_scales){scale, none, zero};
    }
    }
}

/// The same, of scales of groups too.
INLINE part_scales scales_of(const pith_packed *w, int scaling, int64_t block, int64_t tile, int64_t half) {
    if (scaling == PITH_GROUP_SCALES)
        return (part_scales){block_scales(w, block, tile), (f16v){0}, floats_of(block_zeros(w, block, tile))};
    return part_of(w, scaling, group_of(w, scaling, block, tile), block, tile, half);
}
