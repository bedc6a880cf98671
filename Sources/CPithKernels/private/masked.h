// Tiles with weights left out: a bit for each weight, and codes for the kept ones alone.
//
// Masks are 64 bits for each vector of a tile, the first byte in the lowest bit. Kept codes lie in planes of 4, 2 and 1
// bits as in `read_codes`, but without gaps: in a plane of b bits those of the first b vectors follow each other in the
// lowest b bits of bytes, those of the next b vectors in the bits above, and so on; a plane ends with the longest of
// these 8/b streams. Weights left out get the code of zero.

#if defined(USE_AVX2_INTRINSICS) || defined(USE_NEON_DOT)
// For each mask of eight where byte j finds its value: the number of kept bytes before byte j, with the top bit set
// where that is left out itself.
#define LANE(M, J) (__builtin_popcount((M) & ((1 << J) - 1)) | ((M) >> J & 1 ? 0 : INT8_MIN))
#define LANES_1(M) {LANE(M, 0), LANE(M, 1), LANE(M, 2), LANE(M, 3), LANE(M, 4), LANE(M, 5), LANE(M, 6), LANE(M, 7)}
#define LANES_4(M) LANES_1(M), LANES_1(M + 1), LANES_1(M + 2), LANES_1(M + 3)
#define LANES_16(M) LANES_4(M), LANES_4(M + 4), LANES_4(M + 8), LANES_4(M + 12)
#define LANES_64(M) LANES_16(M), LANES_16(M + 16), LANES_16(M + 32), LANES_16(M + 48)
static const _Alignas(64) int8_t expansion_lanes[256][8] = {LANES_64(0), LANES_64(64), LANES_64(128), LANES_64(192)};
#endif

// kept_bytes: the bytes at `p` one after the other, spread out to where `mask` has ones if the instructions do that best
// from memory. merge_kept: what came of them where `mask` has ones, the bytes of `others` elsewhere.
#if defined(USE_VNNI512)
INLINE b64v kept_bytes(uint64_t mask, const uint8_t *p) { return load64(p); }
INLINE b64v merge_kept(uint64_t mask, b64v kept, b64v others) {
    // In a register first: from memory the instruction is slow.
    __asm__("" : "+v"(kept));
    return (b64v)_mm512_mask_expand_epi8((__m512i)others, mask, (__m512i)kept);
}
#elif defined(USE_AVX2_INTRINSICS)
INLINE b64v kept_bytes(uint64_t mask, const uint8_t *p) {
    __m128i parts[8];
    _Pragma("unroll") for (int i = 0; i < 8; i++, mask >>= 8) {
        __m128i lanes = _mm_loadl_epi64((const __m128i *)expansion_lanes[mask & 255]);
        parts[i] = _mm_shuffle_epi8(_mm_loadl_epi64((const __m128i *)p), lanes);
        p += __builtin_popcount(mask & 255);
    }
    __m256i halves[2];
    _Pragma("unroll") for (int i = 0; i < 2; i++)
        halves[i] = _mm256_set_m128i(_mm_unpacklo_epi64(parts[4 * i + 2], parts[4 * i + 3]),
                                     _mm_unpacklo_epi64(parts[4 * i], parts[4 * i + 1]));
    b64v result;
    memcpy(&result, halves, sizeof result);
    return result;
}
INLINE b64v merge_kept(uint64_t mask, b64v kept, b64v others) {
#if defined(__AVX512F__)
    return (b64v)_mm512_mask_mov_epi8((__m512i)others, mask, (__m512i)kept);
#else
    __m256i k[2], o[2], bits = _mm256_set1_epi64x((int64_t)0x8040201008040201);
    __m256i bytes = _mm256_set_epi64x(0x0303030303030303, 0x0202020202020202, 0x0101010101010101, 0);
    memcpy(k, &kept, sizeof k);
    memcpy(o, &others, sizeof o);
    _Pragma("unroll") for (int half = 0; half < 2; half++) {
        __m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32((int32_t)(mask >> (32 * half))), bytes);
        __m256i is_kept = _mm256_cmpeq_epi8(_mm256_and_si256(spread, bits), bits);
        k[half] = _mm256_blendv_epi8(o[half], k[half], is_kept);
    }
    memcpy(&kept, k, sizeof kept);
    return kept;
#endif
}
#elif defined(USE_NEON_DOT)
INLINE b64v kept_bytes(uint64_t mask, const uint8_t *p) {
    uint8x8_t parts[8];
    for (int i = 0; i < 8; i++, mask >>= 8) {
        parts[i] = vtbl1_u8(vld1_u8(p), vreinterpret_u8_s8(vld1_s8(expansion_lanes[mask & 255])));
        p += __builtin_popcount(mask & 255);
    }
    b64v result;
    memcpy(&result, parts, sizeof result);
    return result;
}
INLINE b64v merge_kept(uint64_t mask, b64v kept, b64v others) {
    uint8x8_t k[8], o[8], bits = vcreate_u8(0x8040201008040201);
    memcpy(k, &kept, sizeof k);
    memcpy(o, &others, sizeof o);
    for (int i = 0; i < 8; i++) k[i] = vbsl_u8(vtst_u8(vdup_n_u8((uint8_t)(mask >> (8 * i))), bits), k[i], o[i]);
    memcpy(&kept, k, sizeof kept);
    return kept;
}
#else
INLINE b64v kept_bytes(uint64_t mask, const uint8_t *p) {
    uint8_t bytes[64] = {0};
    for (int i = 0; i < 64; i++)
        if (mask >> i & 1) bytes[i] = *p++;
    return load64(bytes);
}
INLINE b64v merge_kept(uint64_t mask, b64v kept, b64v others) {
    uint8_t bytes[64];
    store64(bytes, kept);
    for (int i = 0; i < 64; i++)
        if (!(mask >> i & 1)) bytes[i] = others[i];
    return load64(bytes);
}
#endif

/// Each of 16 bytes four times.
INLINE b64v repeat_four_times(const uint8_t *p) {
    b16v v;
    memcpy(&v, p, sizeof v);
    return __builtin_shufflevector(
        v, v, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7, 8, 8, 8,
        8, 9, 9, 9, 9, 10, 10, 10, 10, 11, 11, 11, 11, 12, 12, 12, 12, 13, 13, 13, 13, 14, 14, 14, 14, 15, 15, 15, 15);
}

// With few registers tiles go through memory: one loop for all packings then, not unrolled.
#if defined(USE_VNNI512)
#define TILE_READER INLINE
#define UNROLL_TILE _Pragma("unroll")
#else
#define TILE_READER static __attribute__((noinline))
#define UNROLL_TILE
#endif

/// Adds the bits of one plane of kept codes, from `shift` on, to the codes in v; returns the end of the plane.
INLINE const uint8_t *read_kept_plane(const uint8_t *plane, int width, int shift, const uint64_t masks[8], b64v v[8]) {
    const uint8_t *end = plane;
    int mask = ((1 << width) - 1) << shift;
    UNROLL_TILE for (int first = 0; first < 8; first += width) {
        const uint8_t *next = plane;
        UNROLL_TILE for (int j = first; j < first + width; j++) {
            b64v part = shift_bytes(kept_bytes(masks[j], next), first - shift, mask);
            v[j] = shift ? v[j] | part : part;
            next += __builtin_popcountll(masks[j]);
        }
        end = next > end ? next : end;
    }
    return end;
}

INLINE int is_masked(int packing) { return packing >= PITH_MASKED_2 && packing <= PITH_MASKED_8; }
INLINE int bits_of_masked(int packing) { return packing - PITH_MASKED_2 + 2; }

/// Where the masks of a block are read next, and the code of zero in the group that is being read.
typedef struct {
    const uint8_t *masks, *zeros;
    int64_t tiles_left;
    b64v left_out;
} mask_cursor;

INLINE mask_cursor begin_masks(const pith_packed *w, int64_t block) {
    mask_cursor cursor = {w->masks + block * w->tiles * 64, NULL, 0, (b64v){0} + (uint8_t)w->zero};
    if (w->zeros) cursor.zeros = w->zeros + block * w->groups * 16;
    return cursor;
}

/// The next tile, as codes of a byte each; returns where the codes of the next one begin.
TILE_READER const uint8_t *read_masked(mask_cursor *cursor, const uint8_t *codes, int64_t group, int bits, b64v v[8]) {
    if (cursor->zeros && cursor->tiles_left-- == 0) {
        cursor->tiles_left = group - 1;
        cursor->left_out = repeat_four_times(cursor->zeros);
        cursor->zeros += 16;
    }
    uint64_t masks[8];
    memcpy(masks, cursor->masks, sizeof masks);
    __builtin_prefetch(cursor->masks + PREFETCH_BYTES / 2);
    cursor->masks += sizeof masks;
    for (int i = 0; i < bits; i += 2) __builtin_prefetch(codes + PREFETCH_BYTES + 32 * i);
    int shift = 0;
    UNROLL_TILE for (int width = 8; width > 0; width >>= 1) {
        if (!(bits & width)) continue;
        codes = read_kept_plane(codes, width, shift, masks, v);
        shift += width;
    }
    UNROLL_TILE for (int j = 0; j < 8; j++) v[j] = merge_kept(masks[j], v[j], cursor->left_out);
    return codes;
}
