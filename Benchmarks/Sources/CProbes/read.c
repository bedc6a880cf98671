// Streaming reads: each thread goes over its part of a buffer again and again.
#include "CProbes.h"
#include "crew.h"

#include <stdlib.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

// Reads 512 bytes at a time and folds them into one number, so that no read can be left out.
typedef uint64_t (*fold)(const uint8_t *bytes, int64_t count);

static uint64_t fold_words(const uint8_t *bytes, int64_t count)
{
    const uint64_t *words = (const uint64_t *)bytes;
    uint64_t sums[8] = {0};
    for (int64_t i = 0; i + 64 <= count / 8; i += 64)
        for (int j = 0; j < 64; j++) sums[j % 8] ^= words[i + j];
    uint64_t sum = 0;
    for (int j = 0; j < 8; j++) sum ^= sums[j];
    return sum;
}

#if defined(__x86_64__)
// Bytes that a prefetch runs before its read.
enum { ahead = 2048 };

__attribute__((target("avx512f"))) static uint64_t fold_avx512(const uint8_t *bytes, int64_t count)
{
    __m512i sums[8];
    for (int j = 0; j < 8; j++) sums[j] = _mm512_setzero_si512();
    for (int64_t i = 0; i + 512 <= count; i += 512)
        for (int j = 0; j < 8; j++) {
            _mm_prefetch((const char *)bytes + i + 64 * j + ahead, _MM_HINT_T0);
            sums[j] = _mm512_xor_si512(sums[j], _mm512_load_si512(bytes + i + 64 * j));
        }
    for (int j = 1; j < 8; j++) sums[0] = _mm512_xor_si512(sums[0], sums[j]);
    return (uint64_t)_mm512_reduce_or_epi64(sums[0]);
}

__attribute__((target("avx2"))) static uint64_t fold_avx2(const uint8_t *bytes, int64_t count)
{
    __m256i sums[8];
    for (int j = 0; j < 8; j++) sums[j] = _mm256_setzero_si256();
    for (int64_t i = 0; i + 512 <= count; i += 512)
        for (int j = 0; j < 16; j++) {
            if (j % 2 == 0) _mm_prefetch((const char *)bytes + i + 32 * j + ahead, _MM_HINT_T0);
            sums[j % 8] = _mm256_xor_si256(sums[j % 8], _mm256_load_si256((const __m256i *)(bytes + i + 32 * j)));
        }
    for (int j = 1; j < 8; j++) sums[0] = _mm256_xor_si256(sums[0], sums[j]);
    return (uint64_t)_mm256_extract_epi64(sums[0], 0) ^ (uint64_t)_mm256_extract_epi64(sums[0], 3);
}
#endif

static fold widest(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) return fold_avx512;
    if (__builtin_cpu_supports("avx2")) return fold_avx2;
#endif
    return fold_words; // vectorised for the compiler's target: NEON on arm64
}

typedef struct {
    const uint8_t *buffer;
    int64_t part;
    fold fold;
    // Where each thread is in its part.
    int64_t *positions;
} reading;

// Long enough that the clock costs nothing, short enough that small buffers are read evenly.
static const int64_t stride = 256 << 10;
static volatile uint64_t sink;

static double read_step(void *context, int32_t thread)
{
    reading *reading = context;
    int64_t position = reading->positions[thread * 8];
    int64_t rest = reading->part - position;
    int64_t count = rest < stride ? rest : stride;
    sink = reading->fold(reading->buffer + thread * reading->part + position, count);
    reading->positions[thread * 8] = count == rest ? 0 : position + count;
    return (double)count;
}

double probe_read(const void *buffer, int64_t bytes, int32_t threads, double seconds)
{
    // Whole lines of 512 bytes for each thread, and positions on cache lines of their own.
    reading reading = {.buffer = buffer, .part = bytes / threads / 512 * 512, .fold = widest()};
    reading.positions = calloc((size_t)threads * 8, sizeof *reading.positions);
    if (!reading.positions || reading.part == 0) return 0;
    double rate = crew_run(read_step, &reading, threads, seconds);
    free(reading.positions);
    return rate;
}
