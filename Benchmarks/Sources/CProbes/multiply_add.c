// Multiply-adds from registers into as many independent sums as hide the latency.
#include "CProbes.h"
#include "crew.h"

#include <stddef.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#if defined(__linux__)
#include <sys/auxv.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif
#endif

// Twelve sums and two factors fit the sixteen registers of AVX2.
enum { rounds = 4096, sums_in_flight = 12 };

// One way to do multiply-adds. Returns how many were done.
typedef struct {
    const char *name;
    crew_step step;
} unit;

static volatile float sink;

// The sums go through an empty assembler line in each round: the compiler must make each of them, and one by one.
#define KEEP(sum) __asm__ volatile("" : "+" REGISTER (sum))

#define UNIT(function, instructions, vector, zero, one, add, lanes)                                                    \
    __attribute__((target(instructions))) static double function(void *context, int32_t thread)                        \
    {                                                                                                                  \
        (void)context, (void)thread;                                                                                   \
        vector sums[sums_in_flight], a = one, b = one;                                                                 \
        for (int i = 0; i < sums_in_flight; i++) sums[i] = zero;                                                       \
        for (int round = 0; round < rounds; round++) {                                                                 \
            _Pragma("clang loop unroll(full)") for (int i = 0; i < sums_in_flight; i++)                                \
            {                                                                                                          \
                sums[i] = add;                                                                                         \
                KEEP(sums[i]);                                                                                         \
            }                                                                                                          \
        }                                                                                                              \
        float total = 0;                                                                                               \
        for (int i = 0; i < sums_in_flight; i++) total += *(float *)&sums[i];                                          \
        sink = total;                                                                                                  \
        return (double)rounds * sums_in_flight * (lanes);                                                              \
    }

#if defined(__x86_64__)

#define REGISTER "v"
UNIT(f32_avx512, "avx512f", __m512, _mm512_setzero_ps(), _mm512_set1_ps(1), _mm512_fmadd_ps(a, b, sums[i]), 16)
UNIT(bf16_avx512, "avx512f,avx512bf16", __m512, _mm512_setzero_ps(), _mm512_set1_ps(1),
     _mm512_dpbf16_ps(sums[i], (__m512bh)a, (__m512bh)b), 32)
UNIT(int8_avx512, "avx512f,avx512vnni", __m512i, _mm512_setzero_si512(), _mm512_set1_epi8(1),
     _mm512_dpbusd_epi32(sums[i], a, b), 64)
#undef REGISTER
#define REGISTER "x"
UNIT(f32_avx2, "avx2,fma", __m256, _mm256_setzero_ps(), _mm256_set1_ps(1), _mm256_fmadd_ps(a, b, sums[i]), 8)
UNIT(int8_avxvnni, "avx2,avxvnni", __m256i, _mm256_setzero_si256(), _mm256_set1_epi8(1),
     _mm256_dpbusd_avx_epi32(sums[i], a, b), 32)
// Without an instruction of its own a product of bytes takes three. The first operand changes, or it would be
// multiplied once.
UNIT(int8_avx2, "avx2", __m256i, _mm256_setzero_si256(), _mm256_set1_epi8(1),
     _mm256_add_epi32(sums[i], _mm256_madd_epi16(_mm256_maddubs_epi16(sums[i], b), a)), 32)
UNIT(f32_sse, "sse2", __m128, _mm_setzero_ps(), _mm_set1_ps(1), _mm_add_ps(_mm_mul_ps(sums[i], b), a), 4)

static unit unit_of(probe_arithmetic arithmetic)
{
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    switch (arithmetic) {
    case PROBE_F32:
        if (__builtin_cpu_supports("avx512f")) return (unit){"AVX512F", f32_avx512};
        if (avx2) return (unit){"FMA", f32_avx2};
        return (unit){"SSE", f32_sse};
    case PROBE_BF16:
        if (__builtin_cpu_supports("avx512bf16")) return (unit){"AVX512-BF16", bf16_avx512};
        break;
    case PROBE_INT8:
        if (__builtin_cpu_supports("avx512vnni")) return (unit){"AVX512-VNNI", int8_avx512};
        if (__builtin_cpu_supports("avxvnni")) return (unit){"AVX-VNNI", int8_avxvnni};
        if (avx2) return (unit){"AVX2", int8_avx2};
        break;
    }
    return (unit){NULL, NULL};
}

#elif defined(__aarch64__)

#define REGISTER "w"
UNIT(f32_neon, "neon", float32x4_t, vdupq_n_f32(0), vdupq_n_f32(1), vfmaq_f32(sums[i], a, b), 4)
UNIT(bf16_neon, "bf16", float32x4_t, vdupq_n_f32(0), vdupq_n_f32(1),
     vbfdotq_f32(sums[i], vreinterpretq_bf16_f32(a), vreinterpretq_bf16_f32(b)), 8)
UNIT(int8_neon, "dotprod", int32x4_t, vdupq_n_s32(0), vdupq_n_s32(0x01010101),
     vdotq_s32(sums[i], vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b)), 16)

// Whether this machine has a feature: its name on macOS, its bit in the first or second word on Linux.
static int has(const char *apple, int second_word, unsigned long bit)
{
    (void)apple, (void)second_word, (void)bit;
#if defined(__APPLE__)
    int value = 0;
    size_t size = sizeof value;
    return sysctlbyname(apple, &value, &size, NULL, 0) == 0 && value;
#elif defined(__linux__)
    return (getauxval(second_word ? AT_HWCAP2 : AT_HWCAP) & bit) != 0;
#else
    return 0;
#endif
}

static unit unit_of(probe_arithmetic arithmetic)
{
    switch (arithmetic) {
    case PROBE_F32: return (unit){"NEON", f32_neon};
    case PROBE_BF16:
        if (has("hw.optional.arm.FEAT_BF16", 1, 1 << 14)) return (unit){"BFDOT", bf16_neon};
        break;
    case PROBE_INT8:
        if (has("hw.optional.arm.FEAT_DotProd", 0, 1 << 20)) return (unit){"SDOT", int8_neon};
        break;
    }
    return (unit){NULL, NULL};
}

#else

static unit unit_of(probe_arithmetic arithmetic)
{
    (void)arithmetic;
    return (unit){NULL, NULL};
}

#endif

double probe_multiply_add(probe_arithmetic arithmetic, int32_t threads, double seconds)
{
    unit unit = unit_of(arithmetic);
    return unit.step ? crew_run(unit.step, NULL, threads, seconds) : 0;
}

const char *probe_instructions(probe_arithmetic arithmetic) { return unit_of(arithmetic).name; }
