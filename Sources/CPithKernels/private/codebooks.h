// Tiles whose codes are names: of entries of a table, of short vectors, of five trits at once.

// MARK: Tables of bytes

#if defined(USE_VNNI512)
/// Entries of a table of 2^bits bytes, at least 16; codes are below 2^bits.
INLINE b64v look_up(const uint8_t *table, int bits, b64v codes) {
    __m512i c = (__m512i)codes;
    if (bits <= 4) {
        __m128i row;
        memcpy(&row, table, sizeof row);
        return (b64v)_mm512_shuffle_epi8(_mm512_broadcast_i32x4(row), c);
    }
    if (bits == 5) {
        __m256i rows;
        memcpy(&rows, table, sizeof rows);
        return (b64v)_mm512_permutexvar_epi8(c, _mm512_broadcast_i64x4(rows));
    }
    __m512i rows = (__m512i)load64(table);
    if (bits == 6) return (b64v)_mm512_permutexvar_epi8(c, rows);
    __m512i low = _mm512_permutex2var_epi8(rows, c, (__m512i)load64(table + 64));
    if (bits == 7) return (b64v)low;
    __m512i high = _mm512_permutex2var_epi8((__m512i)load64(table + 128), c, (__m512i)load64(table + 192));
    return (b64v)_mm512_mask_blend_epi8(_mm512_movepi8_mask(c), low, high);
}
#elif defined(USE_AVX2_INTRINSICS) || defined(USE_NEON_DOT)
/// Entries of a table of 16 bytes.
INLINE b64v look_up_16(const uint8_t *table, b64v codes) {
#if defined(__AVX512F__)
    __m128i row;
    memcpy(&row, table, sizeof row);
    return (b64v)_mm512_shuffle_epi8(_mm512_broadcast_i32x4(row), (__m512i)codes);
#elif defined(USE_AVX2_INTRINSICS)
    __m128i row;
    __m256i c[2];
    memcpy(&row, table, sizeof row);
    memcpy(c, &codes, 64);
    for (int half = 0; half < 2; half++) c[half] = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(row), c[half]);
    memcpy(&codes, c, 64);
    return codes;
#else
    uint8x16_t row = vld1q_u8(table), c[4];
    memcpy(c, &codes, 64);
    for (int i = 0; i < 4; i++) c[i] = vqtbl1q_u8(row, c[i]);
    memcpy(&codes, c, 64);
    return codes;
#endif
}

/// All rows of 16 are looked up by the lower bits of the codes; the higher bits choose among them.
INLINE b64v look_up(const uint8_t *table, int bits, b64v codes) {
    if (bits <= 4) return look_up_16(table, codes);
    b64v low = codes & 15, rows[16];
    _Pragma("unroll") for (int i = 0; i < 1 << (bits - 4); i++) rows[i] = look_up_16(table + 16 * i, low);
    _Pragma("unroll") for (int bit = 4; bit < bits; bit++) {
        b64v chosen = (b64v)((codes & (uint8_t)(1 << bit)) != 0);
        _Pragma("unroll") for (int i = 0; i < 1 << (bits - bit - 1); i++)
            rows[i] = (rows[2 * i] & ~chosen) | (rows[2 * i + 1] & chosen);
    }
    return rows[0];
}
#else
INLINE b64v look_up(const uint8_t *table, int bits, b64v codes) {
    uint8_t bytes[64];
    store64(bytes, codes);
    for (int i = 0; i < 64; i++) bytes[i] = table[bytes[i]];
    return load64(bytes);
}
#endif

/// Codes of so many bits, each the name of an entry.
INLINE void read_entries(tile_cursor *cursor, const pith_packed *w, int bits, b64v v[8]) {
    read_codes(cursor, bits, v);
    _Pragma("unroll") for (int j = 0; j < 8; j++) v[j] = look_up(w->tables, bits, v[j]);
}

// MARK: Vectors

// A code names `dimension` columns of a row, in each of some codebooks whose entries are added (modulo 256). Codes lie
// by fours of chunks, a vector of 64 bytes for each codebook: byte 16 * (row / 4) + 4 * (chunk % 4) + row % 4.
// Tables: the entries of each codebook, [codebooks][256][dimension], then the same as planes,
// [codebooks][dimension][256].

#if defined(USE_VNNI512)
/// Four planes, a byte of 64 codes each, become four vectors of a tile.
INLINE void join_planes(const b64v planes[4], b64v *v, int64_t stride) {
    __m512i a = (__m512i)planes[0], b = (__m512i)planes[1], c = (__m512i)planes[2], d = (__m512i)planes[3];
    __m512i ab = _mm512_unpacklo_epi8(a, b), cd = _mm512_unpacklo_epi8(c, d);
    v[0] = (b64v)_mm512_unpacklo_epi16(ab, cd);
    v[stride] = (b64v)_mm512_unpackhi_epi16(ab, cd);
    ab = _mm512_unpackhi_epi8(a, b), cd = _mm512_unpackhi_epi8(c, d);
    v[2 * stride] = (b64v)_mm512_unpacklo_epi16(ab, cd);
    v[3 * stride] = (b64v)_mm512_unpackhi_epi16(ab, cd);
}

INLINE void read_vectors(tile_cursor *cursor, const pith_packed *w, int dimension, b64v v[8]) {
    const uint8_t *table = w->tables + w->codebooks * dimension * 256, *codes = cursor->codes;
    int fours = 8 / dimension;
    b64v planes[8] = {{0}};
    for (int codebook = 0; codebook < w->codebooks; codebook++, codes += 64) {
        _Pragma("unroll") for (int f = 0; f < fours; f++)
            __builtin_prefetch(codes + PREFETCH_BYTES + f * w->codebooks * 64);
        b64v names[2] = {load64(codes), fours == 2 ? load64(codes + w->codebooks * 64) : (b64v){0}};
        _Pragma("unroll") for (int i = 0; i < dimension; i++, table += 256)
            _Pragma("unroll") for (int f = 0; f < fours; f++) planes[4 * f + i] += look_up(table, 8, names[f]);
    }
    join_planes(planes, v, dimension / 4);
    join_planes(planes + 4, v + (dimension == 8 ? 1 : 4), dimension / 4);
    cursor->codes += fours * w->codebooks * 64;
}
#else
INLINE void read_vectors(tile_cursor *cursor, const pith_packed *w, int dimension, b64v v[8]) {
    uint8_t bytes[TILE_BYTES];
    const uint8_t *codes = cursor->codes;
    for (int four = 0; four < 8 / dimension; four++, codes += w->codebooks * 64) {
        for (int i = 0; i < 64; i++) {
            int chunk = 4 * four + i % 16 / 4, row = i / 16 * 4 + i % 4;
            b8v sum = {0};
            for (int codebook = 0; codebook < w->codebooks; codebook++) {
                b8v entry = {0};
                memcpy(&entry, w->tables + (codebook * 256 + codes[codebook * 64 + i]) * dimension, (size_t)dimension);
                sum += entry;
            }
            for (int part = 0; part < dimension / 4; part++)
                memcpy(bytes + (chunk * dimension / 4 + part) * 64 + row * 4, (char *)&sum + 4 * part, 4);
        }
    }
    for (int j = 0; j < 8; j++) v[j] = load64(bytes + 64 * j);
    cursor->codes = codes;
}
#endif

// MARK: Trits

// Five tiles lie in eight vectors of 64 bytes: byte i of vector j holds byte i of vector j of all five tiles, as a
// fraction of 256 whose digits to the base of three are their codes: three times it is the first code, and what is
// behind the point. The last m < 5 tiles of a row are fractions of 2^bits, packed as codes of so many bits.

INLINE int bits_of_trits(int64_t count) { return (int)(8 * count + 4) / 5; }

/// Five tiles, or as many as there are.
INLINE void load_trits(tile_cursor *cursor) {
    switch (cursor->tiles) {
    case 0: return;
    case 1: read_codes(cursor, 2, cursor->rest); break;
    case 2: read_codes(cursor, 4, cursor->rest); break;
    case 3: read_codes(cursor, 5, cursor->rest); break;
    case 4: read_codes(cursor, 7, cursor->rest); break;
    default:
        _Pragma("unroll") for (int j = 0; j < 8; j++) __builtin_prefetch(cursor->codes + PREFETCH_BYTES + 64 * j);
        read_codes(cursor, 8, cursor->rest);
        return;
    }
    int shift = 8 - bits_of_trits(cursor->tiles);
    _Pragma("unroll") for (int j = 0; j < 8; j++) cursor->rest[j] <<= (uint8_t)shift;
}

INLINE b64v thrice(b64v bytes) { return bytes + bytes + bytes; }

/// Goes on to the next tile.
INLINE void next_trit(tile_cursor *cursor) {
    if (++cursor->trit < 5) return;
    cursor->trit = 0;
    cursor->tiles -= 5;
    if (cursor->tiles > 0) load_trits(cursor);
}

INLINE tile_cursor begin_trits(const pith_packed *w, int64_t block) {
    int64_t row = w->tiles / 5 * TILE_BYTES + bits_of_trits(w->tiles % 5) * 64;
    tile_cursor cursor = {.codes = w->codes + block * row, .tiles = w->tiles};
    load_trits(&cursor);
    return cursor;
}

INLINE void read_trits(tile_cursor *cursor, b64v v[8]) {
    typedef int8_t c64v __attribute__((vector_size(64)));
    _Pragma("unroll") for (int j = 0; j < 8; j++) {
        // Signed comparisons are what all instruction sets have.
        c64v rest = (c64v)(cursor->rest[j] ^ 128);
        v[j] = (b64v)(-((rest >= 86 - 128) + (rest >= 171 - 128)));
        cursor->rest[j] = thrice(cursor->rest[j]);
    }
    next_trit(cursor);
}

#if defined(USE_VNNI512) || defined(USE_VNNI256)
#define HAS_TRIT_SUMS 1
/// Sums over trits that are never seen: a trit is (3 r - (3 r mod 256)) / 256, and both terms are summed.
typedef struct {
    i16v firsts[4], rests[4];
} trit_sums;

INLINE void add_trits(tile_cursor *cursor, trit_sums *sums, const int8_t *inputs, int64_t stride) {
    _Pragma("unroll") for (int j = 0; j < 8; j++) {
        i16v four = four_inputs(inputs + j * stride);
        sums->firsts[j & 3] = dot_bytes(sums->firsts[j & 3], cursor->rest[j], four, 0);
        cursor->rest[j] = thrice(cursor->rest[j]);
        sums->rests[j & 3] = dot_bytes(sums->rests[j & 3], cursor->rest[j], four, 0);
    }
    next_trit(cursor);
}

INLINE i16v trit_total(const trit_sums *s) {
    i16v firsts = (s->firsts[0] + s->firsts[1]) + (s->firsts[2] + s->firsts[3]);
    i16v rests = (s->rests[0] + s->rests[1]) + (s->rests[2] + s->rests[3]);
    return (3 * firsts - rests) >> 8;
}
#endif
