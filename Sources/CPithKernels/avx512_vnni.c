// The kernels for AVX-512 with dot products of bytes.
#if defined(__x86_64__)
#include <immintrin.h>
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,popcnt,avx512vnni,avx512vbmi,avx512vbmi2"))), apply_to = function)
#define __F16C__ 1
#define USE_AVX2_INTRINSICS 1
#define __AVX512F__ 1
#define USE_VNNI512 1
#define KERNEL_TABLE pith_kernels_avx512_vnni
#include "private/kernels.h"
#pragma clang attribute pop
#endif
