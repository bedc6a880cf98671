// The kernels for AVX2 with dot products of bytes.
#if defined(__x86_64__)
#include <immintrin.h>
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,popcnt,avxvnni"))), apply_to = function)
#define __F16C__ 1
#define USE_AVX2_INTRINSICS 1
#define USE_VNNI256 1
#define KERNEL_TABLE pith_kernels_avx_vnni
#include "private/kernels.h"
#pragma clang attribute pop
#endif
