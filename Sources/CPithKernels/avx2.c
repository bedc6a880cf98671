// The kernels for AVX2, FMA and F16C.
#if defined(__x86_64__)
#include <immintrin.h>
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,popcnt"))), apply_to = function)
#define __F16C__ 1
#define USE_AVX2_INTRINSICS 1
#define KERNEL_TABLE pith_kernels_avx2
#include "private/kernels.h"
#define TRAINING_TABLE pith_training_kernels_avx2
#include "private/training_kernels.h"
#pragma clang attribute pop
#endif
