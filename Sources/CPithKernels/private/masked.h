// Units with weights left out: a bit for each weight, and codes for the kept ones alone.
//
// Masks are 64 bits for each vector of a unit, the first byte in the lowest bit. Kept codes lie in planes of 4, 2 and 1
// bits as in `read_codes`, but without gaps: in a plane of b bits those of the first b vectors follow each other in the
// lowest b bits of bytes, those of the next b vectors in the bits above, and so on; a plane ends with the longest of
// these 8/b streams. Weights left out get the code of zero.

/// How far ahead of the codes memory is asked for: units are too short for the hardware to see the stream in time.
#define PREFETCH_BYTES 4096

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

#if defined(USE_AVX2_INTRINSICS)
/// Puts bytes of `kept` where lanes say so, and leaves what is there elsewhere.
INLINE void expand_8(const int8_t *lanes, const uint8_t *kept, uint8_t *target) {
    __m128i l = _mm_loadl_epi64((const __m128i *)lanes), old = _mm_loadl_epi64((const __m128i *)target);
    __m128i values = _mm_shuffle_epi8(_mm_loadl_epi64((const __m128i *)kept), l);
    _mm_storel_epi64((__m128i *)target, _mm_blendv_epi8(values, old, l));
}
#elif defined(USE_NEON_DOT)
INLINE void expand_8(const int8_t *lanes, const uint8_t *kept, uint8_t *target) {
    vst1_u8(target, vtbx1_u8(vld1_u8(target), vld1_u8(kept), vreinterpret_u8_s8(vld1_s8(lanes))));
}
#endif

/// The bytes of `kept` one after the other where `mask` has ones, those of `others` elsewhere.
INLINE b64v expand_bytes(uint64_t mask, b64v kept, b64v others) {
#if defined(USE_VNNI512)
    // In a register first: from memory the instruction is slow.
    __asm__("" : "+v"(kept));
    return (b64v)_mm512_mask_expand_epi8((__m512i)others, mask, (__m512i)kept);
#else
    uint8_t bytes[72], result[64];
    store64(bytes, kept);
    store64(result, others);
#if defined(USE_AVX2_INTRINSICS) || defined(USE_NEON_DOT)
    const uint8_t *next = bytes;
    for (int i = 0; i < 64; i += 8, mask >>= 8) {
        expand_8(expansion_lanes[mask & 255], next, result + i);
        next += __builtin_popcount(mask & 255);
    }
#else
    for (int i = 0, next = 0; i < 64; i++)
        if (mask >> i & 1) result[i] = bytes[next++];
#endif
    return load64(result);
#endif
}

/// Each of 16 bytes four times.
INLINE b64v repeat_four_times(const uint8_t *p) {
    b16v v;
    memcpy(&v, p, sizeof v);
    return __builtin_shufflevector(
        v, v, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7, 8, 8, 8,
        8, 9, 9, 9, 9, 10, 10, 10, 10, 11, 11, 11, 11, 12, 12, 12, 12, 13, 13, 13, 13, 14, 14, 14, 14, 15, 15, 15, 15);
}

/// Adds the bits of one plane of kept codes, from `shift` on, to the codes in v; returns the end of the plane.
INLINE const uint8_t *read_kept_plane(const uint8_t *plane, int width, int shift, const int64_t counts[8], b64v v[8]) {
    const uint8_t *end = plane;
    int mask = ((1 << width) - 1) << shift;
    _Pragma("unroll") for (int first = 0; first < 8; first += width) {
        const uint8_t *next = plane;
        _Pragma("unroll") for (int j = first; j < first + width; j++) {
            b64v part = shift_bytes(load64(next), first - shift, mask);
            v[j] = shift ? v[j] | part : part;
            next += counts[j];
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
    int64_t units_left;
    b64v left_out;
} mask_cursor;

INLINE mask_cursor begin_masks(const pith_packed *w, int64_t block) {
    mask_cursor cursor = {w->masks + block * w->units * 64, NULL, 0, (b64v){0} + (uint8_t)w->zero};
    if (w->zeros) cursor.zeros = w->zeros + block * w->groups * 16;
    return cursor;
}

/// The next unit, as codes of a byte each; returns where the codes of the next one begin.
INLINE const uint8_t *read_masked(mask_cursor *cursor, const uint8_t *codes, int64_t group, int bits, b64v v[8]) {
    if (cursor->zeros && cursor->units_left-- == 0) {
        cursor->units_left = group - 1;
        cursor->left_out = repeat_four_times(cursor->zeros);
        cursor->zeros += 16;
    }
    uint64_t masks[8];
    int64_t counts[8];
    memcpy(masks, cursor->masks, sizeof masks);
    __builtin_prefetch(cursor->masks + PREFETCH_BYTES / 2);
    cursor->masks += sizeof masks;
    for (int i = 0; i < bits; i += 2) __builtin_prefetch(codes + PREFETCH_BYTES + 32 * i);
    _Pragma("unroll") for (int j = 0; j < 8; j++) counts[j] = __builtin_popcountll(masks[j]);
    int shift = 0;
    _Pragma("unroll") for (int width = 8; width > 0; width >>= 1) {
        if (!(bits & width)) continue;
        codes = read_kept_plane(codes, width, shift, counts, v);
        shift += width;
    }
    _Pragma("unroll") for (int j = 0; j < 8; j++) v[j] = expand_bytes(masks[j], v[j], cursor->left_out);
    return codes;
}
