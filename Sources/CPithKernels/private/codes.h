// Products with integer codes. Scales have 11 significant bits and codes at most 8, so code * scale, zero * scale and
// their difference are exact in single precision: whatever the order of the operations, the weight is the same.

INLINE float scalar_f16(uint16_t h) {
#if defined(__F16C__) || defined(__aarch64__)
    _Float16 value;
    memcpy(&value, &h, sizeof value);
    return (float)value;
#else
    uint16_t block[16] = {h};
    return widen_f16(block)[0];
#endif
}

INLINE float code_zero(const pith_code_row *row, int64_t group) {
    return (float)(row->zeros ? row->zeros[group] : 1 << (row->bits - 1));
}

#if defined(USE_AVX2_INTRINSICS)

/// How 16 codes of a width come out of the 16 bytes that begin with them. A lane takes the two bytes that its code
/// lies in; what else these hold is masked, and where the code begins in them is left to the scale.
typedef struct {
    _Alignas(32) uint8_t bytes[2][32];
    int32_t mask[8];
    float factor[8];
} code_lanes;

#define BYTES(B, L, H) L * B / 8 + H * B, L * B / 8 + H * B + 1, 128, 128
#define EIGHT_BYTES(B, H)                                                                                              \
    {BYTES(B, 0, H), BYTES(B, 1, H), BYTES(B, 2, H), BYTES(B, 3, H),                                                   \
     BYTES(B, 4, H), BYTES(B, 5, H), BYTES(B, 6, H), BYTES(B, 7, H)}
#define EACH_LANE(F, B) {F(B, 0), F(B, 1), F(B, 2), F(B, 3), F(B, 4), F(B, 5), F(B, 6), F(B, 7)}
#define MASK(B, L) ((1 << B) - 1) << L * B % 8
#define FACTOR(B, L) 1.0f / (1 << L * B % 8)
#define LANES_OF(B) {{EIGHT_BYTES(B, 0), EIGHT_BYTES(B, 1)}, EACH_LANE(MASK, B), EACH_LANE(FACTOR, B)}
/// By bits of a code. (The byte behind the last code of 8 bits is no byte of the 16; its mask takes nothing of it.)
static const code_lanes lanes_of_bits[9] = {{{{0}}},     {{{0}}},     LANES_OF(2), LANES_OF(3), LANES_OF(4),
                                            LANES_OF(5), LANES_OF(6), LANES_OF(7), LANES_OF(8)};

/// Groups whose scales are made ready together, for many rows at once: weight = code * scale + shift.
#define GROUPS_READY 1024
typedef struct {
    float scales[GROUPS_READY];
    float shifts[GROUPS_READY];
} ready_groups;

/// Makes `count` groups ready, from the group `first` of the row on, be it of the rows behind.
static void make_ready(ready_groups *ready, const pith_code_row *row, int64_t first, int64_t count) {
    int64_t i = 0;
    const uint16_t *scales = row->scales + first;
    const uint8_t *zeros = row->zeros ? row->zeros + first : NULL;
    __m256 middle = _mm256_set1_ps((float)(1 << (row->bits - 1)));
    for (; i + 8 <= count; i += 8) {
        __m256 scale = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(scales + i))), zero = middle;
        if (zeros) zero = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(zeros + i))));
        _mm256_storeu_ps(ready->scales + i, scale);
        _mm256_storeu_ps(ready->shifts + i, -_mm256_mul_ps(scale, zero));
    }
    for (; i < count; i++) {
        ready->scales[i] = scalar_f16(scales[i]);
        ready->shifts[i] = -(ready->scales[i] * (zeros ? (float)zeros[i] : (float)(1 << (row->bits - 1))));
    }
}

/// The tables of a width in registers.
typedef struct {
    __m256i bytes[2];
    __m256i mask;
    __m256 factor;
} lane_registers;

INLINE lane_registers load_lanes(int32_t bits) {
    const code_lanes *lanes = lanes_of_bits + bits;
    return (lane_registers){{_mm256_load_si256((const __m256i *)lanes->bytes[0]),
                             _mm256_load_si256((const __m256i *)lanes->bytes[1])},
                            _mm256_load_si256((const __m256i *)lanes->mask),
                            _mm256_load_ps(lanes->factor)};
}

/// Eight weights, the first or the second half of a run of 16.
INLINE __m256 code_weights(__m256i bytes, int half, const lane_registers *lanes, __m256 scale, __m256 shift) {
    __m256i codes = _mm256_and_si256(_mm256_shuffle_epi8(bytes, lanes->bytes[half]), lanes->mask);
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(codes), scale, shift);
}

/// The last columns of a row, where 16 floats or 16 bytes are no longer there to be read, with zeros behind them.
/// The tail begins early enough that all runs before it can be read whole: 16 bytes are at most 64 codes.
typedef struct {
    int64_t start;
    /// Whether x has to be read from here: its last run is not whole.
    int partial;
    /// Whether codes have to be read from here: no other row follows.
    int last;
    float x[96];
    uint8_t codes[2][112];
} code_tail;

INLINE void begin_tail(code_tail *tail, const float *x, int64_t k) {
    tail->start = k < 80 ? 0 : (k - 64) & ~15;
    tail->partial = k % 16 != 0;
    tail->last = 0;
    if (!tail->partial) return;
    memset(tail->x, 0, sizeof tail->x);
    memcpy(tail->x, x + tail->start, (size_t)(k - tail->start) * sizeof(float));
}

INLINE void copy_codes(code_tail *tail, int r, const uint8_t *codes, int64_t bits, int64_t k) {
    int64_t first = tail->start / 8 * bits, last = (k * bits + 7) / 8;
    tail->last = 1;
    memset(tail->codes[r], 0, sizeof tail->codes[r]);
    memcpy(tail->codes[r], codes + first, (size_t)(last - first));
}

/// Products of x with ROWS rows from row n on, so that one row is multiplied while another is added. Their groups are
/// ready from `place` on; only a single row may have more of them than fit.
#define DOT_CODE_ROWS(ROWS)                                                                                            \
    INLINE void dot_code_rows_##ROWS(const float *x, const pith_code_row *first, int64_t n, int64_t row_bytes,         \
                                     int64_t groups, int64_t k, ready_groups *ready, int64_t place,                    \
                                     const code_tail *tail, float *y) {                                                \
        lane_registers tables = load_lanes(first->bits), *lanes = &tables;                                             \
        __m256 low[ROWS], high[ROWS], scale[ROWS], shift[ROWS];                                                        \
        const uint8_t *codes[ROWS];                                                                                    \
        for (int r = 0; r < ROWS; r++) low[r] = high[r] = _mm256_setzero_ps();                                         \
        for (int r = 0; r < ROWS; r++) codes[r] = first->codes + (n + r) * row_bytes;                                  \
        int64_t step = 2 * first->bits, size = first->group_size;                                                      \
        int64_t limit = tail->partial || tail->last ? tail->start : INT64_MAX;                                         \
        for (int64_t group = 0, i = 0; i < k; group++, place++) {                                                      \
            int64_t stop = i + size < k ? i + size : k;                                                                \
            if (ROWS == 1 && place >= GROUPS_READY) {                                                                  \
                int64_t left = groups - group;                                                                         \
                make_ready(ready, first, n * groups + group, left < GROUPS_READY ? left : GROUPS_READY);               \
                place = 0;                                                                                             \
            }                                                                                                          \
            for (int r = 0; r < ROWS; r++) {                                                                           \
                scale[r] = _mm256_mul_ps(_mm256_set1_ps(ready->scales[place + r * groups]), lanes->factor);            \
                shift[r] = _mm256_set1_ps(ready->shifts[place + r * groups]);                                          \
            }                                                                                                          \
            while (i < stop) {                                                                                         \
                int64_t end = stop < limit ? stop : limit;                                                             \
                for (; i < end; i += 16) {                                                                             \
                    __m256 a = _mm256_loadu_ps(x), b = _mm256_loadu_ps(x + 8);                                         \
                    x += 16;                                                                                           \
                    _Pragma("unroll") for (int r = 0; r < ROWS; r++) {                                                 \
                        __m256i bytes = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)codes[r]));       \
                        codes[r] += step;                                                                              \
                        low[r] = _mm256_fmadd_ps(a, code_weights(bytes, 0, lanes, scale[r], shift[r]), low[r]);        \
                        high[r] = _mm256_fmadd_ps(b, code_weights(bytes, 1, lanes, scale[r], shift[r]), high[r]);      \
                    }                                                                                                  \
                }                                                                                                      \
                if (i < limit) break;                                                                                  \
                limit = INT64_MAX;                                                                                     \
                if (tail->partial) x = tail->x;                                                                        \
                for (int r = 0; tail->last && r < ROWS; r++) codes[r] = tail->codes[r];                                \
            }                                                                                                          \
        }                                                                                                              \
        for (int r = 0; r < ROWS; r++)                                                                                 \
            y[n + r] = sum_lanes(__builtin_shufflevector((f8v)low[r], (f8v)high[r], 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,  \
                                                         11, 12, 13, 14, 15));                                         \
    }
DOT_CODE_ROWS(1)
DOT_CODE_ROWS(2)

static void multiply_codes(const float *x, const pith_code_row *first, int64_t rows, int64_t row_bytes, int64_t groups,
                           int64_t k, float *y) {
    code_tail tail;
    begin_tail(&tail, x, k);
    ready_groups ready;
    int64_t rows_ready = 2 * groups <= GROUPS_READY ? GROUPS_READY / groups & ~1 : 1;
    for (int64_t begin = 0; begin < rows; begin += rows_ready) {
        int64_t end = begin + rows_ready < rows ? begin + rows_ready : rows, wanted = (end - begin) * groups;
        make_ready(&ready, first, begin * groups, wanted < GROUPS_READY ? wanted : GROUPS_READY);
        for (int64_t n = begin, count; n < end; n += count) {
            count = end - n > 1 ? 2 : 1;
            // 16 bytes read at the end of a row may reach into the next rows, but not beyond the last.
            for (int64_t r = 0; (rows - n - count) * row_bytes < 16 && r < count; r++)
                copy_codes(&tail, (int)r, first->codes + (n + r) * row_bytes, first->bits, k);
            int64_t place = (n - begin) * groups;
            if (count == 2) dot_code_rows_2(x, first, n, row_bytes, groups, k, &ready, place, &tail, y);
            else dot_code_rows_1(x, first, n, row_bytes, groups, k, &ready, place, &tail, y);
        }
    }
}

static float dot_codes(const float *x, const pith_code_row *row, int64_t k) {
    float y;
    multiply_codes(x, row, 1, 0, (k + row->group_size - 1) / row->group_size, k, &y);
    return y;
}

static void decode_codes(const pith_code_row *row, int64_t k, float *target) {
    lane_registers lanes = load_lanes(row->bits);
    const uint8_t *codes = row->codes, *end = codes + (k * row->bits + 7) / 8;
    uint8_t last[16] = {0};
    for (int64_t group = 0, i = 0; i < k; group++) {
        int64_t stop = i + row->group_size < k ? i + row->group_size : k;
        float single = scalar_f16(row->scales[group]);
        __m256 scale = _mm256_mul_ps(_mm256_set1_ps(single), lanes.factor);
        __m256 shift = _mm256_set1_ps(-(code_zero(row, group) * single));
        for (; i < stop; i += 16) {
            const uint8_t *from = codes;
            if (end - codes < 16) {
                for (int64_t j = 0; j < end - codes; j++) last[j] = codes[j];
                from = last;
            }
            codes += 2 * row->bits;
            __m256i bytes = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)from));
            __m256 low = code_weights(bytes, 0, &lanes, scale, shift);
            __m256 high = code_weights(bytes, 1, &lanes, scale, shift);
            if (stop - i >= 16) {
                _mm256_storeu_ps(target + i, low);
                _mm256_storeu_ps(target + i + 8, high);
            } else {
                float part[16];
                _mm256_storeu_ps(part, low);
                _mm256_storeu_ps(part + 8, high);
                for (int64_t j = 0; j < stop - i; j++) target[i + j] = part[j];
            }
        }
    }
}

#else

/// 16 codes from element i on (a multiple of 8), for any number of bits; reads only bytes of the row.
INLINE i16v load_codes(const uint8_t *codes, int bits, int64_t i, int64_t count) {
    // Eight codes of `bits` bits fill `bits` whole bytes.
    i16v v = {0};
    int64_t taken = count < 16 ? count : 16;
    uint32_t mask = (1u << bits) - 1;
    for (int half = 0; half < 2; half++) {
        int64_t here = taken - half * 8;
        if (here <= 0) break;
        if (here > 8) here = 8;
        uint64_t word = 0;
        memcpy(&word, codes + (i + half * 8) * bits / 8, (size_t)((here * bits + 7) / 8));
        for (int j = 0; j < here; j++) v[half * 8 + j] = (int32_t)((uint32_t)(word >> (j * bits)) & mask);
    }
    return v;
}

/// Runs BODY for each run of up to 16 weights of a row; runs do not cross groups.
#define EACH_CODE_RUN(BODY)                                                                                            \
    for (int64_t group = 0, start = 0; start < k; group++, start += row->group_size) {                                 \
        int64_t end = start + row->group_size < k ? start + row->group_size : k;                                       \
        float scale = scalar_f16(row->scales[group]), shift = code_zero(row, group) * scale;                           \
        for (int64_t i = start; i < end; i += 16) {                                                                    \
            int64_t count = end - i;                                                                                   \
            f16v weights = __builtin_convertvector(load_codes(row->codes, row->bits, i, count), f16v) * scale - shift; \
            BODY                                                                                                       \
        }                                                                                                              \
    }

static void decode_codes(const pith_code_row *row, int64_t k, float *target) { EACH_CODE_RUN(DECODE_BODY) }

static float dot_codes(const float *x, const pith_code_row *row, int64_t k) {
    f16v sum = {0};
    EACH_CODE_RUN(DOT_BODY)
    return sum_lanes(sum);
}

static void multiply_codes(const float *x, const pith_code_row *first, int64_t rows, int64_t row_bytes, int64_t groups,
                           int64_t k, float *y) {
    pith_code_row row = *first;
    for (int64_t n = 0; n < rows; n++) {
        y[n] = dot_codes(x, &row, k);
        row.codes += row_bytes;
        row.scales += groups;
        if (row.zeros) row.zeros += groups;
    }
}

#endif
