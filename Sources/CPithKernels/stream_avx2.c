// The kernels of the learning network for AVX2 and FMA.
#if defined(__x86_64__)
#include <immintrin.h>
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define STREAM_TABLE pith_stream_kernels_avx2
#define TILE_ROWS 3
#define BACK_ROWS 1
#include "private/stream_kernels.h"
#pragma clang attribute pop
#endif
