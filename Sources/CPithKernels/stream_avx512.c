// The kernels of the learning network for AVX-512 F, DQ and VL.
#if defined(__x86_64__)
#include <immintrin.h>
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#define STREAM_TABLE pith_stream_kernels_avx512
#define TILE_ROWS 8
#define BACK_ROWS 4
#include "private/stream_kernels.h"
#pragma clang attribute pop
#endif
